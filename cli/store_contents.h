// What a store (cli/store.h) keeps between builds, thing by thing, to be shown and to be removed.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "builder/cache/folder_store.h"
#include "cli/store.h"

namespace imagebuild::cli {

enum class KeptKind {
  kResult,    // Of a step or stage.
  kBase,      // An unpacked layer of a base image, or the index of one.
  kRunCache,  // Of RUN --mount=type=cache.
};

struct KeptThing {
  KeptKind kind = KeptKind::kResult;
  std::string id;                // 64 hexadecimal digits.
  std::string title;             // For people; empty but for results.
  std::uint64_t size_bytes = 0;  // Results share files: their sizes together are more than there is.
  std::int64_t used_s = 0;       // When it was used last, in seconds since 1970.
};

struct StoreUsage {
  struct Part {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
  };
  Part results, bases, run_caches;
  std::uint64_t bytes() const { return results.bytes + bases.bytes + run_caches.bytes; }
};

struct PruneOutcome {
  std::uint64_t freed_bytes = 0;
  std::uint64_t left_bytes = 0;
  bool build_runs = false;  // So base images and RUN caches were left alone.
};

class StoreContents {
 public:
  // A store that does not exist is made.
  static Result<StoreContents> open(const std::filesystem::path& store);

  // What was used last comes first.
  Result<std::vector<KeptThing>> list() const;
  Result<StoreUsage> usage() const;
  // Removes what was not used since `unused_before_s` (seconds since 1970; INT64_MAX: everything), then what was not
  // used for longest until at most `max_bytes` are left. Results go also while a build runs; what a build could be
  // using does not.
  Result<PruneOutcome> prune(std::uint64_t max_bytes, std::int64_t unused_before_s) const;
  const Store& store() const { return store_; }

 private:
  StoreContents(Store store, builder::FolderStore results) : store_(std::move(store)), results_(std::move(results)) {}
  std::vector<KeptThing> bases() const;
  std::vector<KeptThing> run_caches() const;
  Status prune_to_size(std::uint64_t max_bytes, std::vector<KeptThing>& others, const std::filesystem::path& bin) const;
  void forget_contexts(std::int64_t unused_before_s) const;
  Status discard(const KeptThing& thing, const std::filesystem::path& bin) const;
  Store store_;
  builder::FolderStore results_;
};

}  // namespace imagebuild::cli
