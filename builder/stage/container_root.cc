#include "builder/stage/container_root.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/file.h"

namespace imagebuild::builder {
namespace {

constexpr std::uint64_t kMaxMountinfoBytes = 16U << 20;

// Files that some runtimes leave in a root file system without mounting anything there.
constexpr const char* kRuntimeFiles[] = {".dockerenv", ".dockerinit", "run/.containerenv"};

// mountinfo writes space, tab, newline and backslash as \ and three octal digits.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string relative(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

std::string_view field(std::string_view line, int wanted) {
  for (int i = 0; i < wanted; ++i) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return {};
    line.remove_prefix(space + 1);
  }
  return line.substr(0, line.find(' '));
}

// The mount of the root without what is mounted on it, visible to nobody else. Invalid where that is not allowed.
UniqueFd private_view(const std::string& root) {
  const long tree = ::syscall(SYS_open_tree, AT_FDCWD, root.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return UniqueFd();
  const UniqueFd mount(static_cast<int>(tree));
  return UniqueFd(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

std::vector<std::string> mount_points(std::string_view mountinfo) {
  std::set<std::string> points;
  while (!mountinfo.empty()) {
    const std::size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    const std::string point = relative(unescape(field(mountinfo.substr(0, end), 4)));
    if (!point.empty()) points.insert(point);
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
  }
  return {points.begin(), points.end()};
}

Boundary boundary_of(const ContainerRootSpec& spec, const std::vector<std::string>& mounts, bool mounts_are_hidden) {
  Boundary boundary;
  boundary.exclude_mount_roots = !mounts_are_hidden;
  for (const std::string& volume : spec.volumes) boundary.volumes.insert(relative(volume));
  const std::string root = relative(spec.root);
  const std::string artifacts = relative(spec.volume);
  if (!artifacts.empty() && artifacts != root && is_at_or_below(artifacts, root)) {
    boundary.excluded.insert(root.empty() ? artifacts : artifacts.substr(root.size() + 1));
  }
  const auto add_phantoms = [&](const std::string& path) {
    for (std::string at = path; !at.empty(); at = parent_path(at)) {
      if (spec.base == nullptr || spec.base->find(at) == nullptr) boundary.phantoms.insert(at);
    }
  };
  for (const std::string& mount : mounts) {
    if (!is_at_or_below(mount, root) || mount == root) continue;
    const std::string path = root.empty() ? mount : mount.substr(root.size() + 1);
    if (!boundary.volumes.contains(path)) {
      add_phantoms(path);
      if (!mounts_are_hidden) boundary.excluded.insert(path);
    } else {
      add_phantoms(parent_path(path));
    }
  }
  for (const std::string& artifact : boundary.excluded) add_phantoms(artifact);
  for (const char* file : kRuntimeFiles) add_phantoms(file);
  return boundary;
}

Result<LiveRoot> open_container_root(const ContainerRootSpec& spec) {
  std::vector<std::string> mounts;
  // An image without /proc has no list; the kernel's word for each path has to do then.
  if (auto text = read_file("/proc/self/mountinfo", kMaxMountinfoBytes); text.ok()) mounts = mount_points(*text);
  const bool volume_is_mounted = std::any_of(spec.volumes.begin(), spec.volumes.end(), [&](const std::string& volume) {
    return std::binary_search(mounts.begin(), mounts.end(), relative(volume));
  });
  UniqueFd root = volume_is_mounted ? UniqueFd() : private_view(spec.root);
  const bool hidden = root.valid();
  if (!hidden) {
    ASSIGN_OR_RETURN(root, open_file(spec.root, O_RDONLY | O_DIRECTORY));
  }
  return LiveRoot(std::move(root), boundary_of(spec, mounts, hidden));
}

}  // namespace imagebuild::builder
