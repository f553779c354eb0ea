#include "oci/pending_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "base/file.h"

namespace imagebuild::oci {

namespace {

constexpr int kAttempts = 100;

std::string temporary_name() {
  std::uint64_t number = 0;
  // Without random bytes (no kernel this program runs on) O_EXCL still keeps names apart.
  if (::getrandom(&number, sizeof number, 0) != sizeof number) number = static_cast<std::uint64_t>(::getpid());
  std::string name = ".imagebuild-";
  for (int i = 0; i < 16; ++i, number >>= 4) name += "0123456789abcdef"[number & 15];
  return name;
}

}  // namespace

Result<PendingFile> PendingFile::create(int folder_fd, std::string name) {
  UniqueFd folder(::fcntl(folder_fd, F_DUPFD_CLOEXEC, 0));
  if (!folder.valid()) return system_error(name, errno);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string temporary = temporary_name();
    UniqueFd file(
        ::openat(folder.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (file.valid()) return PendingFile(std::move(folder), std::move(temporary), std::move(name), std::move(file));
    if (errno != EEXIST && errno != EINTR) return system_error("cannot create " + name, errno);
  }
  return Error{ErrorCode::kInternal, "cannot create " + name + ": no free temporary name"};
}

Result<PendingFile> PendingFile::create(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return Error{ErrorCode::kInvalidInput, path.string() + " is not a file; name a new file or one to replace"};
  }
  if (!path.has_filename()) return Error{ErrorCode::kInvalidInput, "'" + path.string() + "' does not name a file"};
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(folder, O_RDONLY | O_DIRECTORY));
  return create(fd.get(), path.filename().string());
}

PendingFile::~PendingFile() {
  if (folder_.valid() && !temporary_.empty()) ::unlinkat(folder_.get(), temporary_.c_str(), 0);
}

Status PendingFile::commit() {
  if (::renameat(folder_.get(), temporary_.c_str(), folder_.get(), name_.c_str()) != 0) {
    return system_error("cannot create " + name_, errno);
  }
  temporary_.clear();
  return ok();
}

}  // namespace imagebuild::oci
