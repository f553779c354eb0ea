#include "builder/cache/step_inputs.h"

#include <fcntl.h>

#include <algorithm>
#include <string_view>

#include "base/file.h"
#include "base/overloaded.h"
#include "builder/stage/copy.h"
#include "builder/stage/source_trees.h"
#include "builder/stage/sources.h"
#include "dockerfile/scope.h"
#include "oci/digest.h"

namespace imagebuild::builder {

namespace {

using build::FieldHasher;
using build::InputKind;
using build::KeyInput;
using build::StageInputs;
using build::StepInputs;

std::string hex_of(build::FieldHasher& hash) {
  return std::string(hash.finish().hex());
}

std::string hash_of(std::string_view text) {
  return std::string(oci::Digest::of(text).hex());
}

constexpr std::size_t kBufferBytes = 128 * 1024;

Result<oci::Digest> content_digest(ByteSource& content, std::span<std::byte> buffer) {
  oci::Hasher hasher;
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t count, content.read(buffer));
    if (count == 0) return hasher.finish();
    hasher.update(buffer.first(count));
  }
}

// The trees that a stage's steps take files from, and what is known of those of the context.
struct Trees {
  SourceTrees& source;
  ContentMemo* memo;
  const ContentLog* log;
  const archive::FileVersions* listed;
};

// What is known of a tree's content: the memo knows only that of the context.
struct KnownContent {
  const archive::TreeIndex* index = nullptr;
  ContentMemo* memo = nullptr;
  const ContentLog* log = nullptr;
  api::CopyFrom from = {};
  const archive::FileVersions* listed = nullptr;
};

KnownContent known_content(const Trees& trees, const api::CopyFrom& from, const SourceTree& tree) {
  const bool is_context = std::holds_alternative<api::FromContext>(from);
  return KnownContent{&tree.tree.index(), is_context ? trees.memo : nullptr, trees.log, from,
                      is_context ? trees.listed : nullptr};
}

// What a step takes from one tree, object by object.
class TreeInputs {
 public:
  // The owners of context files do not count: COPY gives them its own.
  TreeInputs(const TreeView& tree, std::string name, bool with_owners, KnownContent known,
             std::vector<KeyInput>& inputs)
      : tree_(tree), name_(std::move(name)), with_owners_(with_owners), known_(known), inputs_(inputs) {}

  // What `source` leads to with everything that the selection takes below it.
  Status add(const CopySelection& selection, const NamedSource& source) {
    std::vector<std::string> passed;
    ASSIGN_OR_RETURN(const std::string real, tree_.resolve(source.path, true, &passed));
    RETURN_IF_ERROR(add_links(passed));
    ASSIGN_OR_RETURN(const std::optional<Found> top, tree_.lookup(real));
    if (!top) return note(source.path, "absent");
    if (top->node.type != archive::NodeType::kDirectory) return add_object(*top);
    RETURN_IF_ERROR(note(source.path, "folder"));
    return selection.walk(tree_, real, source,
                          [&](const Found& found, const std::string&, CopySelection::As) { return add_object(found); });
  }

  // What `path` leads to, without anything below it.
  Status add_itself(const std::string& path) {
    ASSIGN_OR_RETURN(const std::string real, tree_.resolve(path, true));
    ASSIGN_OR_RETURN(const std::optional<Found> found, tree_.lookup(real));
    return found ? add_object(*found) : imagebuild::ok();
  }

  // The symlinks on a way.
  Status add_links(const std::vector<std::string>& passed) {
    for (const std::string& path : passed) {
      ASSIGN_OR_RETURN(const std::optional<Found> found, tree_.lookup(path));
      if (found && found->node.type == archive::NodeType::kSymlink) {
        RETURN_IF_ERROR(add_object(*found));
      }
    }
    return imagebuild::ok();
  }

 private:
  // Everything of one object but its times.
  Status add_object(const Found& found) {
    const archive::Node& node = found.node;
    FieldHasher hash;
    hash.add(static_cast<std::uint64_t>(node.type));
    hash.add(node.mode);
    hash.add(with_owners_ ? node.uid : 0);
    hash.add(with_owners_ ? node.gid : 0);
    hash.add(node.link);
    hash.add(found.file_id);
    hash.add(node.device_major);
    hash.add(node.device_minor);
    for (const auto& [name, value] : node.xattrs) {
      hash.add(name);
      hash.add(value);
    }
    if (node.type == archive::NodeType::kFile || node.type == archive::NodeType::kHardlink) {
      ASSIGN_OR_RETURN(const oci::Digest digest, digest_of(node));
      hash.add(digest.str());
    }
    return note(node.path, hex_of(hash));
  }

  Result<oci::Digest> digest_of(const archive::Node& node) {
    // A hard link shares the file that the layer will have.
    const archive::Node& file = known_.index != nullptr ? file_behind(*known_.index, node) : node;
    if (known_.log != nullptr) {
      if (std::optional<oci::Digest> digest = known_.log->find(known_.from, file.path)) return std::move(*digest);
    }
    if (known_.memo != nullptr) return memory_of(file);
    ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> content, tree_.open(node));
    return content_digest(*content, buffer_);
  }

  Result<oci::Digest> memory_of(const archive::Node& file) {
    if (known_.listed != nullptr) {
      if (const auto listed = known_.listed->find(file.path); listed != known_.listed->end()) {
        return known_.memo->digest_of(file, listed->second);
      }
    }
    return known_.memo->digest_of(file);
  }

  Status note(const std::string& path, std::string value) {
    inputs_.push_back({InputKind::kFile, name_ + (path.empty() ? "." : path), std::move(value)});
    return imagebuild::ok();
  }

  const TreeView& tree_;
  std::string name_;  // Before each path: "", "stage 'build': /".
  bool with_owners_;
  KnownContent known_;
  std::vector<KeyInput>& inputs_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kBufferBytes);  // One for all files: most are small.
};

std::string prefix(const api::CopyFrom& from) {
  if (std::holds_alternative<api::FromContext>(from)) return {};
  return "/";  // Whose it is does not count, only what is taken from it.
}

bool counts_owners(const api::CopyFrom& from) {
  return std::holds_alternative<api::FromStage>(from);
}

// What a COPY or ADD reads: each object that a source names, what it takes below it, and the links on the way to it.
Status add_sources(const api::CopyStep& copy, const Trees& trees, std::vector<KeyInput>& inputs) {
  ASSIGN_OR_RETURN(const CopySelection selection, CopySelection::of(copy));
  if (!copy.sources.empty()) {
    ASSIGN_OR_RETURN(const SourceTree* const opened, trees.source.open(copy.from));
    TreeInputs tree(opened->view, prefix(copy.from), counts_owners(copy.from), known_content(trees, copy.from, *opened),
                    inputs);
    std::vector<std::string> passed;
    ASSIGN_OR_RETURN(const std::vector<NamedSource> sources, selection.find(opened->view, &passed));
    for (const NamedSource& source : sources) RETURN_IF_ERROR(tree.add(selection, source));
    RETURN_IF_ERROR(tree.add_links(passed));
  }
  for (const api::RemoteSource& source : copy.remotes) {
    ASSIGN_OR_RETURN(const RemoteTree remote, trees.source.open_remote(source));
    TreeInputs tree(*remote.tree, remote.is_download ? "download: " : "checkout: ", false, {}, inputs);
    RETURN_IF_ERROR(tree.add(selection, NamedSource{}));
  }
  return imagebuild::ok();
}

// What a mount shows of a tree. Unlike a COPY it shows the mode and the owner of the folder itself.
Status add_mounted(const api::CopyFrom& from, const std::string& path, const Trees& trees,
                   std::vector<KeyInput>& inputs) {
  ASSIGN_OR_RETURN(const SourceTree* const opened, trees.source.open(from));
  TreeInputs tree(opened->view, prefix(from), counts_owners(from), known_content(trees, from, *opened), inputs);
  RETURN_IF_ERROR(tree.add_itself(path));
  return tree.add(CopySelection(), NamedSource{path, std::nullopt});
}

Status add_mounts(const api::RunStep& run, const Trees& trees, std::vector<KeyInput>& inputs) {
  for (const api::Mount& mount : run.mounts) {
    if (const auto* bind = std::get_if<api::BindMount>(&mount)) {
      RETURN_IF_ERROR(add_mounted(bind->from, bind->source, trees, inputs));
    } else if (const auto* cache = std::get_if<api::CacheMount>(&mount); cache != nullptr && cache->from) {
      RETURN_IF_ERROR(add_mounted(*cache->from, cache->source, trees, inputs));
    }
  }
  return imagebuild::ok();
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

// What JSON cannot say exactly: bytes that are not UTF-8, from an argument's value.
void add_exact(const api::Step& step, FieldHasher& hash) {
  const auto add_file = [&](const api::InlineFile& file) {
    hash.add(file.name);
    hash.add(file.content);
  };
  if (const auto* copy = std::get_if<api::CopyStep>(&step.action)) {
    for (const std::string& source : copy->sources) hash.add(source);
    for (const api::InlineFile& file : copy->inline_sources) add_file(file);
    for (const std::string& pattern : copy->exclude) hash.add(pattern);
    for (const std::string* text : {&copy->destination, &copy->owner, &copy->mode}) hash.add(*text);
  } else if (const auto* run = std::get_if<api::RunStep>(&step.action)) {
    for (const std::string& word : run->argv) hash.add(word);
    if (run->script) add_file(*run->script);
    for (const std::string* text : {&run->user, &run->working_dir}) hash.add(*text);
  } else if (const auto* workdir = std::get_if<api::WorkdirStep>(&step.action)) {
    for (const std::string* text : {&workdir->path, &workdir->owner}) hash.add(*text);
  }
}

// What the step itself says, without its place and text, and without its variables, which are inputs of their own.
std::string instruction_hash(const api::Plan& plan, const api::Step& step) {
  api::Plan reduced;
  api::Step bare;
  bare.action = step.action;
  if (auto* copy = std::get_if<api::CopyStep>(&bare.action)) forget_numbers(*copy);
  if (auto* run = std::get_if<api::RunStep>(&bare.action)) {
    forget_numbers(*run);
    run->env.clear();
    reduced.run = plan.run;
  }
  reduced.stages.emplace_back().steps = {std::move(bare)};
  FieldHasher hash;
  hash.add(reduced.json());
  add_exact(step, hash);
  return hex_of(hash);
}

// The proxies of a build are in the environment of each RUN, and no part of a key unless the Dockerfile names them
// (Dockerfile reference, "Predefined ARGs"): by an ARG, which the history of the step tells, or by an ENV.
bool is_proxy_of_the_build(const api::PlanStage& stage, const api::Step& step, const std::string& name) {
  if (!dockerfile::is_proxy_argument(name)) return false;
  const std::string assignment = name + "=";
  const bool is_set = std::ranges::any_of(
      stage.config.env, [&](const std::string& variable) { return variable.starts_with(assignment); });
  return !is_set && step.created_by.find(" " + assignment) == std::string::npos;
}

void add_variables(const api::PlanStage& stage, const api::Step& step, const api::RunStep& run,
                   std::vector<KeyInput>& inputs) {
  for (const std::string& variable : run.env) {
    const std::size_t name_size = std::min(variable.find('='), variable.size());
    if (is_proxy_of_the_build(stage, step, variable.substr(0, name_size))) continue;
    inputs.push_back({InputKind::kVariable, variable.substr(0, name_size), hash_of(variable)});
  }
}

// The stages whose files the step takes.
std::vector<int> stages_read(const api::Step& step) {
  std::vector<int> stages;
  const auto add = [&](const api::CopyFrom& from) {
    if (const auto* it = std::get_if<api::FromStage>(&from)) stages.push_back(it->stage);
  };
  if (const auto* copy = std::get_if<api::CopyStep>(&step.action); copy != nullptr && !copy->sources.empty()) {
    add(copy->from);
  } else if (const auto* run = std::get_if<api::RunStep>(&step.action)) {
    for (const api::Mount& mount : run->mounts) {
      if (const auto* bind = std::get_if<api::BindMount>(&mount)) add(bind->from);
      const auto* cache = std::get_if<api::CacheMount>(&mount);
      if (cache != nullptr && cache->from) add(*cache->from);
    }
  }
  return stages;
}

// What the stage starts from; false when a stage below is not done.
bool add_base(const api::Plan& plan, int stage, const InputPlaces& places, std::vector<KeyInput>& inputs) {
  const api::BaseImage* const image = api::root_image(plan, stage);
  if (image == nullptr) {
    inputs.push_back({InputKind::kBase, "scratch", hash_of("scratch")});
  } else {
    inputs.push_back({InputKind::kBase, image->name, image->digest});
  }
  for (const int below : api::base_chain(plan, stage)) {
    if (below == stage) continue;
    const std::optional<api::StageReport>& report = places.reports[static_cast<std::size_t>(below)];
    if (!report) return false;
    const api::PlanStage& parent = plan.stages[static_cast<std::size_t>(below)];
    FieldHasher hash;
    for (const api::LayerReport& layer : report->layers) hash.add(layer.diff_id);
    hash.add("volumes");
    for (const std::string& path : parent.config.volumes) hash.add(path);
    inputs.push_back({InputKind::kBase, "stage " + parent.name, hex_of(hash)});
  }
  return true;
}

// What leaves the stage, and how.
void add_end(const api::PlanStage& stage, std::vector<KeyInput>& inputs) {
  FieldHasher hash;
  hash.add(stage.keep_layers ? "layers" : "no layers");
  for (const std::string& pattern : stage.exports) hash.add(pattern);
  inputs.push_back({InputKind::kExports, "", hex_of(hash)});
}

// Without `trees` no files.
Status add_step(const api::Plan& plan, const api::PlanStage& stage, const api::Step& step, const Trees* trees,
                std::vector<KeyInput>& inputs) {
  inputs.push_back({InputKind::kInstruction, "", instruction_hash(plan, step)});
  if (const auto* copy = std::get_if<api::CopyStep>(&step.action)) {
    return trees == nullptr ? imagebuild::ok() : add_sources(*copy, *trees, inputs);
  }
  const auto* run = std::get_if<api::RunStep>(&step.action);
  if (run == nullptr) return imagebuild::ok();
  add_variables(stage, step, *run, inputs);
  return trees == nullptr ? imagebuild::ok() : add_mounts(*run, *trees, inputs);
}

Result<StageInputs> collect(const api::Plan& plan, int stage, const InputPlaces& places, bool with_files) {
  const api::PlanStage& it = plan.stages[static_cast<std::size_t>(stage)];
  StageInputs inputs;
  inputs.start.push_back({InputKind::kBuilder, "", hash_of(places.builder)});
  inputs.start.push_back({InputKind::kPlatform, "", hash_of(it.platform)});
  // Layers for a cache alone are not compressed: they are not those of an image.
  const archive::Compression compression = it.keep_layers ? places.compression : archive::Compression::kNone;
  inputs.start.push_back({InputKind::kCompression, "", std::to_string(static_cast<int>(compression))});
  if (plan.epoch_is_given) inputs.start.push_back({InputKind::kEpoch, "", std::to_string(plan.epoch_s)});
  FieldHasher volumes;
  for (const std::string& path : it.config.volumes) volumes.add(path);
  inputs.start.push_back({InputKind::kInstruction, "VOLUME", hex_of(volumes)});
  inputs.is_complete = add_base(plan, stage, places, inputs.start);
  if (!inputs.is_complete) return inputs;

  SourceTrees opened(plan, places.volume, places.context);
  const Trees trees{opened, places.memo, places.contents, places.listed};
  const auto is_done = [&](int source) { return places.reports[static_cast<std::size_t>(source)].has_value(); };
  for (std::size_t i = 0; i < it.steps.size(); ++i) {
    if (std::holds_alternative<api::MetadataStep>(it.steps[i].action)) continue;
    inputs.is_complete = std::ranges::all_of(stages_read(it.steps[i]), is_done);
    if (!inputs.is_complete) return inputs;
    StepInputs& step = inputs.steps.emplace_back(StepInputs{static_cast<int>(i), {}});
    RETURN_IF_ERROR(add_step(plan, it, it.steps[i], with_files ? &trees : nullptr, step.inputs));
  }
  add_end(it, inputs.end);
  return inputs;
}

}  // namespace

Result<StageInputs> stage_inputs(const api::Plan& plan, int stage, const InputPlaces& places) {
  return collect(plan, stage, places, true);
}

Result<StageInputs> stage_outline(const api::Plan& plan, int stage, const InputPlaces& places) {
  return collect(plan, stage, places, false);
}

Result<std::string> builder_identity(const std::filesystem::path& program) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(program, O_RDONLY));
  FileSource file(std::move(fd));
  std::vector<std::byte> buffer(kBufferBytes);
  ASSIGN_OR_RETURN(const oci::Digest digest, content_digest(file, buffer));
  return digest.str();
}

}  // namespace imagebuild::builder
