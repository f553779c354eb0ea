#include "dockerfile/graph.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <utility>

#include "dockerfile/lines.h"

namespace imagebuild::dockerfile {

namespace {

// Images that people use without a tag. A name of this list is never taken for a misspelt stage.
constexpr std::string_view kWellKnownImages[] = {"adminer",
                                                 "almalinux",
                                                 "alpine",
                                                 "amazoncorretto",
                                                 "amazonlinux",
                                                 "arangodb",
                                                 "archlinux",
                                                 "bash",
                                                 "buildpack-deps",
                                                 "busybox",
                                                 "caddy",
                                                 "cassandra",
                                                 "centos",
                                                 "chronograf",
                                                 "cirros",
                                                 "clojure",
                                                 "composer",
                                                 "consul",
                                                 "couchbase",
                                                 "couchdb",
                                                 "dart",
                                                 "debian",
                                                 "docker",
                                                 "drupal",
                                                 "eclipse-mosquitto",
                                                 "eclipse-temurin",
                                                 "elasticsearch",
                                                 "elixir",
                                                 "emqx",
                                                 "erlang",
                                                 "fedora",
                                                 "flink",
                                                 "fluentd",
                                                 "gcc",
                                                 "ghost",
                                                 "golang",
                                                 "gradle",
                                                 "groovy",
                                                 "haproxy",
                                                 "haskell",
                                                 "hello-world",
                                                 "httpd",
                                                 "ibmjava",
                                                 "influxdb",
                                                 "jetty",
                                                 "joomla",
                                                 "jruby",
                                                 "julia",
                                                 "kapacitor",
                                                 "kibana",
                                                 "kong",
                                                 "logstash",
                                                 "mageia",
                                                 "mariadb",
                                                 "matomo",
                                                 "maven",
                                                 "memcached",
                                                 "mongo",
                                                 "mono",
                                                 "mysql",
                                                 "nats",
                                                 "neo4j",
                                                 "nextcloud",
                                                 "nginx",
                                                 "node",
                                                 "openjdk",
                                                 "oraclelinux",
                                                 "percona",
                                                 "perl",
                                                 "photon",
                                                 "php",
                                                 "postgres",
                                                 "pypy",
                                                 "python",
                                                 "r-base",
                                                 "rabbitmq",
                                                 "redis",
                                                 "registry",
                                                 "rethinkdb",
                                                 "rockylinux",
                                                 "ruby",
                                                 "rust",
                                                 "sapmachine",
                                                 "solr",
                                                 "sonarqube",
                                                 "spark",
                                                 "storm",
                                                 "swift",
                                                 "telegraf",
                                                 "tomcat",
                                                 "traefik",
                                                 "ubuntu",
                                                 "varnish",
                                                 "vault",
                                                 "wordpress",
                                                 "zookeeper"};

// Shorter names are too near to each other to tell a slip from another name.
constexpr std::size_t kShortestName = 3;

bool is_well_known(std::string_view name) {
  return std::find(std::begin(kWellKnownImages), std::end(kWellKnownImages), name) != std::end(kWellKnownImages);
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The index that the digits say; -1 when it is beyond every stage.
int index_of(std::string_view digits) {
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() ? value : -1;
}

class Resolver {
 public:
  Resolver(const Dockerfile& dockerfile, const GraphOptions& options, std::string_view file)
      : stages_(dockerfile.stages), options_(options), file_(file) {}

  // The stage that `name` means in stage `before`: the nearest one before it.
  std::optional<int> earlier_stage(std::string_view name, int before) const {
    const std::string wanted = lower(name);
    for (int i = before - 1; i >= 0; --i) {
      if (stage(i).name == wanted) return i;
    }
    return std::nullopt;
  }

  std::optional<std::string> context(std::string_view name) const {
    for (const std::string& context : options_.named_contexts) {
      if (context == name || context + ":latest" == name || context == std::string(name) + ":latest") return context;
    }
    return std::nullopt;
  }

  // A named context takes the stage's place.
  bool replaced(int index) const { return !stage(index).name.empty() && context(stage(index).name).has_value(); }

  Source stage_source(int index, Position at) const {
    if (replaced(index)) return Source{SourceKind::kNamedContext, -1, *context(stage(index).name), at};
    return Source{SourceKind::kStage, index, {}, at};
  }

  // COPY --from, RUN --mount from.
  Result<Source> from(const Word& word, int in) {
    const std::string& name = word.text;
    if (all_digits(name)) return by_index(word, in);
    if (const auto index = earlier_stage(name, in)) return stage_source(*index, word.at);
    const std::string wanted = lower(name);
    if (stage(in).name == wanted) {
      return error(word.at,
                   "stage '" + name + "' cannot take files from itself; a stage may name only stages before it");
    }
    for (std::size_t i = static_cast<std::size_t>(in) + 1; i < stages_.size(); ++i) {
      if (stages_[i].name == wanted) return later(word, stages_[i]);
    }
    return image(word.at, name, in);
  }

  Result<Source> base(const Word& word, const std::string& name, int in) {
    if (const auto index = earlier_stage(name, in)) return stage_source(*index, word.at);
    const std::string wanted = lower(name);
    for (std::size_t i = static_cast<std::size_t>(in) + 1; i < stages_.size(); ++i) {
      // FROM x AS x: there is an image of that name, so this may mean it too.
      const bool is_image = is_well_known(wanted) || lower(stages_[i].from().image.text) == wanted;
      if (stages_[i].name == wanted && stage(in).name != wanted && !context(name) && !is_image) {
        return later(Word{name, word.at}, stages_[i]);
      }
    }
    return image(word.at, name, in);
  }

 private:
  const Stage& stage(int index) const { return stages_[static_cast<std::size_t>(index)]; }
  Error error(Position at, const std::string& message) const { return located_error(file_, at, message); }

  Result<Source> by_index(const Word& word, int in) const {
    const int index = index_of(word.text);
    if (index >= 0 && index < in) return stage_source(index, word.at);
    if (index == in) {
      return error(word.at,
                   "stage " + word.text + " cannot take files from itself; a stage may name only stages before it");
    }
    std::string message = "no stage " + word.text + " before this one; ";
    if (in == 0) {
      message += "this is the first stage, 0";
    } else {
      message += in == 1 ? "the only one is 0" : "those are 0 to " + std::to_string(in - 1);
    }
    return error(word.at, message);
  }

  Error later(const Word& word, const Stage& stage) const {
    return error(word.at, "stage '" + word.text + "' comes only in line " + std::to_string(stage.instruction.at.line) +
                              "; a stage may name only stages before it");
  }

  // Whether a stage before `before` has a version of that image as its base.
  bool used_as_image(const std::string& name, int before) {
    if (base_images_.empty()) {
      for (const Stage& stage : stages_) {
        const std::string& image = stage.from().image.text;
        if (!earlier_stage(image, stage.index))
          base_images_.emplace(image.substr(0, image.find_first_of(":@")), stage.index);
      }
    }
    const auto found = base_images_.find(name);
    return found != base_images_.end() && found->second < before;
  }

  // "; did you mean 'build'?" when `name` nearly is that of a stage before `before`.
  std::string misspelt_stage(const std::string& name, int before) {
    std::vector<std::string> names;
    for (int i = 0; i < before; ++i) {
      const std::string& candidate = stage(i).name;
      if (candidate.size() < kShortestName) continue;
      const std::size_t cost = candidate.size() * name.size();
      if (cost > comparisons_left_) return {};
      comparisons_left_ -= cost;
      names.push_back(stage(i).from().name->text);
    }
    return did_you_mean(name, names);
  }

  // A name that is no stage's: scratch, a named context or an image, unless it looks like a misspelt stage.
  Result<Source> image(Position at, const std::string& name, int in) {
    if (const auto found = context(name)) return Source{SourceKind::kNamedContext, -1, *found, at};
    if (name == "scratch") return Source{SourceKind::kScratch, -1, {}, at};
    const bool plain = name.find_first_of("/:@.") == std::string::npos;
    if (plain && name.size() >= kShortestName && !is_well_known(name) && !used_as_image(name, in)) {
      if (const std::string hint = misspelt_stage(name, in); !hint.empty()) {
        return error(
            at, "unknown stage '" + name + "'" + hint + " (an image of that name is written '" + name + ":latest')");
      }
    }
    return Source{SourceKind::kImage, -1, name, at};
  }

  const std::vector<Stage>& stages_;
  const GraphOptions& options_;
  std::string_view file_;
  std::map<std::string, int> base_images_;     // Repository → the first stage that has it as its base.
  std::size_t comparisons_left_ = 20'000'000;  // Bounds the search for misspelt names in a hostile file.
};

class Builder {
  static constexpr int kShownStages = 30;

 public:
  Builder(const Dockerfile& dockerfile, const GraphOptions& options)
      : dockerfile_(dockerfile), options_(options), resolver_(dockerfile, options, dockerfile.file) {}

  Result<Graph> run() {
    for (const Stage& stage : dockerfile_.stages) RETURN_IF_ERROR(add(stage));
    ASSIGN_OR_RETURN(graph_.target, target());
    mark(graph_.target);
    for (const GraphStage& stage : graph_.stages) {
      if (stage.needed) graph_.order.push_back(stage.index);  // Needs point backwards, so the file's order will do.
    }
    return std::move(graph_);
  }

 private:
  Result<std::string> expanded(const Word& word, std::string_view what) const {
    auto text = options_.expand(word);
    if (!text.ok()) return located_error(dockerfile_.file, word.at, text.error().message, text.error().code);
    if (text->empty()) {
      return located_error(dockerfile_.file, word.at,
                           std::string(what) + " '" + word.text +
                               "' is empty; give its ARG a default before the first FROM, or a value with --build-arg");
    }
    return text;
  }

  Status add(const Stage& stage) {
    GraphStage node;
    node.index = stage.index;
    node.name = stage.name;
    node.replaced = resolver_.replaced(stage.index);
    const From& from = stage.from();
    ASSIGN_OR_RETURN(const std::string image, expanded(from.image, "the image"));
    ASSIGN_OR_RETURN(node.base, resolver_.base(from.image, image, stage.index));
    if (from.platform) {
      // An empty platform is Docker's word for the default.
      auto platform = options_.expand(*from.platform);
      if (!platform.ok()) {
        return located_error(dockerfile_.file, from.platform->at, platform.error().message, platform.error().code);
      }
      if (!platform->empty()) node.platform = std::move(*platform);
    }
    RETURN_IF_ERROR(add_triggers(node));
    for (std::size_t i = 0; i < stage.steps.size(); ++i) {
      RETURN_IF_ERROR(add_references(node, stage.steps[i].command, i, std::nullopt));
    }
    if (!node.replaced) collect_needs(node);
    graph_.stages.push_back(std::move(node));
    return ok();
  }

  // The ONBUILDs of a base that is a stage of this file run first in this stage.
  Status add_triggers(GraphStage& node) {
    if (node.base.kind != SourceKind::kStage) return ok();
    const Stage& base = dockerfile_.stages[static_cast<std::size_t>(node.base.stage)];
    for (std::size_t i = 0; i < base.steps.size(); ++i) {
      const auto* onbuild = std::get_if<Onbuild>(&base.steps[i].command);
      if (onbuild != nullptr) RETURN_IF_ERROR(add_references(node, onbuild->trigger->command, i, base.index));
    }
    return ok();
  }

  Status add_references(GraphStage& node, const Command& command, std::size_t step, std::optional<int> trigger) {
    if (const auto* copy = std::get_if<Copy>(&command); copy != nullptr && copy->from) {
      ASSIGN_OR_RETURN(Source source, resolver_.from(*copy->from, node.index));
      node.references.push_back({std::move(source), step, trigger, std::nullopt});
    }
    if (const auto* run = std::get_if<Run>(&command)) {
      for (std::size_t i = 0; i < run->mounts.size(); ++i) {
        const Mount& mount = run->mounts[i];
        if (!mount.from) continue;
        ASSIGN_OR_RETURN(Source source, resolver_.from(*mount.from, node.index));
        node.references.push_back({std::move(source), step, trigger, i});
      }
    }
    return ok();
  }

  static void collect_needs(GraphStage& node) {
    if (node.base.kind == SourceKind::kStage) node.needs.push_back(node.base.stage);
    for (const Reference& reference : node.references) {
      if (reference.source.kind == SourceKind::kStage) node.needs.push_back(reference.source.stage);
    }
    std::sort(node.needs.begin(), node.needs.end());
    node.needs.erase(std::unique(node.needs.begin(), node.needs.end()), node.needs.end());
  }

  Result<int> target() const {
    const int count = static_cast<int>(graph_.stages.size());
    const std::string& wanted = options_.target;
    if (wanted.empty()) return count - 1;
    if (const auto index = resolver_.earlier_stage(wanted, count)) return *index;
    if (all_digits(wanted) && index_of(wanted) >= 0 && index_of(wanted) < count) return index_of(wanted);
    std::vector<std::string> names;
    std::string list;
    for (const Stage& stage : dockerfile_.stages) {
      if (!stage.name.empty()) names.push_back(stage.from().name->text);
      const std::string shown = stage.name.empty() ? std::to_string(stage.index) : "'" + names.back() + "'";
      if (stage.index < kShownStages) list += (list.empty() ? "" : ", ") + shown;
    }
    if (count > kShownStages) list += ", …";
    return Error{ErrorCode::kNotFound, "target '" + wanted + "' is no stage of " + dockerfile_.file +
                                           did_you_mean(wanted, names) + " (its stages: " + list + ")"};
  }

  void mark(int index) {
    // Needs point backwards: one pass from the target down reaches every needed stage.
    graph_.stages[static_cast<std::size_t>(index)].needed = true;
    for (int i = index; i >= 0; --i) {
      const GraphStage& stage = graph_.stages[static_cast<std::size_t>(i)];
      if (!stage.needed) continue;
      for (const int need : stage.needs) graph_.stages[static_cast<std::size_t>(need)].needed = true;
    }
  }

  const Dockerfile& dockerfile_;
  const GraphOptions& options_;
  Resolver resolver_;
  Graph graph_;
};

}  // namespace

Result<Graph> make_graph(const Dockerfile& dockerfile, const GraphOptions& options) {
  return Builder(dockerfile, options).run();
}

Result<Source> resolve_from(const Dockerfile& dockerfile, const GraphOptions& options, int stage, const Word& from,
                            std::string_view file) {
  return Resolver(dockerfile, options, file).from(from, stage);
}

}  // namespace imagebuild::dockerfile
