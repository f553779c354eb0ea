#include "archive/path.h"

#include <algorithm>

namespace imagebuild::archive {

bool is_clean_path(std::string_view path) {
  if (path.empty()) return true;
  if (path.front() == '/' || path.back() == '/' || path.find('\0') != std::string_view::npos) return false;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

Result<std::string> clean_path(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return Error{ErrorCode::kCorrupt, "a name has a NUL byte in it"};
  std::string clean;
  clean.reserve(path.size());
  for (std::string_view part = take_part(path); !part.empty(); part = take_part(path)) {
    if (part == ".") continue;
    if (part == "..") return Error{ErrorCode::kCorrupt, "a path with '..' in it is not allowed"};
    if (!clean.empty()) clean += '/';
    clean += part;
  }
  return clean;
}

std::size_t path_depth(std::string_view path) {
  if (path.empty()) return 0;
  return static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')) + 1;
}

std::pair<std::string_view, std::string_view> split_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {std::string_view{}, path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string join_path(std::string_view folder, std::string_view name) {
  std::string joined(folder);
  if (!folder.empty() && !name.empty()) joined += '/';
  joined += name;
  return joined;
}

bool is_below(std::string_view path, std::string_view folder) {
  if (folder.empty()) return !path.empty();
  return path.size() > folder.size() && path[folder.size()] == '/' && path.starts_with(folder);
}

std::string_view take_part(std::string_view& rest) {
  const std::size_t begin = std::min(rest.find_first_not_of('/'), rest.size());
  const std::size_t end = std::min(rest.find('/', begin), rest.size());
  const std::string_view part = rest.substr(begin, end - begin);
  rest.remove_prefix(end);
  return part;
}

}  // namespace imagebuild::archive
