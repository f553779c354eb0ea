#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/stream.h"

namespace imagebuild {

namespace fs = std::filesystem;

Result<UniqueFd> open_file(const fs::path& path, int flags, unsigned mode) {
  while (true) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (fd.valid()) return fd;
    if (errno != EINTR) return system_error(path.string(), errno);
  }
}

Result<std::string> read_file(const fs::path& path, std::uint64_t max_bytes) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDONLY));
  FileSource source(std::move(fd));
  return read_all(source, max_bytes).in(path.string());
}

Status write_file_atomically(const fs::path& path, std::string_view content, unsigned mode) {
  std::string temporary = path.string() + ".XXXXXX";
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return system_error(path.string(), errno);
  FileSink sink(std::move(fd));
  Status written = sink.write(as_bytes(content));
  if (written.ok() && ::fchmod(sink.fd(), mode) != 0) written = system_error("chmod", errno);
  if (written.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) written = system_error("rename", errno);
  if (!written.ok()) ::unlink(temporary.c_str());
  return std::move(written).in(path.string());
}

Result<TempDir> TempDir::create(std::string_view prefix, const fs::path& parent) {
  const char* configured = std::getenv("TMPDIR");
  const fs::path base =
      !parent.empty() ? parent : fs::path(configured != nullptr && *configured != '\0' ? configured : "/tmp");
  std::string path = (base / (std::string(prefix) + "XXXXXX")).string();
  if (::mkdtemp(path.data()) == nullptr) return system_error(path, errno);
  return TempDir(fs::path(path));
}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::exchange(other.path_, {});
  }
  return *this;
}

TempDir::~TempDir() {
  remove();
}

void TempDir::remove() {
  if (path_.empty()) return;
  std::error_code ignored;  // Nobody can act on a leftover below the temporary folder.
  fs::remove_all(path_, ignored);
}

}  // namespace imagebuild
