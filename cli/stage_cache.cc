#include "cli/stage_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "api/volume.h"
#include "base/file.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

// The same folders, the same files under a second name.
Status link_tree(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to, error);
  for (fs::recursive_directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    const fs::path target = to / it->path().lexically_relative(from);
    if (it->is_directory(error)) {
      fs::create_directories(target, error);
    } else if (it->is_regular_file(error)) {
      fs::create_hard_link(it->path(), target, error);
    }
    if (error) break;
  }
  if (error) return system_error(to.string(), error.value());
  return ok();
}

std::uint64_t tree_bytes(const fs::path& folder) {
  std::error_code error;
  std::uint64_t bytes = 0;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) bytes += it->file_size(ignored);
  }
  return bytes;
}

Result<api::StageReport> read_report(const fs::path& folder) {
  constexpr std::uint64_t kMaxReportBytes = 64U << 20;
  ASSIGN_OR_RETURN(const std::string text, read_file(folder / api::volume::kReport, kMaxReportBytes));
  return api::StageReport::parse(text);
}

void remove_tree(const fs::path& path) {
  std::error_code ignored;  // A part that stays takes room but is never used.
  fs::remove_all(path, ignored);
}

}  // namespace

std::optional<api::StageReport> StageCache::take(const oci::Digest& key, const fs::path& folder) const {
  const fs::path kept = store_.stage(key);
  const Result<api::StageReport> report = read_report(kept);
  if (!report.ok() || report->failure) return std::nullopt;
  if (!link_tree(kept, folder).ok()) {  // Another process may be removing it.
    remove_tree(folder);
    return std::nullopt;
  }
  ::utimensat(AT_FDCWD, kept.c_str(), nullptr, 0);  // Used now: the last to be trimmed.
  return *report;
}

Status StageCache::keep(const oci::Digest& key, const fs::path& folder) const {
  const fs::path kept = store_.stage(key);
  std::error_code error;
  ASSIGN_OR_RETURN(const std::optional<LockFile> lock, store_.try_lock(key));
  if (!lock) return ok();  // Another build has the same result and keeps it.
  const fs::path incomplete = store_.unpacking(key);
  remove_tree(incomplete);
  const Status linked = link_tree(folder, incomplete);
  if (linked.ok()) {
    remove_tree(kept);
    fs::rename(incomplete, kept, error);
  }
  remove_tree(incomplete);
  if (!linked.ok()) return linked.error();
  if (error) return system_error(kept.string(), error.value());
  return ok();
}

void StageCache::trim(std::uint64_t max_bytes) const {
  struct Entry {
    fs::path path;
    fs::file_time_type used;
    std::uint64_t bytes = 0;
  };
  std::vector<Entry> entries;
  std::uint64_t total = 0;
  std::error_code error;
  for (const fs::directory_entry& it : fs::directory_iterator(store_.stages_folder(), error)) {
    std::error_code ignored;
    entries.push_back(Entry{it.path(), it.last_write_time(ignored), tree_bytes(it.path())});
    total += entries.back().bytes;
  }
  std::ranges::sort(entries, {}, &Entry::used);
  for (const Entry& entry : entries) {
    if (total <= max_bytes) return;
    remove_tree(entry.path);
    total -= entry.bytes;
  }
}

}  // namespace imagebuild::cli
