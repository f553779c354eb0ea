// Running another program to its end.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace imagebuild {

struct ProcessSpec {
  std::vector<std::string> argv;                        // argv[0] is looked up in PATH unless it has a slash.
  std::optional<std::vector<std::string>> environment;  // "NAME=value"; the caller's own when absent.
  std::string directory;                                // The caller's own when empty.
  std::string stdin_text;                               // Given as a file; /dev/null when empty.
  std::vector<std::pair<int, int>> inherited_fds;  // {fd here, fd there}; nothing else but 0, 1 and 2 is inherited.
  // How long a program that was asked to stop (SIGTERM) may take before it is killed (SIGKILL).
  std::chrono::milliseconds stop_grace{10'000};
  // Called with each piece of output as it comes, on the calling thread. Absent: output is collected in ProcessResult.
  std::function<void(int stream, std::string_view piece)> on_output;  // stream is 1 or 2.
  std::uint64_t max_output_bytes = 16U << 20;                         // For collected output; kLimit beyond it.
};

struct ProcessResult {
  int exit_status = 0;  // 128 + the signal's number if a signal ended it, as shells count.
  std::string stdout_text;
  std::string stderr_text;
};

// The seam to other programs: production code runs them, a test answers for them.
class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  // Starts the program and waits for its end. An error means that it could not be started or watched (kNotFound: no
  // such program), never that it failed. When `stop` is requested it gets SIGTERM, and SIGKILL spec.stop_grace later;
  // the result is then kCancelled. What background children write after the program's end is not waited for. The child
  // dies with this process (PR_SET_PDEATHSIG).
  virtual Result<ProcessResult> run(const ProcessSpec& spec, std::stop_token stop = {}) = 0;
};

class SystemProcessRunner final : public ProcessRunner {
 public:
  Result<ProcessResult> run(const ProcessSpec& spec, std::stop_token stop = {}) override;
};

// The full path of `program` in $PATH, if there is one that can be executed; with a slash in it, itself on that
// condition.
std::optional<std::string> find_in_path(std::string_view program);

}  // namespace imagebuild
