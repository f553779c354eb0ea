#include "builder/stage/stage.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <system_error>
#include <utility>

#include "api/volume.h"
#include "base/file.h"
#include "base/overloaded.h"
#include "builder/stage/container_root.h"
#include "builder/stage/content_log.h"
#include "builder/stage/copy.h"
#include "builder/stage/exports.h"
#include "builder/stage/index_stage.h"
#include "builder/stage/layer_file.h"
#include "builder/stage/live_stage.h"
#include "builder/stage/log_tail.h"
#include "builder/stage/source_trees.h"
#include "oci/manifest.h"

namespace imagebuild::builder {
namespace {

namespace volume = api::volume;

constexpr std::uint64_t kMaxReportBytes = 64U << 20;
constexpr std::uint64_t kMaxSecretBytes = 1U << 20;

const api::PlanStage& stage_of(const api::Plan& plan, const StageJob& job) {
  return plan.stages[static_cast<std::size_t>(job.stage)];
}

std::filesystem::path folder_of(const StageJob& job) {
  return job.volume / volume::stage_folder(job.stage);
}

// Carries out the steps one by one and keeps the books.
class StageWork {
 public:
  StageWork(const api::Plan& plan, const StageJob& job, std::stop_token stop)
      : plan_(plan),
        stage_(stage_of(plan, job)),
        job_(job),
        stop_(std::move(stop)),
        sources_(plan, job.volume, job.context) {
    report_.stage = stage_.name;
  }

  Status run(StageRoot& root) {
    RETURN_IF_ERROR(add_parents_layers(root));
    ASSIGN_OR_RETURN(const std::size_t done, replay(root));
    for (std::size_t i = done; i < stage_.steps.size(); ++i) {
      step_ = static_cast<int>(i);
      log_.clear();
      exit_status_ = 0;
      if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "the build was stopped"};
      emit(api::StepStarted{step_});
      ASSIGN_OR_RETURN(const std::uint64_t layer_bytes, carry_out(stage_.steps[i], root));
      emit(api::StepDone{step_, layer_bytes});
    }
    step_ = -1;
    return finish(root);
  }

  // Writes the report, with the failure if there is one.
  Result<api::StageReport> close(const Status& status) {
    if (!status.ok()) report_.failure = failure_of(status.error());
    RETURN_IF_ERROR(write_file_atomically(folder_of(job_) / volume::kReport, report_.json()));
    emit(api::StageDone{report_});
    return report_;
  }

 private:
  void emit(const api::StageEvent& event) {
    if (job_.on_event) job_.on_event(event);
  }

  api::Failure failure_of(const Error& error) const {
    api::Failure failure;
    failure.stage = stage_.name;
    failure.step = step_;
    failure.at = step_ < 0 ? stage_.at : stage_.steps[static_cast<std::size_t>(step_)].at;
    failure.code = std::string(api::error_code_name(error.code));
    failure.exit_code = exit_status_;
    failure.message = error.message;
    failure.log_tail = log_.lines();
    return failure;
  }

  // The layers of the stages that this one is built on, from the bottom up.
  Status add_parents_layers(StageRoot& root) {
    for (const int parent : api::base_chain(plan_, job_.stage)) {
      if (parent == job_.stage) continue;
      const std::filesystem::path folder = job_.volume / volume::stage_folder(parent);
      const std::string where = "the layers of stage '" + plan_.stages[static_cast<std::size_t>(parent)].name + "'";
      auto text = read_file(folder / volume::kReport, kMaxReportBytes);
      if (!text.ok()) return Error{ErrorCode::kInternal, where + " are not on the volume: " + text.error().message};
      ASSIGN_OR_RETURN(const api::StageReport report, api::StageReport::parse(*text).in(where));
      for (const api::LayerReport& layer : report.layers) {
        RETURN_IF_ERROR(root.add_layer(folder, layer).in(where));
      }
    }
    return imagebuild::ok();
  }

  // Puts in place what a cache had, and returns how many steps that were.
  Result<std::size_t> replay(StageRoot& root) {
    const std::filesystem::path folder = folder_of(job_);
    const Result<std::string> text = read_file(folder / volume::kReplay, kMaxReportBytes);
    if (!text.ok() && text.error().code == ErrorCode::kNotFound) return std::size_t{0};
    if (!text.ok()) return text.error();
    ASSIGN_OR_RETURN(api::StageReport cached, api::StageReport::parse(*text));
    const int done = std::clamp(cached.cached_steps, 0, static_cast<int>(stage_.steps.size()));
    // Before anything can go wrong: no cache may take these for steps that were carried out and left no layer.
    report_.cached_steps = done;
    auto layer = cached.layers.begin();
    for (step_ = 0; step_ < done; ++step_) {
      emit(api::StepStarted{step_});
      std::uint64_t layer_bytes = 0;
      for (; layer != cached.layers.end() && layer->step == step_; ++layer) {
        RETURN_IF_ERROR(root.add_layer(folder, *layer).in("a layer that a cache kept"));
        layer_bytes = layer->uncompressed_bytes;
      }
      emit(api::StepDone{step_, layer_bytes, true});
    }
    if (layer != cached.layers.end()) {
      return Error{ErrorCode::kCorrupt, "what a cache kept has the layer " + layer->file + " of no step"};
    }
    report_.layers = std::move(cached.layers);
    return static_cast<std::size_t>(done);
  }

  // Returns the size of the step's layer.
  Result<std::uint64_t> carry_out(const api::Step& step, StageRoot& root) {
    return std::visit(Overloaded{
                          [&](const api::RunStep& run) { return carry_out_run(run, root); },
                          [&](const api::CopyStep& copy) { return carry_out_copy(copy, root); },
                          [&](const api::WorkdirStep& workdir) -> Result<std::uint64_t> {
                            ASSIGN_OR_RETURN(LayerEntries entries,
                                             plan_folder(workdir.path, workdir.owner, root.view(), plan_.epoch_s));
                            return put(std::move(entries), root);
                          },
                          [&](const api::MetadataStep&) -> Result<std::uint64_t> { return std::uint64_t{0}; },
                      },
                      step.action);
  }

  Result<std::uint64_t> carry_out_run(const api::RunStep& step, StageRoot& root) {
    const auto on_output = [this](int stream, std::string_view piece) {
      log_.add(stream, piece);
      emit(api::StepOutput{step_, stream, std::string(piece)});
    };
    ASSIGN_OR_RETURN(StageRoot::Run run, root.run(step, keeps_layer(), on_output, stop_));
    if (run.result.failure) {
      exit_status_ = run.result.exit_status;
      return *run.result.failure;
    }
    return keep_layer(run.entries, root);
  }

  Result<std::uint64_t> carry_out_copy(const api::CopyStep& step, StageRoot& root) {
    const SourceTree* source = nullptr;
    const archive::TreeIndex nothing;
    const IndexView empty(nothing, nullptr);
    if (!step.sources.empty()) {
      ASSIGN_OR_RETURN(source, sources_.open(step.from));
    }
    const TreeView* tree = source == nullptr ? static_cast<const TreeView*>(&empty) : &source->view;
    if (source != nullptr && job_.contents != nullptr) {
      tree = &logged_.emplace_back(source->view, source->tree.index(), step.from, *job_.contents);
    }
    CopyPlaces places{*tree, sources_.name(step.from), root.view(), plan_.epoch_s, folder_of(job_)};
    for (const api::RemoteSource& remote : step.remotes) {
      ASSIGN_OR_RETURN(RemoteTree opened, sources_.open_remote(remote));
      places.remotes.push_back(std::move(opened));
    }
    ASSIGN_OR_RETURN(LayerEntries entries, plan_copy(step, places));
    return put(std::move(entries), root);
  }

  // The layer is written before the root changes: its parents' metadata is what the base has.
  Result<std::uint64_t> put(LayerEntries entries, StageRoot& root) {
    clamp_times(entries, plan_.epoch_s);
    LayerEntries own = entries;
    ASSIGN_OR_RETURN(const std::uint64_t layer_bytes, keep_layer(entries, root));
    RETURN_IF_ERROR(root.put(own, stop_));
    return layer_bytes;
  }

  bool keeps_layer() const { return static_cast<std::size_t>(step_) < api::steps_with_layers(stage_); }

  Result<std::uint64_t> keep_layer(LayerEntries& entries, StageRoot& root) {
    if (!keeps_layer() || entries.empty()) return std::uint64_t{0};
    RETURN_IF_ERROR(add_parents(root.view(), entries));
    clamp_times(entries, plan_.epoch_s);
    const archive::Compression compression = stage_.keep_layers ? job_.compression : archive::Compression::kNone;
    const LayerSettings settings{folder_of(job_), compression, job_.threads};
    ASSIGN_OR_RETURN(api::LayerReport layer, write_layer(entries, step_, settings, stop_));
    report_.layers.push_back(layer);
    return layer.uncompressed_bytes;
  }

  Status finish(StageRoot& root) {
    if (!stage_.exports.empty()) {
      const std::filesystem::path folder = folder_of(job_);
      auto bytes =
          write_exports(root.view(), stage_.exports, folder / volume::kExportTar, folder / volume::kExportIndex, stop_);
      if (!bytes.ok()) {
        std::error_code error;
        std::filesystem::remove(folder / volume::kExportTar, error);
        if (bytes.error().code != ErrorCode::kExhausted) return bytes.error().in("writing the exports");
        return Error{ErrorCode::kExhausted, "the disk is full: writing the exports of stage '" + stage_.name + "'"};
      }
      report_.export_bytes = *bytes;
    }
    ASSIGN_OR_RETURN(report_.root_bytes, root.content_bytes());
    return imagebuild::ok();
  }

  const api::Plan& plan_;
  const api::PlanStage& stage_;
  const StageJob& job_;
  std::stop_token stop_;
  SourceTrees sources_;
  std::deque<LoggedView> logged_;  // Of `sources_`; what a step put may be read until the end.
  api::StageReport report_;
  int step_ = -1;
  int exit_status_ = 0;
  LogTail log_;
};

// An attempt that was cut off may have left things there: nothing of it counts, its report least of all. What a cache
// gave stays.
Status remove_leftovers(const std::filesystem::path& folder) {
  std::error_code error;
  const bool has_replay = std::filesystem::exists(folder / volume::kReplay, error);
  for (auto at = std::filesystem::directory_iterator(folder, error); !error && at != end(at); at.increment(error)) {
    const std::string name = at->path().filename();
    if (has_replay && (name == volume::kReplay || name == "layers")) continue;
    std::filesystem::remove_all(at->path(), error);
    if (error) break;
  }
  if (!error || error == std::errc::no_such_file_or_directory) return imagebuild::ok();
  return system_error("cannot remove what a former attempt left in " + folder.string(), error.value());
}

Status prepare_folders(const StageJob& job) {
  RETURN_IF_ERROR(remove_leftovers(folder_of(job)));
  std::error_code error;
  for (const char* file : {"layers/x", volume::kExportTar}) {
    const std::filesystem::path folder = (folder_of(job) / file).parent_path();
    std::filesystem::create_directories(folder, error);
    if (error) return system_error("cannot make " + folder.string(), error.value());
  }
  return imagebuild::ok();
}

Status check(const api::Plan& plan, const StageJob& job) {
  if (job.stage >= 0 && static_cast<std::size_t>(job.stage) < plan.stages.size()) return prepare_folders(job);
  return Error{ErrorCode::kInternal, "the plan has no stage " + std::to_string(job.stage)};
}

// The index of the image at the bottom; an empty one for scratch. Nothing when it is not on the volume.
Result<std::optional<archive::TreeIndex>> base_index(const api::Plan& plan, const StageJob& job) {
  const api::BaseImage* image = api::root_image(plan, job.stage);
  if (image == nullptr) return std::optional<archive::TreeIndex>(archive::TreeIndex());
  const auto number = static_cast<int>(image - plan.images.data());
  const std::filesystem::path file = job.volume / volume::base_index(number);
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return std::optional<archive::TreeIndex>();
  ASSIGN_OR_RETURN(archive::TreeIndex index, archive::TreeIndex::load(file).in("the index of " + image->name));
  return std::optional<archive::TreeIndex>(std::move(index));
}

std::vector<std::string> image_volumes(const api::Plan& plan, int stage) {
  const api::BaseImage* image = api::root_image(plan, stage);
  if (image == nullptr) return {};
  const auto config = oci::ImageConfig::parse(image->config_json);
  return config.ok() ? config->config.volumes : std::vector<std::string>();
}

Result<std::map<std::string, std::string>> read_secrets(const api::Plan& plan, const StageJob& job) {
  std::map<std::string, std::string> secrets;
  const std::vector<std::string> ids = api::secret_ids(plan, job.stage);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto content = read_file(job.volume / volume::kSecrets / std::to_string(i), kMaxSecretBytes);
    if (content.ok()) {
      secrets.emplace(ids[i], std::move(*content));
    } else if (content.error().code != ErrorCode::kNotFound) {
      return content.error().in("the secret '" + ids[i] + "'");
    }
  }
  return secrets;
}

Result<std::unique_ptr<StageRoot>> make_live(const api::Plan& plan, const StageJob& job) {
  ASSIGN_OR_RETURN(const std::optional<archive::TreeIndex> base, base_index(plan, job));
  ContainerRootSpec spec;
  spec.volume = job.volume.string();
  spec.volumes = image_volumes(plan, job.stage);
  spec.base = base ? &*base : nullptr;
  ASSIGN_OR_RETURN(LiveRoot root, open_container_root(spec));
  LiveStageSettings settings;
  settings.volume = job.volume;
  settings.stage_folder = folder_of(job);
  settings.mounts.volume = job.volume;
  settings.mounts.sources = std::make_shared<SourceTrees>(plan, job.volume);
  settings.mounts.cache_ids = api::cache_ids(plan, job.stage);
  settings.mounts.ssh_ids = api::ssh_ids(plan, job.stage);
  ASSIGN_OR_RETURN(settings.mounts.secrets, read_secrets(plan, job));
  settings.run = plan.run;
  settings.epoch_s = plan.epoch_s;
  settings.stop_now = job.stop_now;
  return std::unique_ptr<StageRoot>(std::make_unique<LiveStage>(std::move(root), std::move(settings)));
}

Result<std::unique_ptr<StageRoot>> make_computed(const api::Plan& plan, const StageJob& job) {
  ASSIGN_OR_RETURN(std::optional<archive::TreeIndex> base, base_index(plan, job));
  if (!base) return Error{ErrorCode::kInternal, "the index of the base image is not on the volume"};
  const bool needs_content = !stage_of(plan, job).exports.empty();
  return std::unique_ptr<StageRoot>(std::make_unique<IndexStage>(std::move(*base), needs_content));
}

using MakeRoot = Result<std::unique_ptr<StageRoot>> (*)(const api::Plan&, const StageJob&);

Result<api::StageReport> carry_out(const api::Plan& plan, const StageJob& job, std::stop_token stop, MakeRoot make) {
  RETURN_IF_ERROR(check(plan, job));
  StageWork work(plan, job, std::move(stop));
  auto root = make(plan, job);
  if (!root.ok()) return work.close(root.error());
  return work.close(work.run(**root));
}

}  // namespace

Result<api::StageReport> run_stage(const api::Plan& plan, const StageJob& job, std::stop_token stop) {
  return carry_out(plan, job, std::move(stop), make_live);
}

Result<api::StageReport> compute_stage(const api::Plan& plan, const StageJob& job, std::stop_token stop) {
  return carry_out(plan, job, std::move(stop), make_computed);
}

}  // namespace imagebuild::builder
