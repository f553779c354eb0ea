#include "dockerfile/graph.h"

#include <algorithm>
#include <utility>

#include "dockerfile/source_resolver.h"

namespace imagebuild::dockerfile {

namespace {

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
    if (const auto index = stage_index(wanted); index && *index >= 0 && *index < count) return *index;
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
  SourceResolver resolver_;
  Graph graph_;
};

}  // namespace

Result<Graph> make_graph(const Dockerfile& dockerfile, const GraphOptions& options) {
  return Builder(dockerfile, options).run();
}

Result<Source> resolve_from(const Dockerfile& dockerfile, const GraphOptions& options, int stage, const Word& from,
                            std::string_view file) {
  return SourceResolver(dockerfile, options, file).from(from, stage);
}

}  // namespace imagebuild::dockerfile
