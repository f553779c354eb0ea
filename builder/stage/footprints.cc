#include "builder/stage/footprints.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "archive/rooted_path.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::builder {
namespace {

UniqueFd reopen(int folder_fd) {
  return UniqueFd(::openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool equal(const struct timespec& a, const struct timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

struct timespec mtime_of(int fd) {
  struct stat stat = {};
  ::fstat(fd, &stat);
  return stat.st_mtim;
}

}  // namespace

// The lowest folder on the way that exists already is the only old one whose time will move.
Status Footprints::remember_times(const std::string& folder) {
  for (std::string at = folder;; at = parent_path(at)) {
    auto fd = archive::open_folder(root_fd_, at, nullptr);
    if (!fd.ok() && fd.error().code != ErrorCode::kNotFound) return fd.error();
    if (!fd.ok() && !at.empty()) continue;
    if (!fd.ok()) return fd.error();
    UniqueFd opened = reopen(fd->get());
    if (!opened.valid()) return system_error("cannot open " + shown(at), errno);
    const struct timespec mtime = mtime_of(opened.get());
    times_.push_back({std::move(opened), mtime, mtime});
    return imagebuild::ok();
  }
}

Result<Footprints::Place> Footprints::make_file(const std::string& path) {
  std::string clean;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    clean = join_path(clean, std::string_view(path).substr(at, end - at));
    at = end + 1;
  }
  const std::string name = last_part(clean);
  RETURN_IF_ERROR(remember_times(parent_path(clean)));
  const auto made = [this](int parent_fd, const std::string& folder, const std::string&) -> Status {
    if (::fchmodat(parent_fd, folder.c_str(), 0755, 0) != 0) return system_error("cannot make " + folder, errno);
    made_.push_back({reopen(parent_fd), folder, true});
    return imagebuild::ok();
  };
  ASSIGN_OR_RETURN(const UniqueFd folder, archive::open_folder(root_fd_, parent_path(clean), made));
  Place place;
  place.path = shown(clean);
  place.file =
      UniqueFd(::openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (place.file.valid()) {
    made_.push_back({reopen(folder.get()), name, false});
  } else if (errno == EEXIST) {
    struct stat stat = {};
    if (::fstatat(folder.get(), name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(stat.st_mode)) {
      return Error{ErrorCode::kInvalidInput, "'" + path + "' is there already and is not a plain file"};
    }
    place.existed = true;
  } else {
    return system_error("cannot make " + path, errno);
  }
  times_.back().touched = mtime_of(times_.back().folder.get());
  return place;
}

void Footprints::remove() {
  // What the RUN itself changed has another time than the one our last act in the folder left.
  std::vector<bool> untouched;
  for (Times& times : times_) untouched.push_back(equal(mtime_of(times.folder.get()), times.touched));
  for (; !made_.empty(); made_.pop_back()) {
    const Made& made = made_.back();
    // A folder with something in it is the user's now.
    ::unlinkat(made.folder.get(), made.name.c_str(), made.is_folder ? AT_REMOVEDIR : 0);
  }
  for (std::size_t i = times_.size(); i-- > 0;) {
    if (!untouched[i]) continue;
    const struct timespec both[2] = {{0, UTIME_OMIT}, times_[i].mtime};
    ::futimens(times_[i].folder.get(), both);
  }
  times_.clear();
}

}  // namespace imagebuild::builder
