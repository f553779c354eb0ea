#include "cli/stage_key.h"

#include <string_view>

#include "base/overloaded.h"
#include "builder/stage/source_trees.h"
#include "builder/stage/sources.h"

namespace imagebuild::cli {

namespace {

// Hashes fields so that no two lists of fields give the same bytes.
class KeyHasher {
 public:
  void add(std::string_view field) {
    hasher_.update(as_bytes(std::to_string(field.size()) + ":"));
    hasher_.update(as_bytes(field));
  }
  void add(std::uint64_t number) { add(std::string_view(std::to_string(number))); }
  oci::Digest finish() { return hasher_.finish(); }

 private:
  oci::Hasher hasher_;
};

Result<oci::Digest> content_digest(const builder::TreeView& tree, const archive::Node& file) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> content, tree.open(file));
  oci::Hasher hasher;
  std::vector<std::byte> buffer(128 * 1024);
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t count, content->read(buffer));
    if (count == 0) return hasher.finish();
    hasher.update(std::span(buffer).first(count));
  }
}

// Everything of one object but its times. The owners of context files do not count: COPY gives them its own.
Status add_object(const builder::TreeView& tree, const builder::Found& found, bool with_owner, KeyHasher& key) {
  const archive::Node& node = found.node;
  key.add(node.path);
  key.add(static_cast<std::uint64_t>(node.type));
  key.add(node.mode);
  key.add(with_owner ? node.uid : 0);
  key.add(with_owner ? node.gid : 0);
  key.add(node.link);
  key.add(found.file_id);
  key.add(node.device_major);
  key.add(node.device_minor);
  for (const auto& [name, value] : node.xattrs) {
    key.add(name);
    key.add(value);
  }
  if (node.type != archive::NodeType::kFile && node.type != archive::NodeType::kHardlink) return ok();
  ASSIGN_OR_RETURN(const oci::Digest digest, content_digest(tree, node));
  key.add(digest.str());
  return ok();
}

Status add_tree(const builder::TreeView& tree, const std::string& path, bool with_owner, KeyHasher& key) {
  ASSIGN_OR_RETURN(const std::optional<builder::Found> top, tree.lookup(path));
  key.add(path);
  key.add(top.has_value() ? "present" : "absent");
  if (!top) return ok();
  RETURN_IF_ERROR(add_object(tree, *top, with_owner, key));
  if (top->node.type != archive::NodeType::kDirectory) return ok();
  return tree.walk(path, [&](const builder::Found& found) { return add_object(tree, found, with_owner, key); });
}

// What a COPY or ADD reads: each object that a source names, what lies below it, and the links on the way to it.
Status add_sources(const api::CopyStep& copy, builder::SourceTrees& trees, KeyHasher& key) {
  if (copy.sources.empty()) return ok();
  ASSIGN_OR_RETURN(const builder::SourceTree* const source, trees.open(copy.from));
  const builder::TreeView& tree = source->view;
  const bool with_owner = std::holds_alternative<api::FromStage>(copy.from);
  for (const std::string& pattern : copy.sources) {
    std::vector<std::string> passed;
    ASSIGN_OR_RETURN(const std::vector<std::string> matches, builder::match_sources(tree, pattern, &passed));
    key.add(matches.size());
    for (const std::string& match : matches) {
      RETURN_IF_ERROR(add_tree(tree, match, with_owner, key));
      ASSIGN_OR_RETURN(const std::string target, tree.resolve(match, true, &passed));
      if (target != match) RETURN_IF_ERROR(add_tree(tree, target, with_owner, key));
    }
    for (const std::string& path : passed) {
      ASSIGN_OR_RETURN(const std::optional<builder::Found> found, tree.lookup(path));
      if (found && found->node.type == archive::NodeType::kSymlink) {
        RETURN_IF_ERROR(add_object(tree, *found, with_owner, key));
      }
    }
  }
  return ok();
}

// The stage as far as its result depends on it: without names, places, texts and what only the config says.
std::string canonical_stage(const api::Plan& plan, int stage) {
  api::Plan reduced;
  reduced.epoch_s = plan.epoch_s;
  api::PlanStage it = plan.stages[static_cast<std::size_t>(stage)];
  it.name.clear();
  it.at = {};
  it.base = api::Scratch{};
  it.needs.clear();
  std::vector<std::string> volumes = std::move(it.config.volumes);
  it.config = {};
  it.config.volumes = std::move(volumes);
  for (api::Step& step : it.steps) {
    step.at = {};
    step.text.clear();
    step.created_by.clear();
    auto* const copy = std::get_if<api::CopyStep>(&step.action);
    if (copy != nullptr && std::holds_alternative<api::FromStage>(copy->from)) copy->from = api::FromStage{0};
  }
  reduced.stages = {std::move(it)};
  return reduced.json();
}

// What the stage starts from.
Status add_base(const api::Plan& plan, int stage, const StageKeyInputs& inputs, KeyHasher& key) {
  const api::BaseImage* const image = api::root_image(plan, stage);
  key.add(image == nullptr ? std::string_view("scratch") : std::string_view(image->digest));
  for (const int below : api::base_chain(plan, stage)) {
    if (below == stage) continue;
    const std::optional<api::StageReport>& report = inputs.reports[static_cast<std::size_t>(below)];
    if (!report) return Error{ErrorCode::kInternal, "a stage is to run before the one it is built on"};
    key.add("layers");
    for (const api::LayerReport& layer : report->layers) key.add(layer.diff_id);
    for (const std::string& path : plan.stages[static_cast<std::size_t>(below)].config.volumes) key.add(path);
  }
  return ok();
}

}  // namespace

Result<oci::Digest> stage_key(const api::Plan& plan, int stage, const StageKeyInputs& inputs) {
  KeyHasher key;
  key.add("imagebuild stage 1");
  key.add(inputs.builder);
  RETURN_IF_ERROR(add_base(plan, stage, inputs, key));
  key.add(canonical_stage(plan, stage));
  builder::SourceTrees trees(plan, inputs.volume);
  for (const api::Step& step : plan.stages[static_cast<std::size_t>(stage)].steps) {
    const auto* const copy = std::get_if<api::CopyStep>(&step.action);
    if (copy == nullptr) continue;
    key.add("copy");
    RETURN_IF_ERROR(add_sources(*copy, trees, key));
  }
  return key.finish();
}

}  // namespace imagebuild::cli
