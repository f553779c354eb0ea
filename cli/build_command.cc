#include "cli/build_command.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <mutex>

#include "api/volume.h"
#include "base/file.h"
#include "builder/cache/content_memo.h"
#include "builder/cache/stage_results.h"
#include "builder/cache/step_inputs.h"
#include "builder/prepare/images.h"
#include "builder/source/trees.h"
#include "builder/stage/stage.h"
#include "cli/build_caches.h"
#include "cli/failure_text.h"
#include "cli/foreign_stages.h"
#include "cli/image_pool.h"
#include "cli/json_view.h"
#include "cli/layer_uploads.h"
#include "cli/local_runtime.h"
#include "cli/overlay.h"
#include "cli/plain_view.h"
#include "cli/run_stages.h"
#include "cli/secrets.h"
#include "cli/signals.h"
#include "cli/ssh_sources.h"
#include "cli/step_label.h"
#include "cli/store.h"
#include "cli/summary.h"
#include "cli/tty_view.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;
namespace volume = api::volume;

namespace {

// Of the results of steps and stages that the store keeps.
constexpr std::uint64_t kMaxCacheBytes = 10ULL << 30;

ProgressMode progress_mode(const BuildOptions& options, const Environment& environment) {
  if (options.progress != ProgressMode::kAuto) return options.progress;
  const bool is_dumb = environment("TERM").value_or("dumb") == "dumb";
  return ::isatty(STDERR_FILENO) == 1 && !is_dumb ? ProgressMode::kTty : ProgressMode::kPlain;
}

std::unique_ptr<View> make_view(ProgressMode mode, const Environment& environment) {
  switch (mode) {
    case ProgressMode::kTty:
      return std::make_unique<TtyView>(standard_error(), terminal_size,
                                       TtyStyle{environment("NO_COLOR").value_or("").empty()});
    case ProgressMode::kJson:
      return std::make_unique<JsonView>(standard_error());
    case ProgressMode::kAuto:
    case ProgressMode::kPlain:
      break;
  }
  return std::make_unique<PlainView>(standard_error());
}

// Does `work` as a job that people see.
template <class Work>
auto shown(Progress& progress, const std::string& name, const Work& work) -> decltype(work()) {
  const int job = progress.start_job(name);
  auto result = work();
  if (result.ok()) {
    progress.show(JobDone{job});
  } else {
    const bool stopped = result.error().code == ErrorCode::kCancelled;
    progress.show(JobFailed{job, stopped ? "" : result.error().message});
  }
  return result;
}

bool has_container_stage(const api::Plan& plan) {
  return std::ranges::any_of(plan.stages, [](const api::PlanStage& stage) { return stage.needs_container; });
}

// How a build ended, when nothing of the machine failed.
struct Ending {
  builder::Prepared prepared;
  std::vector<api::StageReport> reports;
  std::optional<api::Failure> failure;
  std::vector<builder::Published> images;  // When there is no failure.
};

class Build {
 public:
  Build(const BuildOptions& options, const Environment& environment, Progress& progress, std::stop_token stop,
        const Status& may_mount)
      : options_(options),
        environment_(environment),
        progress_(progress),
        stop_(std::move(stop)),
        may_mount_(may_mount) {}

  // Fills `ending` as far as it comes; the plan in it is what the views show.
  Status run(Ending& ending) {
    ASSIGN_OR_RETURN(secrets_, read_secrets(options_.secrets, environment_));
    ASSIGN_OR_RETURN(ssh_, read_ssh(options_.ssh, environment_));
    ASSIGN_OR_RETURN(const std::unique_ptr<builder::RegistryAccess> registries,
                     builder::RegistryAccess::open(options_.source.registry, processes_));
    const builder::OpenImage open_image = [&](const std::string& name) {
      return builder::open_image(registries->client(), name, transfers_.get_token());
    };
    ASSIGN_OR_RETURN(const Store store, Store::open(options_.store));
    store.collect_leftovers([&](const fs::path& build) { remove_leftover_containers(build, processes_); });
    ASSIGN_OR_RETURN(const BuildFolder folder, store.new_build());
    volume_ = folder.path() / "volume";
    std::error_code error;
    fs::create_directories(volume_ / "bases", error);
    if (error) return system_error(volume_.string(), error.value());

    RETURN_IF_ERROR(open_caches(registries->client()));
    RETURN_IF_ERROR(prepare(open_image, ending.prepared));
    RETURN_IF_ERROR(fetch_trees(open_image, registries->transport(), ending.prepared));
    const api::Plan& plan = ending.prepared.plan;
    LayerUploads uploads(registries->client(), plan, volume_, options_.compression,
                         pushes() ? pushed_stages(plan, options_.tags) : std::map<int, oci::Reference>(), stop_);
    uploads_ = &uploads;
    open_context(store, ending.prepared);
    RETURN_IF_ERROR(run_all_stages(store, folder, open_image, ending));
    if (memo_ != nullptr) (void)memo_->save();  // Without it the next build reads more.
    trim_cache();
    if (ending.failure) return ok();
    return publish(open_image, registries->client(), ending);
  }

 private:
  Status open_caches(registry::Client& client) {
    ASSIGN_OR_RETURN(BuildCaches caches, BuildCaches::open(options_, client));
    caches_.emplace(std::move(caches));
    for (const std::string& warning : caches_->warnings()) progress_.show(Warning{warning});
    return ok();
  }

  // What is known of the files of a context that is a folder. What goes wrong here does so for the stages too, which
  // say it better.
  void open_context(const Store& store, builder::Prepared& prepared) {
    if (context_folder_.empty()) return;
    auto context = archive::Tree::open_directory(context_folder_, std::move(prepared.context_index));
    if (context.ok()) context_ = std::make_shared<const builder::SourceTree>(std::move(*context));
    listed_ = std::move(prepared.context_versions);
    builder::ContentMemoSettings settings;
    settings.folder = context_folder_;
    if (!options_.no_cache) settings.file = store.memo(context_folder_);
    if (auto memo = builder::ContentMemo::open(std::move(settings)); memo.ok()) memo_ = std::move(*memo);
  }

  void trim_cache() const {
    if (!has_kept_ || caches_->own().usage().bytes <= kMaxCacheBytes) return;
    if (const auto pruned = caches_->own().prune({kMaxCacheBytes, 0}); !pruned.ok()) {
      progress_.show(Warning{"the cache cannot be trimmed: " + pruned.error().message});
    }
  }

  Status prepare(const builder::OpenImage& open_image, builder::Prepared& prepared) {
    builder::PrepareRequest request;
    request.context = options_.source.context;
    request.dockerfile = options_.source.dockerfile;
    request.targets = options_.source.targets;
    request.build_args = options_.source.build_args;
    request.platforms = options_.source.platforms;
    request.epoch_s = options_.source.epoch_s;
    request.named_contexts = builder::images_by_name(options_.source.build_contexts);
    request.run = options_.source.run;
    request.volume = volume_;
    request.for_cache = true;
    ASSIGN_OR_RETURN(prepared, shown(progress_, "[internal] load Dockerfile and context, resolve base images",
                                     [&] { return builder::prepare(request, open_image, processes_); }));
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    progress_.show(PlanSolved{&prepared.plan});
    for (const api::Warning& warning : prepared.plan.warnings) {
      progress_.show(Warning{api::text_of(prepared.plan, warning)});
    }
    RETURN_IF_ERROR(check_required_secrets(prepared.plan, secrets_));
    RETURN_IF_ERROR(check_required_ssh(prepared.plan, ssh_));
    if (prepared.context_folder.empty()) return ok();
    std::error_code error;
    context_folder_ = fs::absolute(prepared.context_folder);
    fs::create_directory_symlink(context_folder_, volume_ / volume::kContextFolder, error);
    if (error) return system_error(volume_.string(), error.value());
    return ok();
  }

  // One after the other: most builds have one, and progress shows each.
  Status fetch_trees(const builder::OpenImage& open_image, http::HttpTransport& transport,
                     const builder::Prepared& prepared) {
    builder::TreesRequest request;
    request.volume = volume_;
    request.dockerfile_text = prepared.dockerfile_text;
    request.contexts = options_.source.build_contexts;
    request.own_machine = true;
    request.stop = stop_;
    const builder::SourceSeams seams{processes_, transport, open_image, {}};
    for (std::size_t i = 0; i < prepared.plan.trees.size(); ++i) {
      ASSIGN_OR_RETURN(const std::vector<api::Warning> warnings,
                       shown(progress_, "[internal] " + builder::title_of(prepared.plan.trees[i]),
                             [&] { return builder::fetch_tree(prepared.plan, static_cast<int>(i), request, seams); }));
      for (const api::Warning& warning : warnings) progress_.show(Warning{api::text_of(prepared.plan, warning)});
    }
    return ok();
  }

  // What containers need of this machine, checked before anything is downloaded.
  Result<RuntimeSettings> runtime_settings(const BuildFolder& folder, const builder::Prepared& prepared) const {
    RETURN_IF_ERROR(check_platforms(prepared.plan));
    if (!may_mount_.ok()) {
      return Error{ErrorCode::kDenied,
                   "a stage with RUN needs root or CAP_SYS_ADMIN on this machine, to mount its root file system; run "
                   "imagebuild with sudo"};
    }
    RuntimeSettings settings;
    ASSIGN_OR_RETURN(settings.runtime, find_runtime());
    ASSIGN_OR_RETURN(settings.stage_program, find_stage_program());
    settings.build_folder = folder.path();
    settings.volume = volume_;
    settings.context_folder = context_folder_;
    settings.build_id = folder.id();
    settings.compression = options_.compression;
    return settings;
  }

  Status run_all_stages(const Store& store, const BuildFolder& folder, const builder::OpenImage& open_image,
                        Ending& ending) {
    const api::Plan& plan = ending.prepared.plan;
    std::optional<LocalRuntime> runtime;
    if (has_container_stage(plan)) {
      ASSIGN_OR_RETURN(RuntimeSettings settings, runtime_settings(folder, ending.prepared));
      settings.caches = store.caches_folder();
      settings.ssh = ssh_;
      runtime.emplace(std::move(settings), secrets_, processes_);
    }
    done_.resize(plan.stages.size());
    ASSIGN_OR_RETURN(builder_, identity_.get());
    const ImagePool images(store, plan, open_image, volume_, progress_);
    const RunStage run_one = [&](int stage, std::stop_token stop) -> Result<api::StageReport> {
      return get(plan, stage, images, runtime, std::move(stop));
    };
    Result<StagesOutcome> outcome = run_stages(plan, options_.parallel, run_one, stop_);
    if (!outcome.ok() || outcome->failure) transfers_.request_stop();  // No base image is waited for any more.
    if (!outcome.ok()) return outcome.error();
    ending.failure = std::move(outcome->failure);
    if (ending.failure) return ok();
    for (std::optional<api::StageReport>& report : outcome->reports) {
      if (!report) return Error{ErrorCode::kInternal, "a stage of the plan was never run"};
      ending.reports.push_back(std::move(*report));
    }
    return ok();
  }

  // The stage's result: kept from an earlier build, or made now and kept for later ones.
  Result<api::StageReport> get(const api::Plan& plan, int stage, const ImagePool& images,
                               std::optional<LocalRuntime>& runtime, std::stop_token stop) {
    const fs::path folder = volume_ / volume::stage_folder(stage);
    ASSIGN_OR_RETURN(LookedUp found, look_up(plan, stage, folder, stop));
    for (const Error& error : found.restored.warnings) {
      progress_.show(Warning{"a cache is not used: " + error.message});
    }
    if (found.restored.report) {
      progress_.show(StageCached{stage});
      if (caches_->places().to.size() > 1) keep(plan, stage, found, nullptr, *found.restored.report, folder, stop);
      return note_done(stage, std::move(*found.restored.report));
    }
    const std::string changed = found.restored.change ? found.restored.change->what : std::string();
    builder::ContentLog contents = new_content_log();
    ASSIGN_OR_RETURN(api::StageReport report, run_showing(plan, stage, changed, images, runtime, contents, stop));
    if (found.can_be_kept && !stop.stop_requested()) keep(plan, stage, found, &contents, report, folder, stop);
    if (report.failure) return report;
    return note_done(stage, std::move(report));
  }

  struct LookedUp {
    builder::Restored restored;
    std::optional<build::StageInputs> inputs;  // None where no cache had to be asked with them.
    bool can_be_kept = true;
  };

  // Where no cache can have anything of a stage that tells what it reads, its files are read by the stage alone.
  Result<LookedUp> look_up(const api::Plan& plan, int stage, const fs::path& folder, const std::stop_token& stop) {
    const builder::StageResults results(plan, caches_->places());
    if (builder::logs_all_content(plan.stages[static_cast<std::size_t>(stage)])) {
      const Result<build::StageInputs> outline = builder::stage_outline(plan, stage, input_places());
      if (outline.ok()) {
        ASSIGN_OR_RETURN(std::optional<builder::Restored> nothing,
                         results.restore_nothing(stage, *outline, folder, stop));
        if (nothing) return LookedUp{std::move(*nothing), std::nullopt};
      }
    }
    builder::InputPlaces places = input_places();
    places.listed = &listed_;
    Result<build::StageInputs> inputs = builder::stage_inputs(plan, stage, places);
    // Without inputs (a file that cannot be read) the stage is run, and says better what is wrong.
    if (!inputs.ok()) return LookedUp{{}, std::nullopt, false};
    ASSIGN_OR_RETURN(builder::Restored restored, results.restore(stage, *inputs, folder, stop));
    return LookedUp{std::move(restored), std::move(*inputs)};
  }

  // The log of one stage; of the context's files the memo learns too.
  builder::ContentLog new_content_log() {
    if (memo_ == nullptr) return builder::ContentLog();
    return builder::ContentLog([this](const archive::Node& file, builder::ContentLog::OnEnd on_end) {
      return memo_->open_content(file, std::move(on_end));
    });
  }

  // The key is of what the stage read, where `contents` knows that. Whoever changed the context meanwhile has made the
  // inputs those of something else: then nothing is kept.
  void keep(const api::Plan& plan, int stage, const LookedUp& found, const builder::ContentLog* contents,
            const api::StageReport& report, const fs::path& folder, const std::stop_token& stop) {
    if (contents != nullptr && contents->is_spoiled()) return;
    builder::InputPlaces places = input_places();
    places.contents = contents;
    const Result<build::StageInputs> inputs = builder::stage_inputs(plan, stage, places);
    if (!inputs.ok() || (found.inputs && *inputs != *found.inputs)) return;
    const bool ran_commands = plan.stages[static_cast<std::size_t>(stage)].needs_container;
    const Status kept =
        builder::StageResults(plan, caches_->places()).keep(stage, *inputs, report, folder, ran_commands, stop);
    if (kept.ok()) {
      has_kept_ = true;
    } else if (kept.error().code != ErrorCode::kCancelled) {
      progress_.show(Warning{"the result of a stage cannot be kept for the next build: " + kept.error().message});
    }
  }

  builder::InputPlaces input_places() {
    const std::lock_guard lock(mutex_);
    return builder::InputPlaces{volume_, done_, builder_, options_.compression, context_, memo_.get()};
  }

  api::StageReport note_done(int stage, api::StageReport report) {
    const std::lock_guard lock(mutex_);
    done_[static_cast<std::size_t>(stage)] = report;
    return report;
  }

  Result<api::StageReport> run_showing(const api::Plan& plan, int stage, std::string changed, const ImagePool& images,
                                       std::optional<LocalRuntime>& runtime, builder::ContentLog& contents,
                                       std::stop_token stop) {
    std::vector<fs::path> layers;
    if (const api::BaseImage* const root = api::root_image(plan, stage)) {
      ASSIGN_OR_RETURN(layers, images.wait_for(static_cast<int>(root - plan.images.data()), stop));
    }
    progress_.show(StageStarted{stage, std::move(changed)});
    const auto on_event = [&](const api::StageEvent& event) { progress_.show(StageProgress{stage, event}); };
    const auto run = [&]() -> Result<api::StageReport> {
      if (plan.stages[static_cast<std::size_t>(stage)].needs_container) {
        return runtime->run(plan, stage, layers, on_event, stop);
      }
      builder::StageJob job;
      job.volume = volume_;
      job.stage = stage;
      job.compression = options_.compression;
      job.on_event = on_event;
      job.context = context_;
      job.contents = &contents;
      return builder::compute_stage(plan, job, stop);
    };
    uploads_->begin(stage);
    Result<api::StageReport> report = run();
    const bool is_whole = report.ok() && !report->failure && !stop.stop_requested();
    uploads_->end(stage, is_whole ? &*report : nullptr);
    using Outcome = StageEnded::Outcome;
    const bool failed = !report.ok() || report->failure;
    progress_.show(StageEnded{stage, stop.stop_requested() ? Outcome::kStopped
                                     : failed              ? Outcome::kFailed
                                                           : Outcome::kDone});
    return report;
  }

  Status publish(const builder::OpenImage& open_image, registry::Client& client, Ending& ending) {
    builder::PublishRequest request;
    request.volume = volume_;
    request.reports = ending.reports;
    request.tags = options_.tags;
    request.outputs = options_.outputs;
    std::string name = "assemble the image";
    if (!options_.outputs.empty()) name = "export the image";
    if (pushes()) {
      name = "push";
      for (const auto& [target, tags] : options_.tags) {
        for (const oci::Reference& tag : tags) name += " " + tag.familiar();
      }
    }
    ASSIGN_OR_RETURN(ending.images, shown(progress_, name, [&] {
                       uploads_->wait();
                       return builder::publish(ending.prepared.plan, request, open_image, client, stop_);
                     }));
    for (const builder::Published& image : ending.images) {
      for (const api::Warning& warning : image.warnings) {
        progress_.show(Warning{api::text_of(ending.prepared.plan, warning)});
      }
    }
    return write_result_files(ending.images);
  }

  bool pushes() const {
    return std::ranges::any_of(options_.outputs, [](const builder::Output& output) {
      return output.kind == builder::Output::Kind::kRegistry;
    });
  }

  Status write_result_files(const std::vector<builder::Published>& images) const {
    if (!options_.iid_file.empty()) {
      RETURN_IF_ERROR(write_file_atomically(options_.iid_file, image_id(images.front())).in("--iidfile"));
    }
    if (!options_.metadata_file.empty()) {
      RETURN_IF_ERROR(
          write_file_atomically(options_.metadata_file, metadata_json(images, options_.tags)).in("--metadata-file"));
    }
    return ok();
  }

  const BuildOptions& options_;
  const Environment& environment_;
  Progress& progress_;
  std::stop_token stop_;
  std::stop_source transfers_;  // For what is read from registries: ends with `stop_`, or when the build has failed.
  std::stop_callback<std::function<void()>> end_transfers_{stop_, [this] { transfers_.request_stop(); }};
  const Status& may_mount_;
  SystemProcessRunner processes_;
  std::map<std::string, std::string> secrets_;
  std::map<std::string, SshSource> ssh_;
  // Read while the plan is made: it hashes a whole program.
  std::future<Result<std::string>> identity_ = std::async(std::launch::async, own_builder_identity);
  std::string builder_;  // InputPlaces::builder
  std::optional<BuildCaches> caches_;
  std::atomic<bool> has_kept_ = false;
  std::mutex mutex_;
  std::vector<std::optional<api::StageReport>> done_;  // By stage. Guarded by mutex_.
  fs::path volume_;
  fs::path context_folder_;  // Absolute; empty for a context that is a tar, or that nothing takes from.
  std::shared_ptr<const builder::SourceTree> context_;
  archive::FileVersions listed_;  // InputPlaces::listed
  std::unique_ptr<builder::ContentMemo> memo_;
  LayerUploads* uploads_ = nullptr;  // While run() runs.
};

// What people and programs read at the end, and the exit status.
int conclude(const BuildOptions& options, ProgressMode mode, Progress& progress, const Status& status,
             const Ending& ending) {
  const bool as_text = mode != ProgressMode::kJson;
  if (status.ok() && !ending.failure) {
    std::uint64_t exported_bytes = 0;
    for (const api::StageReport& report : ending.reports) exported_bytes += report.export_bytes;
    for (const builder::Published& image : ending.images) {
      std::vector<std::string> names;
      for (const oci::Reference& tag : tags_of(image, options.tags)) names.push_back(tag.str());
      progress.show(ImageBuilt{&image, std::move(names), exported_bytes});
    }
    if (options.outputs.empty()) {
      progress.show(Warning{"the image was built but goes nowhere; name it with -t to push it, or say --output"});
    }
    progress.finish();
    if (as_text) {
      standard_error()(summary(ending.prepared.plan, ending.reports, ending.images, options.tags, options.outputs));
    }
    return kExitOk;
  }
  const Error error = status.ok() ? failure_error(ending.prepared.plan, *ending.failure) : status.error();
  progress.show(BuildFailed{error, ending.failure});
  progress.finish();
  if (!as_text) return error.exit_status();
  if (ending.failure) {
    standard_error()(failure_text(ending.prepared.plan, *ending.failure, ending.prepared.dockerfile_text));
  }
  standard_error()("imagebuild: error: " + error.message + "\n");
  return error.exit_status();
}

}  // namespace

int build_command(const BuildOptions& options, const Environment& environment) {
  const Status may_mount = enter_own_mount_namespace();
  const ProgressMode mode = progress_mode(options, environment);
  block_stop_signals();
  int received = 0;
  int exit_status = kExitOk;
  {
    Progress progress(make_view(mode, environment), system_clock_now, mode == ProgressMode::kTty);
    const SignalStop signals(
        [&] { progress.show(Warning{"stopping; press Ctrl-C again to stop without cleaning up"}); });
    Ending ending;
    const Status status = Build(options, environment, progress, signals.token(), may_mount).run(ending);
    received = signals.received();
    exit_status = conclude(options, mode, progress, status, ending);
  }
  if (received != 0) end_by_signal(received);
  return exit_status;
}

}  // namespace imagebuild::cli
