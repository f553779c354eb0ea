// The OCI runtime configuration of a stage's container (OCI runtime-spec, config.md). Pure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace imagebuild::cli {

// A file or folder of this machine that a container sees.
struct Bind {
  std::filesystem::path source;
  std::string target;  // Absolute, in the container.
  bool writable = false;
};

struct ContainerSpec {
  std::filesystem::path root;  // The mounted root file system.
  std::vector<std::string> arguments;
  std::string hostname;
  std::string cgroup;  // "/<unique>"
  std::vector<Bind> binds;
  std::uint64_t shm_bytes = 0;                 // Of /dev/shm; 0: as Docker has it, 64 MiB.
  std::vector<std::string> more_capabilities;  // For the stage program alone; no RUN keeps them.
};

// config.json: like a container of Docker (mounts, masked and read-only paths, capabilities, devices), but on the
// host's network, writable, and with CAP_SYS_ADMIN, which the stage program needs to look under mounts and which it
// drops for every RUN.
std::string container_config(const ContainerSpec& spec);

}  // namespace imagebuild::cli
