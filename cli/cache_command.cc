#include "cli/cache_command.h"

#include <filesystem>
#include <iostream>

#include "base/clock.h"
#include "cli/cache_text.h"
#include "cli/named_cache.h"
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

Outcome shown(const StoreUsage& usage, const CacheOptions& options) {
  return {options.json ? usage_json(usage) : usage_text(usage)};
}

Outcome shown(const std::vector<KeptThing>& things, const CacheOptions& options) {
  return {options.json ? list_json(things) : list_text(things, now_s())};
}

// What was not used since then goes.
std::int64_t unused_before_s(const CacheOptions& options) {
  if (options.all) return INT64_MAX;
  return options.older_than ? now_s() - options.older_than->count() : 0;
}

Outcome pruned(const PruneOutcome& outcome, const CacheOptions& options) {
  if (outcome.build_runs) {
    std::cerr << "imagebuild: a build is running in this store, so base images and RUN caches were left alone; try "
                 "again when it is over\n";
  }
  Outcome told{options.json ? prune_json(outcome) : prune_text(outcome)};
  if (outcome.left_bytes > options.max_bytes) {
    std::cerr << "imagebuild: error: more than --max-size is left\n";
    told.exit_status = kExitInfrastructure;
  }
  return told;
}

Result<Outcome> in_store(const CacheOptions& options) {
  std::error_code error;
  const bool is_there = std::filesystem::exists(options.store, error);
  if (!is_there && options.action == CacheOptions::Action::kUsage) return shown(StoreUsage(), options);
  if (!is_there && options.action == CacheOptions::Action::kList) return shown(std::vector<KeptThing>(), options);
  ASSIGN_OR_RETURN(const StoreContents contents, StoreContents::open(options.store));
  switch (options.action) {
    case CacheOptions::Action::kUsage: {
      ASSIGN_OR_RETURN(const StoreUsage usage, contents.usage());
      return shown(usage, options);
    }
    case CacheOptions::Action::kList: {
      ASSIGN_OR_RETURN(const std::vector<KeptThing> things, contents.list());
      return shown(things, options);
    }
    case CacheOptions::Action::kPrune:
      break;
  }
  ASSIGN_OR_RETURN(const PruneOutcome outcome, contents.prune(options.max_bytes, unused_before_s(options)));
  return pruned(outcome, options);
}

// Such a cache has results and nothing else.
Result<Outcome> in_named_cache(const CacheOptions& options) {
  ASSIGN_OR_RETURN(const NamedCache cache, NamedCache::open(*options.cache, options.registry));
  const builder::CacheInventory& inventory = cache.inventory();
  const builder::CacheUsage usage = inventory.usage();
  switch (options.action) {
    case CacheOptions::Action::kUsage:
      return shown(StoreUsage{{usage.records, usage.bytes}, {}, {}}, options);
    case CacheOptions::Action::kList: {
      ASSIGN_OR_RETURN(const std::vector<builder::CacheEntry> entries, inventory.entries());
      std::vector<KeptThing> things;
      for (const builder::CacheEntry& entry : entries) {
        things.push_back({KeptKind::kResult, entry.key, entry.title, entry.size_bytes, entry.used_s});
      }
      return shown(things, options);
    }
    case CacheOptions::Action::kPrune:
      break;
  }
  ASSIGN_OR_RETURN(const std::uint64_t freed, inventory.prune({options.max_bytes, unused_before_s(options)}));
  return pruned({freed, usage.bytes - freed, false}, options);
}

}  // namespace

int cache_command(const CacheOptions& options) {
  const Result<Outcome> outcome = options.cache ? in_named_cache(options) : in_store(options);
  if (!outcome.ok()) {
    std::cerr << "imagebuild: error: " << outcome.error().message << "\n";
    return outcome.error().exit_status();
  }
  std::cout << outcome->text << std::flush;
  return std::cout.good() ? outcome->exit_status : kExitInfrastructure;
}

}  // namespace imagebuild::cli
