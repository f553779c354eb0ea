#include "builder/stage/footprints.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "archive/rooted_path.h"
#include "builder/stage/live_root.h"

namespace imagebuild::builder {
namespace {

bool equal(const struct timespec& a, const struct timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

struct stat stat_of(int fd) {
  struct stat stat = {};
  ::fstat(fd, &stat);
  return stat;
}

std::vector<std::string> names_in(int folder_fd) {
  auto names = folder_names(folder_fd);
  return names.ok() ? std::move(*names) : std::vector<std::string>();
}

}  // namespace

UniqueFd reopen_folder(int folder_fd) {
  return UniqueFd(::openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Footprints::Times* Footprints::times_of(int folder_fd) {
  const struct stat wanted = stat_of(folder_fd);
  for (Times& times : times_) {
    const struct stat stat = stat_of(times.folder.get());
    if (stat.st_dev == wanted.st_dev && stat.st_ino == wanted.st_ino) return &times;
  }
  return nullptr;
}

// The lowest folder on the way that exists already is the only old one whose time will move.
Status Footprints::remember_times(const std::string& folder) {
  for (std::string at = folder;; at = parent_path(at)) {
    auto fd = archive::open_folder(root_fd_, at, nullptr);
    if (!fd.ok() && fd.error().code == ErrorCode::kNotFound && !at.empty()) continue;
    if (!fd.ok()) return fd.error();
    UniqueFd opened = reopen_folder(fd->get());
    if (!opened.valid()) return system_error("cannot open " + shown(at), errno);
    if (times_of(opened.get()) != nullptr) return imagebuild::ok();
    const struct timespec mtime = stat_of(opened.get()).st_mtim;
    times_.push_back({std::move(opened), mtime, mtime, {}, {}, {}});
    return imagebuild::ok();
  }
}

Result<Footprints::Place> Footprints::find(const std::string& path) {
  UniqueFd root = reopen_folder(root_fd_);
  if (!root.valid()) return system_error("cannot open the root", errno);
  const LiveRoot view(std::move(root), {});
  Place place;
  ASSIGN_OR_RETURN(place.path, view.resolve(path, true));
  if (place.path.empty()) return Error{ErrorCode::kInvalidInput, "nothing can be put over the root folder"};
  place.name = last_part(place.path);
  const std::string parent = parent_path(place.path);
  RETURN_IF_ERROR(remember_times(parent));
  const auto made = [this](int parent_fd, const std::string& folder, const std::string&) -> Status {
    if (::fchmodat(parent_fd, folder.c_str(), 0755, 0) != 0) return system_error("cannot make " + folder, errno);
    made_.push_back({reopen_folder(parent_fd), folder, true});
    return imagebuild::ok();
  };
  auto folder = archive::open_folder(root_fd_, parent, made);
  if (!folder.ok() && folder.error().code == ErrorCode::kCorrupt) {
    return Error{ErrorCode::kInvalidInput, folder.error().message};
  }
  if (!folder.ok()) return folder.error();
  place.folder = reopen_folder(folder->get());
  if (!place.folder.valid()) return system_error("cannot open " + shown(parent), errno);
  if (Times* const times = times_of(place.folder.get())) times->ours.insert(place.name);
  struct stat stat = {};
  if (::fstatat(place.folder.get(), place.name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0) {
    place.there = stat.st_mode & S_IFMT;
  } else if (errno != ENOENT) {
    return system_error("cannot look at " + shown(place.path), errno);
  }
  return place;
}

Result<UniqueFd> Footprints::make_file(Place& place) {
  UniqueFd file(
      ::openat(place.folder.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return system_error("cannot make " + shown(place.path), errno);
  made_.push_back({reopen_folder(place.folder.get()), place.name, false});
  return file;
}

Status Footprints::make_folder(Place& place) {
  if (::mkdirat(place.folder.get(), place.name.c_str(), 0700) != 0 ||
      ::fchmodat(place.folder.get(), place.name.c_str(), 0755, 0) != 0) {
    return system_error("cannot make " + shown(place.path), errno);
  }
  made_.push_back({reopen_folder(place.folder.get()), place.name, true});
  return imagebuild::ok();
}

void Footprints::settle() {
  for (Times& times : times_) {
    times.touched = stat_of(times.folder.get()).st_mtim;
    times.names = names_in(times.folder.get());
  }
}

void Footprints::forgive(const Place& place) {
  Times* const times = times_of(place.folder.get());
  if (times == nullptr) return;
  const auto others = [&](std::vector<std::string> names) {
    std::erase_if(names, [&](const std::string& name) { return times->ours.contains(name); });
    return names;
  };
  if (others(names_in(times->folder.get())) == others(times->names))
    times->touched = stat_of(times->folder.get()).st_mtim;
}

void Footprints::look() {
  has_looked_ = true;
  for (Times& times : times_) times.left = stat_of(times.folder.get()).st_mtim;
}

void Footprints::remove() {
  if (!has_looked_) look();
  for (; !made_.empty(); made_.pop_back()) {
    const Made& made = made_.back();
    // A folder with something in it is the user's now.
    ::unlinkat(made.folder.get(), made.name.c_str(), made.is_folder ? AT_REMOVEDIR : 0);
  }
  for (; !times_.empty(); times_.pop_back()) {
    const Times& times = times_.back();
    const bool unchanged = equal(times.left, times.touched);
    const struct timespec both[2] = {{0, UTIME_OMIT}, unchanged ? times.mtime : times.left};
    ::futimens(times.folder.get(), both);
  }
}

}  // namespace imagebuild::builder
