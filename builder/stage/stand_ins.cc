#include "builder/stage/stand_ins.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "archive/rooted_path.h"
#include "base/file.h"
#include "base/overloaded.h"
#include "builder/stage/live_root.h"
#include "builder/stage/move_tree.h"

namespace imagebuild::builder {
namespace {

// Whether the open folder was removed. An overlay does not say so in its link count.
bool is_gone(int folder_fd) {
  constexpr const char* kProbe = ".imagebuild-probe";
  if (::mkdirat(folder_fd, kProbe, 0700) != 0) return errno == ENOENT;
  ::unlinkat(folder_fd, kProbe, AT_REMOVEDIR);
  return false;
}

ino_t inode_at(const Footprints::Place& place) {
  struct stat stat = {};
  return ::fstatat(place.folder.get(), place.name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0 ? stat.st_ino : 0;
}

Status write_content(const ContentSource& secret, const Footprints::Place& place) {
  UniqueFd file(
      ::openat(place.folder.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return system_error("cannot make " + shown(place.path), errno);
  const bool owned = ::geteuid() != 0 || ::fchown(file.get(), secret.uid, secret.gid) == 0;
  if (!owned || ::fchmod(file.get(), secret.mode) != 0) return system_error("cannot write a secret", errno);
  FileSink sink(std::move(file));
  return sink.write(as_bytes(secret.content));
}

Status make_folder(const Footprints::Place& place, mode_t mode) {
  if (::mkdirat(place.folder.get(), place.name.c_str(), 0700) == 0 &&
      ::fchmodat(place.folder.get(), place.name.c_str(), mode, 0) == 0) {
    return imagebuild::ok();
  }
  return system_error("cannot make " + shown(place.path), errno);
}

}  // namespace

Status StandIns::put(const std::vector<WantedMount>& mounts, RunChild&, std::stop_token stop) {
  for (const WantedMount& mount : mounts) RETURN_IF_ERROR(put_one(mount, stop).in(mount.what));
  footprints_.settle();
  return imagebuild::ok();
}

Status StandIns::put_one(const WantedMount& mount, std::stop_token stop) {
  for (const std::string& cache : cache_targets_) {
    if (mount.target == cache || !is_at_or_below(mount.target, cache)) continue;
    return Error{ErrorCode::kUnsupported, "it lies in the cache mounted at '" + cache +
                                              "', and this container may not mount anything: choose a target= outside"};
  }
  StandIn stand_in;
  ASSIGN_OR_RETURN(stand_in.place, footprints_.find(mount.target));
  const Footprints::Place& place = stand_in.place;
  if (is_at_or_below(shown(place.path), volume_) || is_at_or_below(place.path, kAside)) {
    return Error{ErrorCode::kInvalidInput,
                 "nothing can be mounted at '" + shown(place.path) + "', which imagebuild uses"};
  }
  if (place.there && S_ISDIR(*place.there) != wants_folder(mount)) {
    return Error{ErrorCode::kInvalidInput, wants_folder(mount)
                                               ? "a folder cannot be mounted over the file that is there"
                                               : "a file cannot be mounted over the folder that is there"};
  }
  ::fstat(place.folder.get(), &stand_in.parent);
  RETURN_IF_ERROR(put_aside(stand_in, stop));
  // From here on it is taken back, whatever happens.
  stand_ins_.push_back(std::move(stand_in));
  StandIn& kept = stand_ins_.back();
  masked_.insert(kept.place.path);
  RETURN_IF_ERROR(stand(mount, kept, stop));
  kept.inode = inode_at(kept.place);
  return imagebuild::ok();
}

Status StandIns::put_aside(StandIn& stand_in, std::stop_token stop) {
  const Footprints::Place& place = stand_in.place;
  if (!place.there) return imagebuild::ok();
  const auto busy = std::find_if(mount_points_.begin(), mount_points_.end(),
                                 [&](const std::string& point) { return is_at_or_below(point, place.path); });
  if (busy != mount_points_.end()) {
    return Error{ErrorCode::kUnsupported, "the container has something mounted at '" + shown(*busy) +
                                              "' and may not mount over it: choose another target="};
  }
  if (!aside_.valid()) {
    if (::mkdirat(root_fd_, kAside, 0700) != 0 && errno != EEXIST) return system_error("cannot make a folder", errno);
    aside_ = UniqueFd(::openat(root_fd_, kAside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!aside_.valid()) return system_error("cannot open a folder", errno);
  }
  const std::string name = std::to_string(stand_ins_.size());
  RETURN_IF_ERROR(move_tree(place.folder.get(), place.name, aside_.get(), name, std::move(stop)));
  stand_in.aside = name;
  return imagebuild::ok();
}

Status StandIns::stand(const WantedMount& mount, StandIn& stand_in, std::stop_token stop) {
  const Footprints::Place& place = stand_in.place;
  const auto copy = [&](const TreeView& tree, const std::string& path, bool as_root) {
    return copy_tree(tree, path, as_root, place.folder.get(), place.name, stop);
  };
  return std::visit(
      Overloaded{
          [&](const TreeSource& tree) -> Status { return copy(*tree.tree, tree.path, tree.as_root); },
          [&](const CacheSource& cache) -> Status {
            if (cache.read_only) {
              ASSIGN_OR_RETURN(UniqueFd folder, open_file(cache.folder, O_RDONLY | O_DIRECTORY));
              return copy(LiveRoot(std::move(folder), {}), "", false);
            }
            cache_targets_.insert(mount.target);
            if (::symlinkat(cache.folder.c_str(), place.folder.get(), place.name.c_str()) == 0) return imagebuild::ok();
            return system_error("cannot make a link", errno);
          },
          [&](const MemorySource& memory) -> Status {
            if (memory.size_bytes > 0) {
              warn_(mount.what + " is a folder in this container, which may not mount anything: its size has no limit");
            }
            return make_folder(place, 01777);
          },
          [&](const SocketSource& socket) -> Status {
            ASSIGN_OR_RETURN(stand_in.server, socket.serve(shown(place.path)));
            return imagebuild::ok();
          },
          [&](const ContentSource& secret) -> Status { return write_content(secret, place); },
      },
      mount.source);
}

// Whatever stands there now goes, and what was there before comes back.
Status StandIns::take_back(StandIn& stand_in) {
  Footprints::Place& place = stand_in.place;
  stand_in.server.reset();
  if (!is_gone(place.folder.get())) {
    RETURN_IF_ERROR(remove_tree(place.folder.get(), place.name));
  } else if (stand_in.aside) {
    // The command has removed the folder too, which a mount would not have let it do.
    const auto made = [&](int parent_fd, const std::string& name, const std::string&) -> Status {
      if (::fchmodat(parent_fd, name.c_str(), stand_in.parent.st_mode & 07777, 0) != 0 ||
          ::fchownat(parent_fd, name.c_str(), stand_in.parent.st_uid, stand_in.parent.st_gid, 0) != 0) {
        return system_error("cannot make " + name, errno);
      }
      return imagebuild::ok();
    };
    ASSIGN_OR_RETURN(const UniqueFd folder, archive::open_folder(root_fd_, parent_path(place.path), made));
    place.folder = reopen_folder(folder.get());
    RETURN_IF_ERROR(remove_tree(place.folder.get(), place.name));
  }
  if (!stand_in.aside) return imagebuild::ok();
  RETURN_IF_ERROR(move_tree(aside_.get(), *stand_in.aside, place.folder.get(), place.name, {}));
  stand_in.aside.reset();
  return imagebuild::ok();
}

Status StandIns::undo() {
  for (const StandIn& stand_in : stand_ins_) {
    if (inode_at(stand_in.place) != stand_in.inode) footprints_.forgive(stand_in.place);
  }
  footprints_.look();
  Status status = imagebuild::ok();
  for (; !stand_ins_.empty(); stand_ins_.pop_back()) {
    Status taken = take_back(stand_ins_.back());
    if (!taken.ok() && status.ok()) {
      status = taken.error().in("taking back what stood at '" + shown(stand_ins_.back().place.path) + "' for a RUN");
    }
  }
  if (aside_.valid()) {
    aside_.reset();
    if (status.ok()) status = remove_tree(root_fd_, kAside);
  }
  footprints_.remove();
  return status;
}

}  // namespace imagebuild::builder
