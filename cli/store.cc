#include "cli/store.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <random>

#include "base/file.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

std::string random_name() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device device;
  std::string name;
  for (int i = 0; i < 12; ++i) name += kDigits[device() % kDigits.size()];
  return name;
}

void remove_tree(const fs::path& path) {
  std::error_code ignored;  // What cannot be removed now is tried again by the next build.
  fs::remove_all(path, ignored);
}

// Tells ext4 that what is in the folders below has nothing to do with each other (chattr +T). Each then begins in a
// part of the disk of its own; otherwise it would begin where the last one was removed, and without a journal ext4
// looks at each inode that was freed in the last minutes before it gives out another one. Other file systems do not
// know it.
void spread_on_disk(const fs::path& folder) {
  const Result<UniqueFd> fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  int flags = 0;
  if (!fd.ok() || ::ioctl(fd->get(), FS_IOC_GETFLAGS, &flags) != 0 || (flags & FS_TOPDIR_FL) != 0) return;
  flags |= FS_TOPDIR_FL;
  (void)::ioctl(fd->get(), FS_IOC_SETFLAGS, &flags);
}

// Not valid when it is held and `operation` says not to wait.
Result<UniqueFd> lock_store(const fs::path& store, int operation) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(store / "in-use", O_RDWR | O_CREAT));
  while (::flock(fd.get(), operation) != 0) {
    if (errno == EWOULDBLOCK) return UniqueFd();
    if (errno != EINTR) return system_error((store / "in-use").string(), errno);
  }
  return fd;
}

}  // namespace

std::vector<oci::Digest> chain_ids(const std::vector<oci::Digest>& diff_ids) {
  std::vector<oci::Digest> chain;
  for (const oci::Digest& diff_id : diff_ids) {
    chain.push_back(chain.empty() ? diff_id : oci::Digest::of(chain.back().str() + " " + diff_id.str()));
  }
  return chain;
}

BuildFolder::~BuildFolder() {
  if (!path_.empty()) remove_tree(path_);
}

Result<Store> Store::open(const fs::path& folder) {
  std::error_code error;
  const fs::path absolute = fs::absolute(folder, error);
  if (error) return system_error(folder.string(), error.value());
  const bool is_new = !fs::exists(absolute, error);
  for (const char* kind : {"layers", "indexes", "caches", "used", "tmp", "locks", "builds"}) {
    fs::create_directories(absolute / kind, error);
    if (error) {
      return system_error("the store " + folder.string() + " cannot be used (choose another with --store)",
                          error.value());
    }
  }
  spread_on_disk(absolute / "builds");
  // Base layers hold other people's set-user-id programs and private files.
  if (is_new && ::chmod(absolute.c_str(), 0700) != 0) return system_error("chmod " + absolute.string(), errno);
  return Store(absolute);
}

void Store::collect_layers() const {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "tmp", error)) {
    const Result<std::optional<LockFile>> lock = LockFile::try_acquire(folder_ / "locks" / entry.path().filename());
    if (lock.ok() && lock->has_value()) remove_tree(entry.path());
  }
}

void Store::collect_leftovers(const std::function<void(const fs::path& build)>& before_removal) const {
  collect_layers();
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "builds", error)) {
    if (entry.path().extension() != ".lock") continue;
    const Result<std::optional<LockFile>> lock = LockFile::try_acquire(entry.path());
    if (!lock.ok() || !lock->has_value()) continue;
    fs::path build = entry.path();
    build.replace_extension();
    if (fs::exists(build, error)) {
      before_removal(build);
      remove_tree(build);
    }
  }
}

Result<BuildFolder> Store::new_build() const {
  ASSIGN_OR_RETURN(UniqueFd store_lock, lock_store(folder_, LOCK_SH));
  const fs::path path = folder_ / "builds" / random_name();
  ASSIGN_OR_RETURN(LockFile lock, LockFile::acquire(path.string() + ".lock", {}));
  if (::mkdir(path.c_str(), 0700) != 0) return system_error(path.string(), errno);
  return BuildFolder(path, std::move(lock), std::move(store_lock));
}

Result<std::optional<UniqueFd>> Store::try_lock_alone() const {
  ASSIGN_OR_RETURN(UniqueFd fd, lock_store(folder_, LOCK_EX | LOCK_NB));
  if (!fd.valid()) return std::optional<UniqueFd>();
  return std::optional(std::move(fd));
}

void Store::note_use(const std::vector<oci::Digest>& chain) const {
  for (auto layer = chain.rbegin(); layer != chain.rend(); ++layer) {  // Those below go last.
    const Result<UniqueFd> mark = open_file(at("used", *layer), O_WRONLY | O_CREAT);
    if (mark.ok()) ::futimens(mark->get(), nullptr);
  }
}

}  // namespace imagebuild::cli
