#include "cli/stage_key.h"

#include <string_view>

#include "base/overloaded.h"
#include "builder/stage/copy.h"
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

// The symlinks on a way.
Status add_links(const builder::TreeView& tree, const std::vector<std::string>& passed, bool with_owner,
                 KeyHasher& key) {
  for (const std::string& path : passed) {
    ASSIGN_OR_RETURN(const std::optional<builder::Found> found, tree.lookup(path));
    if (found && found->node.type == archive::NodeType::kSymlink) {
      RETURN_IF_ERROR(add_object(tree, *found, with_owner, key));
    }
  }
  return ok();
}

// What `path` leads to with everything that the selection takes below it.
Status add_source(const builder::TreeView& tree, const builder::CopySelection& selection,
                  const builder::NamedSource& source, bool with_owner, KeyHasher& key) {
  std::vector<std::string> passed;
  ASSIGN_OR_RETURN(const std::string real, tree.resolve(source.path, true, &passed));
  RETURN_IF_ERROR(add_links(tree, passed, with_owner, key));
  ASSIGN_OR_RETURN(const std::optional<builder::Found> top, tree.lookup(real));
  key.add(source.path);
  key.add(top.has_value() ? "present" : "absent");
  if (!top) return ok();
  if (top->node.type != archive::NodeType::kDirectory) return add_object(tree, *top, with_owner, key);
  key.add("folder");
  return selection.walk(tree, real, source,
                        [&](const builder::Found& found, const std::string&, builder::CopySelection::As) {
                          return add_object(tree, found, with_owner, key);
                        });
}

bool counts_owners(const api::CopyFrom& from) {
  return std::holds_alternative<api::FromStage>(from);
}

// What a COPY or ADD reads: each object that a source names, what it takes below it, and the links on the way to it.
Status add_sources(const api::CopyStep& copy, builder::SourceTrees& trees, KeyHasher& key) {
  ASSIGN_OR_RETURN(const builder::CopySelection selection, builder::CopySelection::of(copy));
  if (!copy.sources.empty()) {
    ASSIGN_OR_RETURN(const builder::SourceTree* const opened, trees.open(copy.from));
    const builder::TreeView& tree = opened->view;
    const bool with_owner = counts_owners(copy.from);
    std::vector<std::string> passed;
    ASSIGN_OR_RETURN(const std::vector<builder::NamedSource> sources, selection.find(tree, &passed));
    key.add(sources.size());
    for (const builder::NamedSource& source : sources) {
      RETURN_IF_ERROR(add_source(tree, selection, source, with_owner, key));
    }
    RETURN_IF_ERROR(add_links(tree, passed, with_owner, key));
  }
  for (const api::RemoteSource& source : copy.remotes) {
    ASSIGN_OR_RETURN(const builder::RemoteTree remote, trees.open_remote(source));
    key.add(remote.is_download ? "download" : "checkout");
    RETURN_IF_ERROR(add_source(*remote.tree, selection, builder::NamedSource{}, false, key));
  }
  return ok();
}

// What a mount shows of a tree; a bind mount shows the owners too.
Status add_mounted(const api::CopyFrom& from, const std::string& path, builder::SourceTrees& trees, KeyHasher& key) {
  ASSIGN_OR_RETURN(const builder::SourceTree* const opened, trees.open(from));
  const builder::TreeView& tree = opened->view;
  key.add("mount");
  return add_source(tree, builder::CopySelection(), builder::NamedSource{path, std::nullopt}, true, key);
}

Status add_mounts(const api::RunStep& run, builder::SourceTrees& trees, KeyHasher& key) {
  for (const api::Mount& mount : run.mounts) {
    if (const auto* bind = std::get_if<api::BindMount>(&mount)) {
      RETURN_IF_ERROR(add_mounted(bind->from, bind->source, trees, key));
    } else if (const auto* cache = std::get_if<api::CacheMount>(&mount); cache != nullptr && cache->from) {
      RETURN_IF_ERROR(add_mounted(*cache->from, cache->source, trees, key));
    }
  }
  return ok();
}

// Which stage or tree it is does not count, only what is taken from it.
void forget_number(api::CopyFrom& from) {
  if (std::holds_alternative<api::FromStage>(from)) from = api::FromStage{0};
  if (std::holds_alternative<api::FromTree>(from)) from = api::FromTree{0};
}

void forget_numbers(api::CopyStep& copy) {
  forget_number(copy.from);
  for (api::RemoteSource& remote : copy.remotes) remote.tree = 0;
}

void forget_numbers(api::RunStep& run) {
  for (api::Mount& mount : run.mounts) {
    if (auto* bind = std::get_if<api::BindMount>(&mount)) forget_number(bind->from);
    if (auto* cache = std::get_if<api::CacheMount>(&mount); cache != nullptr && cache->from) {
      forget_number(*cache->from);
    }
  }
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
    if (auto* copy = std::get_if<api::CopyStep>(&step.action)) forget_numbers(*copy);
    if (auto* run = std::get_if<api::RunStep>(&step.action)) {
      forget_numbers(*run);
      reduced.run = plan.run;
    }
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
  key.add("imagebuild stage 2");
  key.add(inputs.builder);
  RETURN_IF_ERROR(add_base(plan, stage, inputs, key));
  key.add(canonical_stage(plan, stage));
  builder::SourceTrees trees(plan, inputs.volume);
  for (const api::Step& step : plan.stages[static_cast<std::size_t>(stage)].steps) {
    if (const auto* copy = std::get_if<api::CopyStep>(&step.action)) {
      key.add("copy");
      RETURN_IF_ERROR(add_sources(*copy, trees, key));
    } else if (const auto* run = std::get_if<api::RunStep>(&step.action)) {
      RETURN_IF_ERROR(add_mounts(*run, trees, key));
    }
  }
  return key.finish();
}

}  // namespace imagebuild::cli
