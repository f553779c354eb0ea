#include "archive/removal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace imagebuild::archive {

namespace {

constexpr int kMaxDepth = 512;

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

Result<std::vector<std::string>> names_in(int folder_fd) {
  UniqueFd own(::fcntl(folder_fd, F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return system_error("cannot list a folder", errno);
  const std::unique_ptr<DIR, CloseFolder> listing(::fdopendir(own.get()));
  if (!listing) return system_error("cannot list a folder", errno);
  (void)own.release();
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr && errno != 0) return system_error("cannot list a folder", errno);
    if (entry == nullptr) return names;
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

Status remove_one(int folder_fd, const FileId& folder, const std::string& name, const RemovalRules& rules, int depth);

Status remove_all(int folder_fd, const FileId& folder, const RemovalRules& rules, int depth) {
  if (depth > kMaxDepth) {
    return Error{ErrorCode::kLimit, "folders lie more than " + std::to_string(kMaxDepth) + " deep in each other"};
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, names_in(folder_fd));
  for (const std::string& name : names) RETURN_IF_ERROR(remove_one(folder_fd, folder, name, rules, depth));
  return ok();
}

Status remove_folder(int folder_fd, const std::string& name, bool stays, const RemovalRules& rules, int depth) {
  const UniqueFd fd(::openat(folder_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return system_error("cannot open '" + name + "'", errno);
  const FileId id{status.st_dev, status.st_ino};
  RETURN_IF_ERROR(remove_all(fd.get(), id, rules, depth + 1));
  if (stays) return ok();
  if (::unlinkat(folder_fd, name.c_str(), AT_REMOVEDIR) == 0) {
    if (rules.folder_gone) rules.folder_gone(id);
    return ok();
  }
  if (rules.stays && (errno == ENOTEMPTY || errno == EEXIST)) return ok();
  return system_error("cannot remove '" + name + "'", errno);
}

Status remove_one(int folder_fd, const FileId& folder, const std::string& name, const RemovalRules& rules, int depth) {
  struct stat status {};
  if (::fstatat(folder_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? ok() : Status(system_error("cannot look at '" + name + "'", errno));
  }
  const bool stays = rules.stays && rules.stays(folder, name);
  if (S_ISDIR(status.st_mode)) return remove_folder(folder_fd, name, stays, rules, depth);
  if (stays || ::unlinkat(folder_fd, name.c_str(), 0) == 0 || errno == ENOENT) return ok();
  return system_error("cannot remove '" + name + "'", errno);
}

}  // namespace

Status remove_tree(int folder_fd, const std::string& name, const RemovalRules& rules) {
  struct stat status {};
  if (::fstat(folder_fd, &status) != 0) return system_error("cannot look at a folder", errno);
  return remove_one(folder_fd, FileId{status.st_dev, status.st_ino}, name, rules, 0);
}

Status remove_children(int folder_fd, const RemovalRules& rules) {
  const UniqueFd fd(::openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return system_error("cannot open a folder", errno);
  return remove_all(fd.get(), FileId{status.st_dev, status.st_ino}, rules, 0);
}

}  // namespace imagebuild::archive
