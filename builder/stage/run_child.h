// The other side of the fork: what a RUN's process does between being born and becoming the user's program.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace imagebuild::builder {

// A mount that only the RUN sees.
struct ChildMount {
  enum class Kind { kBind, kMemory, kContent };
  Kind kind = Kind::kBind;
  std::string target;   // Absolute; no link in it, as far as it lies in the root.
  std::string source;   // kBind: the folder or file.
  std::string options;  // kMemory: as mount(2) takes them.
  std::string content;  // kContent: of a file that exists only in memory.
  std::uint32_t mode = 0400;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool is_folder = true;
  bool read_only = false;
  int within = -1;  // Index of the mount that the mount point lies in and is made in; -1: it is in the root, and there.
};

// A script from the Dockerfile, as a file outside the root.
struct ChildScript {
  std::string path;
  std::string content;
};

struct ChildLimit {
  int resource = 0;  // RLIMIT_…
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
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
  bool no_network = false;   // A network of its own with nothing but a loopback device.
  std::vector<ChildLimit> limits;

  bool private_mounts = false;             // Take a mount namespace of its own and do what follows in it.
  std::string private_memory;              // A folder that gets a tmpfs on it for kContent; empty for none.
  std::vector<ChildMount> mounts;          // In this order.
  std::vector<std::string> hidden_mounts;  // Then these are detached, in this order.
  std::string staging;                     // Then this folder gets a new tmpfs on it; empty for none.
  std::optional<ChildScript> script;       // Then this is written there.
  bool make_working_dir = false;           // It lies in a mount: make what is missing of it there.
};

// Where the child stopped on its way to the program.
enum class RunPhase : int { kMounts, kNetwork, kLimits, kCapabilities, kUser, kWorkingDir, kExec };
struct RunChildFailure {
  RunPhase phase = RunPhase::kExec;
  int error = 0;  // errno
  int index = 0;  // kExec: into programs, of the one that `error` is about; kMounts: into mounts, -1 for none of them;
                  // kLimits: into limits.
};

// Becomes the program, with `in`, `out` and `err` as its first three descriptors and no others; when it cannot, writes
// a RunChildFailure to `failure_fd` and ends with 127.
[[noreturn]] void become(const RunChild& child, int in, int out, int err, int failure_fd);

}  // namespace imagebuild::builder
