// The other side of the fork: what a RUN's process does between being born and becoming the user's program.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace imagebuild::builder {

// A file that exists for one RUN only: a secret, or a script from the Dockerfile.
struct RunFile {
  std::string content;
  std::uint32_t mode = 0400;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string staged;  // Where it is written, on the private tmpfs.
  std::string target;  // The file it is mounted on; empty: it stays where it is staged.
};

// Everything is prepared before the fork: the child allocates nothing and makes only system calls.
struct RunChild {
  std::vector<std::string> programs;  // Paths to try in turn: argv[0], or it in each folder of PATH.
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string working_dir;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<gid_t> groups;
  bool change_user = false;  // This process may set users and groups.

  bool private_mounts = false;             // Take a mount namespace of its own and do what follows in it.
  std::vector<std::string> hidden_mounts;  // Detached, in this order.
  std::string staging;                     // A folder that gets a new tmpfs on it; empty for none.
  std::vector<RunFile> files;              // Written to the tmpfs.
};

// Where the child stopped on its way to the program.
enum class RunPhase : int { kMounts, kCapabilities, kUser, kWorkingDir, kExec };
struct RunChildFailure {
  RunPhase phase = RunPhase::kExec;
  int error = 0;    // errno
  int program = 0;  // kExec: index into programs of the one that `error` is about.
};

// Becomes the program, with `in`, `out` and `err` as its first three descriptors and no others; when it cannot, writes
// a RunChildFailure to `failure_fd` and ends with 127.
[[noreturn]] void become(const RunChild& child, int in, int out, int err, int failure_fd);

}  // namespace imagebuild::builder
