#include "builder/job/prepare_job.h"

#include <algorithm>
#include <set>

#include "api/job.h"
#include "api/volume.h"
#include "base/file.h"
#include "build/base_needs.h"
#include "build/placement.h"
#include "builder/job/context_digest.h"
#include "builder/job/job_cache.h"
#include "builder/job/output_image.h"
#include "builder/job/stage_programs.h"
#include "builder/prepare/base_index.h"
#include "builder/prepare/images.h"
#include "builder/prepare/prepare.h"
#include "builder/source/fetch.h"
#include "builder/source/trees.h"
#include "builder/stage/compute_ready.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;
namespace volume = api::volume;

namespace {

// What the volume or our own image lacks is not the user's to mend.
Status not_the_users(const Status& status) {
  if (status.ok() || status.error().exit_status() == kExitInfrastructure) return status;
  return Error{ErrorCode::kInternal, status.error().message};
}

// Only our own names: a new file system may have others (lost+found).
Status clear_volume(const fs::path& root) {
  for (const char* name : {"bin", "context", "bases", "trees", "stages", volume::kPlan}) {
    std::error_code error;
    fs::remove_all(root / name, error);
    if (error) return system_error("cannot clear " + (root / name).string(), error.value());
  }
  return ok();
}

std::vector<std::pair<std::string, std::string>> build_args_of(const api::ImageBuildSpec& spec) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const api::BuildArg& arg : spec.build_args) result.emplace_back(arg.name, arg.value.value_or(""));
  return result;
}

std::vector<NamedContext> contexts_of(const Job& job) {
  std::vector<NamedContext> result;
  const std::vector<api::BuildContext>& given = job.build.spec.contexts;
  for (std::size_t i = 0; i < given.size(); ++i) {
    NamedContext context{given[i].name, ContextImage{given[i].image}};
    if (given[i].image.empty()) {
      context.value = ContextSource{given[i].files, job.mounted(api::job::context_source(i)),
                                    job.mounted(api::job::context_secret(i))};
    }
    result.push_back(std::move(context));
  }
  return result;
}

// One attempt, from an old volume to a complete one.
class Preparation {
 public:
  Preparation(const PrepareJob& request, ProcessRunner& processes, std::stop_token stop)
      : request_(request), spec_(request.job.build.spec), processes_(processes), stop_(std::move(stop)) {}

  api::Told run() {
    const Status status = carry_out();
    if (!status.ok()) told_.failure = failure_of(status.error(), dockerfile_name());
    told_.done = !told_.failure;
    if (!told_.done) told_.plan_json.clear();
    return std::move(told_);
  }

 private:
  std::string dockerfile_name() const { return spec_.dockerfile.empty() ? "Dockerfile" : spec_.dockerfile; }
  const fs::path& root() const { return request_.job.volume; }
  void log(std::string line) const {
    if (request_.log) request_.log(std::move(line));
  }
  void progress() const {
    if (request_.on_progress) request_.on_progress(told_);
  }

  Status carry_out() {
    RETURN_IF_ERROR(not_the_users(clear_volume(root())));
    ASSIGN_OR_RETURN(const std::unique_ptr<RegistryAccess> access,
                     RegistryAccess::open(job_registries(request_.job, request_.registries_file), processes_));
    const OpenImage open = [&](const std::string& name) { return open_image(access->client(), name, stop_); };
    ASSIGN_OR_RETURN(Prepared prepared, prepare_source(open, access->transport()));
    api::Plan& plan = prepared.plan;
    RETURN_IF_ERROR(use_cache(plan, open));
    if (!told_.image) RETURN_IF_ERROR(make_ready(plan, open));
    for (const api::Warning& warning : plan.warnings) log("warning: " + api::text_of(plan, warning));
    told_.plan_json = plan.json();
    return ok();
  }

  // All that the pods after this one find on the volume, for the stages that no cache has.
  Status make_ready(const api::Plan& plan, const OpenImage& open) {
    RETURN_IF_ERROR(put_programs(plan));
    for (int stage = 0; stage < static_cast<int>(plan.stages.size()); ++stage) {
      if (std::ranges::find(told_.cached, stage) != told_.cached.end()) continue;
      RETURN_IF_ERROR(write_base_index_for(plan, stage, open));
    }
    return compute(plan, open, [](int) { return true; });
  }

  // What of the base only its layers tell, and reading them is the longest part of preparing.
  Status write_base_index_for(const api::Plan& plan, int stage, const OpenImage& open) const {
    if (!build::needs_base_index(plan, stage)) return ok();
    const auto image = static_cast<int>(api::root_image(plan, stage) - plan.images.data());
    return write_base_index(plan, image, open, root());
  }

  // That our image lacks a platform's program is told as such; that it cannot be copied is not the user's to mend.
  Status put_programs(const api::Plan& plan) const {
    const Status status = put_stage_programs(request_.stage_program, plan, root());
    return !status.ok() && status.error().code == ErrorCode::kUnsupported ? status : not_the_users(status);
  }

  // What was fetched is dropped again as soon as the volume has the context.
  Result<Prepared> prepare_source(const OpenImage& open, http::HttpTransport& transport) {
    ASSIGN_OR_RETURN(const TempDir scratch, TempDir::create("imagebuild-source-"));
    const SourcePlaces places{request_.job.mounted(api::job::kSource), request_.job.mounted(api::job::kSourceSecret),
                              scratch.path()};
    const SourceSeams seams{processes_, transport, open, request_.log};
    ASSIGN_OR_RETURN(const FetchedSource fetched, fetch_source(spec_.source, places, seams, stop_));
    told_.source = api::SourceStatus{fetched.revision, {}};
    progress();

    PrepareRequest wanted;
    wanted.context = fetched.context.string();
    wanted.sub_path = fetched.tar_sub_path;
    wanted.confined = true;
    wanted.dockerfile = spec_.dockerfile;
    if (!spec_.dockerfile_inline.empty()) wanted.dockerfile_text = spec_.dockerfile_inline;
    if (!spec_.target.empty()) wanted.targets = {spec_.target};
    for (const std::string& text : spec_.platforms) {
      ASSIGN_OR_RETURN(oci::Platform platform, oci::Platform::parse(text).in("spec.platforms"));
      wanted.platforms.push_back(std::move(platform));
    }
    wanted.build_args = build_args_of(spec_);
    wanted.epoch_s = fetched.epoch_s;
    wanted.copy_context = true;
    wanted.for_cache = api::uses_cache(spec_.cache);
    wanted.volume = root();
    const std::vector<NamedContext> contexts = contexts_of(request_.job);
    wanted.named_contexts = images_by_name(contexts);
    wanted.run = api::run_settings(spec_);
    wanted.stop = stop_;
    Result<Prepared> prepared = prepare(wanted, open, processes_);
    if (!prepared.ok()) return without_scratch(prepared.error(), fetched.context);
    for (const std::string& warning : fetched.warnings) prepared->plan.warnings.push_back({"", warning, {}});
    // It is the commit's: what a cache has of an earlier commit is as good.
    prepared->plan.epoch_is_given = false;
    RETURN_IF_ERROR(not_the_users(write_file_atomically(root() / volume::kPlan, prepared->plan.json())));
    TreesRequest trees;
    trees.volume = root();
    trees.dockerfile_text = prepared->dockerfile_text;
    trees.contexts = contexts;
    trees.stop = stop_;
    RETURN_IF_ERROR(fetch_trees(prepared->plan, trees, seams));
    ASSIGN_OR_RETURN(const oci::Digest digest, context_digest(root(), prepared->dockerfile_text, stop_));
    told_.source->digest = digest.str();
    log("solved " + dockerfile_name() + ": " + std::to_string(prepared->plan.stages.size()) + " stages");
    progress();
    return prepared;
  }

  // Nobody knows the folder that the source was in.
  static Error without_scratch(const Error& error, const fs::path& context) {
    std::string text = error.message;
    const std::string folder = context.string();
    for (std::size_t at = text.find(folder); at != std::string::npos; at = text.find(folder, at)) {
      text.replace(at, folder.size(), "source");
    }
    return Error{error.code, std::move(text)};
  }

  Status use_cache(api::Plan& plan, const OpenImage& open) {
    JobCache cache({request_.job, request_.registries_file, request_.stage_program,
                    [this](std::string line) { log(std::move(line)); }},
                   processes_, stop_);
    const auto compute_one = [&](int one) { return compute(plan, open, [&](int stage) { return stage == one; }); };
    ASSIGN_OR_RETURN(CachedStages found, cache.restore_without_layers(plan, compute_one));
    RETURN_IF_ERROR(look_for_image(plan, cache));
    if (!told_.image) {
      ASSIGN_OR_RETURN(const bool are_there, fetch_layers(plan, found, cache));
      if (!are_there) {
        ASSIGN_OR_RETURN(found, cache.restore(plan, compute_one));
      }
    }
    told_.cached = std::move(found.whole);
    told_.changed = std::move(found.changed);
    plan.warnings.insert(plan.warnings.end(), cache.warnings().begin(), cache.warnings().end());
    return ok();
  }

  // Those that stages need which are still to run, and those that the image's repository lacks.
  Result<bool> fetch_layers(const api::Plan& plan, const CachedStages& found, JobCache& cache) {
    RegistryOptions options = job_registries(request_.job, request_.registries_file);
    options.use_mirrors = false;  // What a mirror has, nobody can push a manifest of.
    ASSIGN_OR_RETURN(const std::unique_ptr<RegistryAccess> access, RegistryAccess::open(options, processes_));
    ASSIGN_OR_RETURN(const oci::Reference image, oci::Reference::parse(spec_.output.image));
    std::set<int> below;  // Those that run.
    for (int stage = 0; stage < static_cast<int>(plan.stages.size()); ++stage) {
      if (std::ranges::find(found.whole, stage) != found.whole.end()) continue;
      const std::vector<int> chain = api::base_chain(plan, stage);
      below.insert(chain.begin(), chain.end());
    }
    return cache.fetch_layers([&](int stage, const std::string& text) {
      const Result<oci::Digest> digest = oci::Digest::parse(text);
      if (below.contains(stage) || !digest.ok()) return true;
      const Result<bool> is_there = access->client().has_blob(image, *digest, stop_);
      return !is_there.ok() || !*is_there;
    });
  }

  // With every stage from the cache, the image may be in its place already: then nobody has to push it.
  Status look_for_image(const api::Plan& plan, JobCache& cache) {
    std::vector<api::StageReport> reports;
    for (const std::optional<api::StageReport>& report : cache.reports()) {
      if (!report) return ok();
      reports.push_back(*report);
    }
    if (told_.failure || reports.size() != plan.stages.size()) return ok();
    ASSIGN_OR_RETURN(const OutputImage wanted, output_image(request_.job, plan, reports));
    ASSIGN_OR_RETURN(const std::optional<Published> found,
                     find_in_place(wanted, request_.job, request_.registries_file, processes_, stop_));
    if (!found) return ok();
    told_.image = status_of(*found, wanted.image);
    told_.warnings = found->warnings;
    log("already there: " + told_.image->reference);
    cache.keep(plan, reports);
    return ok();
  }

  // Of the stages that prepare computes, those that `chosen` takes.
  Status compute(const api::Plan& plan, const OpenImage& open, const std::function<bool(int stage)>& chosen) {
    if (told_.failure) return ok();
    const std::vector<build::Place> places = build::place_stages(plan);
    const auto wanted = [&](int stage) {
      return places[static_cast<std::size_t>(stage)] == build::Place::kPrepare && chosen(stage);
    };
    for (int stage = 0; stage < static_cast<int>(places.size()); ++stage) {
      if (wanted(stage)) RETURN_IF_ERROR(write_base_index_for(plan, stage, open));
    }
    ASSIGN_OR_RETURN(told_.failure, compute_stages(plan, root(), compression_of(spec_), wanted, stop_));
    if (told_.failure) told_.failure->message = error_of(plan, *told_.failure).message;
    return ok();
  }

  const PrepareJob& request_;
  const api::ImageBuildSpec& spec_;
  ProcessRunner& processes_;
  std::stop_token stop_;
  api::Told told_;
};

}  // namespace

api::Told prepare_job(const PrepareJob& request, ProcessRunner& processes, std::stop_token stop) {
  return Preparation(request, processes, std::move(stop)).run();
}

}  // namespace imagebuild::builder
