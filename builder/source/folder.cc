#include "builder/source/folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "archive/path.h"
#include "base/file.h"
#include "base/stream.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxConfigMapBytes = 8U << 20;  // Kubernetes takes no more than 1 MiB.
constexpr unsigned kFileMode = 0644;
constexpr unsigned kFolderMode = 0755;

Status make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), kFolderMode) != 0 && errno != EEXIST) return system_error(folder.string(), errno);
  if (::chmod(folder.c_str(), kFolderMode) != 0) return system_error(folder.string(), errno);
  return ok();
}

Status make_folders(const fs::path& root, const std::string& path) {
  RETURN_IF_ERROR(make_folder(root));
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    RETURN_IF_ERROR(make_folder(root / path.substr(0, slash)));
  }
  return ok();
}

Status write_file(const fs::path& file, std::string_view text) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, kFileMode));
  if (::fchmod(fd.get(), kFileMode) != 0) return system_error(file.string(), errno);
  FileSink sink(std::move(fd));
  return sink.write(as_bytes(text)).in(file.string());
}

// One of the ConfigMap's entries, links followed. An entry whose key has a path (items[].path) is a folder.
Status copy_entry(const fs::path& from, const fs::path& to, std::uint64_t& left_bytes, int depth) {
  constexpr int kMaxDepth = 32;
  if (depth > kMaxDepth) return Error{ErrorCode::kLimit, "the ConfigMap's folders are nested too deep"};
  std::error_code error;
  if (fs::is_directory(from, error)) {
    RETURN_IF_ERROR(make_folder(to));
    for (const fs::directory_entry& entry : fs::directory_iterator(from, error)) {
      if (entry.path().filename().string().starts_with("..")) continue;
      RETURN_IF_ERROR(copy_entry(entry.path(), to / entry.path().filename(), left_bytes, depth + 1));
    }
    return error ? Status(system_error(from.string(), error.value())) : ok();
  }
  ASSIGN_OR_RETURN(const std::string text, read_file(from, left_bytes));
  left_bytes -= text.size();
  return write_file(to, text);
}

}  // namespace

Status write_files(const std::map<std::string, std::string>& files, const fs::path& folder) {
  RETURN_IF_ERROR(make_folder(folder));
  for (const auto& [path, text] : files) {
    if (path.empty() || !archive::is_clean_path(path)) {
      return Error{ErrorCode::kInvalidInput,
                   "'" + path + "' is no path for a file: it must be relative, without empty parts, '.' and '..'"};
    }
    RETURN_IF_ERROR(make_folders(folder, path));
    RETURN_IF_ERROR(write_file(folder / path, text));
  }
  return ok();
}

Status copy_config_map(const fs::path& mounted, const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(mounted, error)) {
    return Error{ErrorCode::kInternal, "the ConfigMap is not mounted at " + mounted.string()};
  }
  std::uint64_t left_bytes = kMaxConfigMapBytes;
  return copy_entry(mounted, folder, left_bytes, 0);
}

Result<fs::path> enter(const fs::path& root, const std::string& sub_path) {
  if (sub_path.empty()) return root;
  std::error_code error;
  const fs::path real_root = fs::canonical(root, error);
  if (error) return system_error(root.string(), error.value());
  if (!archive::is_clean_path(sub_path)) {
    return Error{ErrorCode::kInvalidInput, "subPath '" + sub_path + "' must be relative, without '.' and '..'"};
  }
  fs::path real = fs::canonical(real_root / sub_path, error);
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
    return Error{ErrorCode::kNotFound, "there is no folder '" + sub_path + "' (subPath) in the source"};
  }
  if (error) return system_error("subPath '" + sub_path + "'", error.value());
  if (*real.lexically_relative(real_root).begin() == "..") {
    return Error{ErrorCode::kInvalidInput, "subPath '" + sub_path + "' is a link that leads out of the source"};
  }
  if (!fs::is_directory(real, error)) {
    return Error{ErrorCode::kInvalidInput, "subPath '" + sub_path + "' is not a folder"};
  }
  return real;
}

}  // namespace imagebuild::builder
