#include "builder/stage/descendants.h"

#include <dirent.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"

namespace imagebuild::builder {
namespace {

constexpr std::uint64_t kMaxStatBytes = 64 * 1024;

// /proc/PID/stat: "PID (name) state PPID …"; the name may hold anything, so the last ')' counts.
pid_t parent_of(std::string_view stat) {
  const std::size_t end = stat.rfind(')');
  if (end == std::string_view::npos || end + 4 >= stat.size()) return -1;
  pid_t parent = -1;
  std::from_chars(stat.data() + end + 4, stat.data() + stat.size(), parent);
  return parent;
}

}  // namespace

void kill_descendants() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), ::closedir);
  if (folder == nullptr) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    const auto stat = read_file("/proc/" + std::string(name) + "/stat", kMaxStatBytes);
    if (stat.ok() && parent_of(*stat) == ::getpid()) ::kill(pid, SIGKILL);
  }
}

}  // namespace imagebuild::builder
