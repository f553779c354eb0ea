// Runs stages in containers of this machine: runc or crun on an overlay of unpacked layers.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "archive/compress.h"
#include "base/process.h"
#include "base/result.h"
#include "cli/container_spec.h"
#include "cli/ssh_sources.h"

namespace imagebuild::cli {

// What the containers of one build have in common.
struct RuntimeSettings {
  std::string runtime;                   // Full path of runc or crun.
  std::filesystem::path stage_program;   // imagebuild-stage.
  std::filesystem::path build_folder;    // Containers, their mounts and the runtime's state live below it.
  std::filesystem::path volume;          // The artifact volume, api/volume.h.
  std::filesystem::path context_folder;  // Seen at volume::kContextFolder; empty when the volume has a tar.
  std::string build_id;                  // Unique on this machine.
  std::filesystem::path caches;          // Where caches are kept between builds, each below cache_folder_name(id).
  std::map<std::string, SshSource> ssh;  // By id.
  archive::Compression compression = archive::Compression::kGzip;
};

// The full path of runc, else crun; the error names the package to install.
Result<std::string> find_runtime();
// imagebuild-stage, which lies beside the running program.
Result<std::filesystem::path> find_stage_program();

// Of a cache below RuntimeSettings::caches.
std::string cache_folder_name(const std::string& id);

// Everything below volume::kMountPoint in the stage's container, and the host's name-resolution files. `files` are
// those prepared for this container: {"hosts": …, "secrets": …, "ssh/0": …}; what is missing in it is not mounted.
// Pure.
std::vector<Bind> stage_binds(const RuntimeSettings& settings, const api::Plan& plan, int stage,
                              const std::map<std::string, std::filesystem::path>& files);

// The error for a runtime that did not run the stage program, from what it printed.
Error runtime_error(const std::string& runtime, int exit_status, const std::string& stderr_text);

class LocalRuntime {
 public:
  // `secrets` are contents by id; they are kept in memory file systems of their own, one a stage. `processes` must
  // outlive the runtime.
  LocalRuntime(RuntimeSettings settings, std::map<std::string, std::string> secrets, ProcessRunner& processes)
      : settings_(std::move(settings)), secrets_(std::move(secrets)), processes_(processes) {}

  // Runs a stage of the plan to its end. `layers` are the unpacked layers of its root image, from the bottom up. The
  // report carries a user's failure. However it ends, no process, mount or file of the container is left, and when
  // `stop` is requested it ends soon, with kCancelled. From several threads at once.
  Result<api::StageReport> run(const api::Plan& plan, int stage, const std::vector<std::filesystem::path>& layers,
                               const std::function<void(const api::StageEvent&)>& on_event,
                               const std::stop_token& stop);

 private:
  struct Container;
  Status prepare(const api::Plan& plan, int stage, const std::vector<std::filesystem::path>& layers,
                 Container& container) const;
  Status write_secrets(const api::Plan& plan, int stage, Container& container) const;
  Status write_ssh(const api::Plan& plan, int stage, Container& container) const;
  Status make_caches(const api::Plan& plan, int stage) const;
  RuntimeSettings settings_;
  std::map<std::string, std::string> secrets_;
  ProcessRunner& processes_;
};

// Removes the containers that a killed build left behind, by the runtime's state in its folder.
void remove_leftover_containers(const std::filesystem::path& build_folder, ProcessRunner& processes);

}  // namespace imagebuild::cli
