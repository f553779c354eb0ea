#include "dockerfile/source_resolver.h"

#include <charconv>

#include "dockerfile/lines.h"

namespace imagebuild::dockerfile {

namespace {

// Images that people use without a tag. A name of this list is never taken for a misspelt stage.
constexpr std::string_view kWellKnownImages =
    " "
    "adminer almalinux alpine amazoncorretto amazonlinux arangodb archlinux bash buildpack-deps busybox "
    "caddy cassandra centos chronograf cirros clojure composer consul couchbase couchdb dart debian "
    "docker drupal eclipse-mosquitto eclipse-temurin elasticsearch elixir emqx erlang fedora flink "
    "fluentd gcc ghost golang gradle groovy haproxy haskell hello-world httpd ibmjava influxdb jetty "
    "joomla jruby julia kapacitor kibana kong logstash mageia mariadb matomo maven memcached mongo mono "
    "mysql nats neo4j nextcloud nginx node openjdk oraclelinux percona perl photon php postgres pypy "
    "python r-base rabbitmq redis registry rethinkdb rockylinux ruby rust sapmachine solr sonarqube spark "
    "storm swift telegraf tomcat traefik ubuntu varnish vault wordpress zookeeper ";

// Shorter names are too near to each other to tell a slip from another name.
constexpr std::size_t kShortestName = 3;

bool is_well_known(std::string_view name) {
  return kWellKnownImages.find(" " + std::string(name) + " ") != std::string_view::npos;
}

}  // namespace

std::optional<int> stage_index(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : -1;
}

std::optional<int> SourceResolver::earlier_stage(std::string_view name, int before) const {
  const std::string wanted = lower(name);
  for (int i = before - 1; i >= 0; --i) {
    if (stage(i).name == wanted) return i;
  }
  return std::nullopt;
}

std::optional<std::string> SourceResolver::context(std::string_view name) const {
  for (const std::string& context : options_.named_contexts) {
    if (context == name || context + ":latest" == name || context == std::string(name) + ":latest") return context;
  }
  return std::nullopt;
}

bool SourceResolver::replaced(int index) const {
  return !stage(index).name.empty() && context(stage(index).name).has_value();
}

Source SourceResolver::stage_source(int index, Position at) const {
  if (replaced(index)) return Source{SourceKind::kNamedContext, -1, *context(stage(index).name), at};
  return Source{SourceKind::kStage, index, {}, at};
}

Result<Source> SourceResolver::from(const Word& word, int in) {
  const std::string& name = word.text;
  if (const auto index = stage_index(name)) return by_index(word, *index, in);
  if (const auto index = earlier_stage(name, in)) return stage_source(*index, word.at);
  const std::string wanted = lower(name);
  if (stage(in).name == wanted) {
    return error(word.at, "stage '" + name + "' cannot take files from itself; a stage may name only stages before it");
  }
  for (std::size_t i = static_cast<std::size_t>(in) + 1; i < stages_.size(); ++i) {
    if (stages_[i].name == wanted) return later(word, stages_[i]);
  }
  return image(word.at, name, in);
}

Result<Source> SourceResolver::base(const Word& word, const std::string& name, int in) {
  if (const auto index = earlier_stage(name, in)) return stage_source(*index, word.at);
  const std::string wanted = lower(name);
  for (std::size_t i = static_cast<std::size_t>(in) + 1; i < stages_.size(); ++i) {
    if (stages_[i].name != wanted) continue;
    // FROM x AS x: there is an image of that name, so this may mean it too.
    const bool is_image = is_well_known(wanted) || lower(stages_[i].from().image.text) == wanted;
    if (stage(in).name != wanted && !context(name) && !is_image) {
      return later(Word{name, word.at}, stages_[i]);
    }
  }
  return image(word.at, name, in);
}

Error SourceResolver::error(Position at, const std::string& message) const {
  return located_error(file_, at, message);
}

Result<Source> SourceResolver::by_index(const Word& word, int index, int in) const {
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

Error SourceResolver::later(const Word& word, const Stage& stage) const {
  return error(word.at, "stage '" + word.text + "' comes only in line " + std::to_string(stage.instruction.at.line) +
                            "; a stage may name only stages before it");
}

bool SourceResolver::used_as_image(const std::string& name, int before) {
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

std::string SourceResolver::misspelt_stage(const std::string& name, int before) {
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
Result<Source> SourceResolver::image(Position at, const std::string& name, int in) {
  if (const auto found = context(name)) return Source{SourceKind::kNamedContext, -1, *found, at};
  if (name == "scratch") return Source{SourceKind::kScratch, -1, {}, at};
  const bool plain = name.find_first_of("/:@.") == std::string::npos;
  if (plain && name.size() >= kShortestName && !is_well_known(name) && !used_as_image(name, in)) {
    if (const std::string hint = misspelt_stage(name, in); !hint.empty()) {
      return error(at,
                   "unknown stage '" + name + "'" + hint + " (an image of that name is written '" + name + ":latest')");
    }
  }
  return Source{SourceKind::kImage, -1, name, at};
}

}  // namespace imagebuild::dockerfile
