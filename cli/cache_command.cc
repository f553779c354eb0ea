#include "cli/cache_command.h"

#include <filesystem>
#include <iostream>

#include "base/clock.h"
#include "cli/cache_text.h"
#include "cli/store_contents.h"

namespace imagebuild::cli {

namespace {

std::int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(system_clock_now().time_since_epoch()).count();
}

// What it printed and the exit status it ends with.
struct Outcome {
  std::string text;
  int exit_status = kExitOk;
};

// `contents` is null when there is no store yet.
Result<Outcome> show(const StoreContents* contents, const CacheOptions& options) {
  if (options.action == CacheOptions::Action::kUsage) {
    StoreUsage usage;
    if (contents != nullptr) {
      ASSIGN_OR_RETURN(usage, contents->usage());
    }
    return Outcome{options.json ? usage_json(usage) : usage_text(usage)};
  }
  std::vector<KeptThing> things;
  if (contents != nullptr) {
    ASSIGN_OR_RETURN(things, contents->list());
  }
  return Outcome{options.json ? list_json(things) : list_text(things, now_s())};
}

Result<Outcome> prune(const StoreContents& contents, const CacheOptions& options) {
  std::int64_t unused_before_s = 0;
  if (options.all) unused_before_s = INT64_MAX;
  if (options.older_than) unused_before_s = now_s() - options.older_than->count();
  ASSIGN_OR_RETURN(const PruneOutcome pruned, contents.prune(options.max_bytes, unused_before_s));
  if (pruned.build_runs) {
    std::cerr << "imagebuild: a build is running in this store, so base images and RUN caches were left alone; try "
                 "again when it is over\n";
  }
  Outcome outcome{options.json ? prune_json(pruned) : prune_text(pruned)};
  if (pruned.left_bytes > options.max_bytes) {
    std::cerr << "imagebuild: error: more than --max-size is left\n";
    outcome.exit_status = kExitInfrastructure;
  }
  return outcome;
}

Result<Outcome> carry_out(const CacheOptions& options) {
  std::error_code error;
  if (!std::filesystem::exists(options.store, error) && options.action != CacheOptions::Action::kPrune) {
    return show(nullptr, options);
  }
  ASSIGN_OR_RETURN(const StoreContents contents, StoreContents::open(options.store));
  return options.action == CacheOptions::Action::kPrune ? prune(contents, options) : show(&contents, options);
}

}  // namespace

int cache_command(const CacheOptions& options) {
  const Result<Outcome> outcome = carry_out(options);
  if (!outcome.ok()) {
    std::cerr << "imagebuild: error: " << outcome.error().message << "\n";
    return outcome.error().exit_status();
  }
  std::cout << outcome->text << std::flush;
  return std::cout.good() ? outcome->exit_status : kExitInfrastructure;
}

}  // namespace imagebuild::cli
