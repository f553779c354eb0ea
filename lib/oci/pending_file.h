// A file that gets its name only when it is complete.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/stream.h"
#include "base/unique_fd.h"

namespace imagebuild::oci {

// Bytes go to a nameless-looking file beside the final one. commit() renames it, replacing what was there; without
// commit() nothing stays behind. The mode follows the umask.
class PendingFile final : public ByteSink {
 public:
  // `name` is one file name in the open folder.
  static Result<PendingFile> create(int folder_fd, std::string name);
  // Beside `path`, whose folder must exist. A folder or device at `path` is kInvalidInput.
  static Result<PendingFile> create(const std::filesystem::path& path);
  PendingFile(PendingFile&& other) noexcept = default;
  PendingFile& operator=(PendingFile&&) = delete;
  ~PendingFile() override;

  Status write(std::span<const std::byte> bytes) override { return sink_.write(bytes); }
  Status commit();

 private:
  PendingFile(UniqueFd folder, std::string temporary, std::string name, UniqueFd file)
      : folder_(std::move(folder)), temporary_(std::move(temporary)), name_(std::move(name)), sink_(std::move(file)) {}
  UniqueFd folder_;
  std::string temporary_, name_;
  FileSink sink_;
};

}  // namespace imagebuild::oci
