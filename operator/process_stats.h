// What Linux says about this process, for the process_* metrics.
#pragma once

#include <optional>

namespace imagebuild::op {

struct ProcessStats {
  double cpu_seconds = 0;  // User and system.
  double resident_bytes = 0;
  double virtual_bytes = 0;
  double open_fds = 0;
  double max_fds = 0;
  double start_seconds = 0;  // Since 1970.
};

// From /proc/self; nothing where that is not mounted.
std::optional<ProcessStats> read_process_stats();

}  // namespace imagebuild::op
