#include "cli/store_contents.h"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/file.h"
#include "cli/build_caches.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

struct TreeSize {
  std::uint64_t bytes = 0;
  std::int64_t changed_s = 0;  // The last change of anything in it.
};

// What files take, hard links once; what cannot be read counts nothing.
TreeSize measure(const fs::path& root) {
  TreeSize size;
  std::set<std::pair<dev_t, ino_t>> seen;
  const auto add = [&](const fs::path& path) {
    struct stat stat {};
    if (::lstat(path.c_str(), &stat) != 0) return;
    size.changed_s = std::max<std::int64_t>(size.changed_s, stat.st_ctim.tv_sec);
    if (!S_ISREG(stat.st_mode)) return;
    if (stat.st_nlink > 1 && !seen.emplace(stat.st_dev, stat.st_ino).second) return;
    size.bytes += static_cast<std::uint64_t>(stat.st_size);
  };
  add(root);
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied, error);
       !error && at != end(at); at.increment(error)) {
    add(at->path());
  }
  return size;
}

std::int64_t changed_s(const fs::path& path) {
  struct stat stat {};
  return ::lstat(path.c_str(), &stat) == 0 ? stat.st_ctim.tv_sec : 0;
}

std::uint64_t sum(const std::vector<KeptThing>& things) {
  return std::accumulate(things.begin(), things.end(), std::uint64_t{0},
                         [](std::uint64_t bytes, const KeptThing& thing) { return bytes + thing.size_bytes; });
}

bool is_used_later(const KeptThing& a, const KeptThing& b) {
  return std::tie(b.used_s, a.id) < std::tie(a.used_s, b.id);
}

// Moves it out of everybody's sight; its removal may take a while.
Status move_away(const fs::path& path, const fs::path& bin) {
  std::error_code error;
  fs::rename(path, bin / (path.parent_path().filename().string() + "-" + path.filename().string()), error);
  if (error && error != std::errc::no_such_file_or_directory) return system_error(path.string(), error.value());
  return ok();
}

}  // namespace

// A build that runs writes its own memo again at its end.
void StoreContents::forget_contexts(std::int64_t unused_before_s) const {
  std::error_code error;
  for (const fs::directory_entry& it : fs::directory_iterator(store_.memos_folder(), error)) {
    std::error_code ignored;
    if (changed_s(it.path()) < unused_before_s) fs::remove(it.path(), ignored);
  }
}

Result<StoreContents> StoreContents::open(const fs::path& store) {
  ASSIGN_OR_RETURN(Store opened, Store::open(store));
  ASSIGN_OR_RETURN(builder::FolderStore results, open_own_cache(opened.folder()));
  return StoreContents(std::move(opened), std::move(results));
}

std::vector<KeptThing> StoreContents::bases() const {
  std::map<std::string, KeptThing> found;  // A layer and the index of the image that it is the top of are one thing.
  const auto add = [&](const std::string& id, std::uint64_t bytes, std::int64_t used_s) {
    KeptThing& thing = found.try_emplace(id, KeptThing{KeptKind::kBase, id, "", 0, 0}).first->second;
    thing.size_bytes += bytes;
    thing.used_s = std::max(thing.used_s, used_s);
  };
  std::error_code error;
  for (const fs::directory_entry& it : fs::directory_iterator(store_.layers_folder(), error)) {
    const std::string id = it.path().filename();
    add(id, measure(it.path()).bytes, std::max(changed_s(it.path()), changed_s(store_.used_marks_folder() / id)));
  }
  for (const fs::directory_entry& it : fs::directory_iterator(store_.indexes_folder(), error)) {
    std::error_code gone;
    const std::uint64_t bytes = it.file_size(gone);
    // Whoever uses it makes a link to it, which is a change of it.
    if (!gone) add(it.path().stem(), bytes, changed_s(it.path()));
  }
  std::vector<KeptThing> things;
  for (auto& [id, thing] : found) things.push_back(std::move(thing));
  return things;
}

std::vector<KeptThing> StoreContents::run_caches() const {
  std::vector<KeptThing> things;
  std::error_code error;
  for (const fs::directory_entry& it : fs::directory_iterator(store_.caches_folder(), error)) {
    const TreeSize size = measure(it.path());
    things.push_back({KeptKind::kRunCache, it.path().filename(), "", size.bytes, size.changed_s});
  }
  return things;
}

Result<std::vector<KeptThing>> StoreContents::list() const {
  std::vector<KeptThing> things = bases();
  std::ranges::move(run_caches(), std::back_inserter(things));
  ASSIGN_OR_RETURN(std::vector<builder::CacheEntry> entries, results_.entries());
  for (builder::CacheEntry& entry : entries) {
    things.push_back({KeptKind::kResult, entry.key, std::move(entry.title), entry.size_bytes, entry.used_s});
  }
  std::ranges::sort(things, is_used_later);
  return things;
}

Result<StoreUsage> StoreContents::usage() const {
  const auto part = [](const std::vector<KeptThing>& things) { return StoreUsage::Part{things.size(), sum(things)}; };
  const builder::CacheUsage results = results_.usage();
  return StoreUsage{{results.records, results.bytes}, part(bases()), part(run_caches())};
}

Status StoreContents::discard(const KeptThing& thing, const fs::path& bin) const {
  if (thing.kind == KeptKind::kRunCache) return move_away(store_.caches_folder() / thing.id, bin);
  RETURN_IF_ERROR(move_away(store_.layers_folder() / thing.id, bin));
  RETURN_IF_ERROR(move_away(store_.indexes_folder() / (thing.id + ".index"), bin));
  return move_away(store_.used_marks_folder() / thing.id, bin);
}

// `others`, what is no result, with the one that was used last first; those that go are taken out.
Status StoreContents::prune_to_size(std::uint64_t max_bytes, std::vector<KeptThing>& others,
                                    const fs::path& bin) const {
  while (true) {
    const std::uint64_t bytes = results_.usage().bytes + sum(others);
    if (bytes <= max_bytes) return ok();
    ASSIGN_OR_RETURN(const std::vector<builder::CacheEntry> entries, results_.entries());
    if (!others.empty() && (entries.empty() || others.back().used_s < entries.back().used_s)) {
      RETURN_IF_ERROR(discard(others.back(), bin));
      others.pop_back();
      continue;
    }
    if (entries.empty()) return ok();
    // Results share files, so that removing these frees at most what their sizes say: never too many go at once.
    std::uint64_t freed = 0;
    std::int64_t until_s = entries.back().used_s;
    for (auto it = entries.rbegin(); it != entries.rend() && freed < bytes - max_bytes; ++it) {
      if (!others.empty() && it->used_s > others.back().used_s) break;
      freed += it->size_bytes;
      until_s = it->used_s;
    }
    RETURN_IF_ERROR(results_.prune({UINT64_MAX, until_s + 1}));
    ASSIGN_OR_RETURN(const std::vector<builder::CacheEntry> left, results_.entries());
    if (left.size() == entries.size()) return ok();  // Somebody uses them again and again.
  }
}

Result<PruneOutcome> StoreContents::prune(std::uint64_t max_bytes, std::int64_t unused_before_s) const {
  PruneOutcome outcome;
  ASSIGN_OR_RETURN(const StoreUsage before, usage());
  RETURN_IF_ERROR(results_.prune({UINT64_MAX, unused_before_s}));
  forget_contexts(unused_before_s);
  {
    ASSIGN_OR_RETURN(const TempDir bin, TempDir::create("pruned-", store_.spool_folder()));
    ASSIGN_OR_RETURN(std::optional<UniqueFd> alone, store_.try_lock_alone());
    outcome.build_runs = !alone;
    std::vector<KeptThing> others;
    if (alone) {
      others = bases();
      std::ranges::move(run_caches(), std::back_inserter(others));
      std::ranges::sort(others, is_used_later);
      while (!others.empty() && others.back().used_s < unused_before_s) {
        RETURN_IF_ERROR(discard(others.back(), bin.path()));
        others.pop_back();
      }
      RETURN_IF_ERROR(move_away(store_.folder() / "stages", bin.path()));  // Former versions had results there.
    }
    const std::uint64_t fixed_bytes = alone ? 0 : before.bases.bytes + before.run_caches.bytes;
    RETURN_IF_ERROR(prune_to_size(max_bytes > fixed_bytes ? max_bytes - fixed_bytes : 0, others, bin.path()));
    alone.reset();  // Builds need not wait until the files are gone.
  }
  ASSIGN_OR_RETURN(const StoreUsage after, usage());
  outcome.left_bytes = after.bytes();
  outcome.freed_bytes = before.bytes() > after.bytes() ? before.bytes() - after.bytes() : 0;
  return outcome;
}

}  // namespace imagebuild::cli
