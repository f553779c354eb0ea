#include "operator/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace imagebuild::op {
namespace {

std::string read(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

double open_descriptors() {
  double count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
       entry.increment(error)) {
    ++count;
  }
  return count > 0 ? count - 1 : 0;  // Without the one that reads the folder.
}

// When the machine started, in seconds since 1970.
double boot_seconds() {
  std::istringstream lines(read("/proc/stat"));
  for (std::string word; lines >> word;) {
    double seconds = 0;
    if (word == "btime" && lines >> seconds) return seconds;
  }
  return 0;
}

}  // namespace

std::optional<ProcessStats> read_process_stats() {
  // proc(5): the second field is the program's name in parentheses, which may contain any of them.
  const std::string stat = read("/proc/self/stat");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(name_end + 1));
  const auto skip = [&fields](int count) {
    for (std::string word; count > 0 && fields >> word; --count) {
    }
  };
  double user = 0, system = 0, start = 0, virtual_bytes = 0, resident_pages = 0;
  skip(11);  // 3 to 13
  fields >> user >> system;
  skip(6);  // 16 to 21
  fields >> start >> virtual_bytes >> resident_pages;
  if (!fields) return std::nullopt;

  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  ProcessStats stats;
  stats.cpu_seconds = (user + system) / ticks;
  stats.start_seconds = boot_seconds() + start / ticks;
  stats.virtual_bytes = virtual_bytes;
  stats.resident_bytes = resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
  stats.open_fds = open_descriptors();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.max_fds = static_cast<double>(limit.rlim_cur);
  return stats;
}

}  // namespace imagebuild::op
