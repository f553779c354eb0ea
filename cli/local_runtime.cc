#include "cli/local_runtime.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <set>

#include "api/step_sources.h"
#include "api/volume.h"
#include "base/file.h"
#include "base/stream.h"
#include "cli/event_pipe.h"
#include "cli/overlay.h"
#include "oci/digest.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;
namespace volume = api::volume;

namespace {

constexpr const char* kHostname = "imagebuild";
constexpr int kReportFd = 3;
constexpr std::uint64_t kMaxReportBytes = 64U << 20;
constexpr std::uint64_t kMaxSecretsBytes = 64U << 20;

fs::path state_folder(const fs::path& build_folder) {
  return build_folder / "runtime";
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of("\r\n \t");
  if (end == std::string::npos) return "";
  const std::size_t begin = text.rfind('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

// The host's names, those of --add-host and the container's own, which programs look up.
Status write_hosts(const fs::path& file, const std::vector<api::HostAlias>& aliases) {
  constexpr std::uint64_t kMaxHostsBytes = 1U << 20;
  const Result<std::string> host = read_file("/etc/hosts", kMaxHostsBytes);
  std::string text = host.ok() ? *host : "127.0.0.1 localhost\n::1 localhost\n";
  if (!text.ends_with('\n')) text += '\n';
  for (const api::HostAlias& alias : aliases) text += alias.address + " " + alias.name + "\n";
  return write_file_atomically(file, text + "127.0.0.1 " + kHostname + "\n");
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

void remove_container(const std::string& runtime, const fs::path& build_folder, const std::string& id,
                      ProcessRunner& processes) {
  (void)processes.run(
      ProcessSpec{.argv = {runtime, "--root", state_folder(build_folder).string(), "delete", "--force", id}});
}

// A capability can be given only by who has it.
bool may_give(int capability) {
  return ::prctl(PR_CAPBSET_READ, capability) == 1;
}

// What the stage program uses for single steps, and never gives to a RUN.
std::vector<std::string> more_capabilities(const api::Plan& plan, int stage) {
  std::vector<std::string> names;
  for (const api::Step& step : plan.stages[static_cast<std::size_t>(stage)].steps) {
    const auto* const run = std::get_if<api::RunStep>(&step.action);
    if (run == nullptr || run->network != api::Network::kNone || !may_give(CAP_NET_ADMIN)) continue;
    names.emplace_back("CAP_NET_ADMIN");  // To set up the loopback device of a network of its own.
    break;
  }
  // To raise limits; lowering them needs nothing.
  if (!plan.run.ulimits.empty() && may_give(CAP_SYS_RESOURCE)) names.emplace_back("CAP_SYS_RESOURCE");
  return names;
}

// The stage's report where it lies on the volume, for the case that the pipe broke before it came.
Result<api::StageReport> report_on_volume(const fs::path& volume, int stage) {
  ASSIGN_OR_RETURN(const std::string text,
                   read_file(volume / volume::stage_folder(stage) / volume::kReport, kMaxReportBytes));
  return api::StageReport::parse(text);
}

}  // namespace

Result<std::string> find_runtime() {
  for (const char* name : {"runc", "crun"}) {
    if (const auto path = find_in_path(name)) return *path;
  }
  return Error{
      ErrorCode::kInternal,
      "RUN needs an OCI runtime and there is neither runc nor crun in PATH; install one: apt-get install runc"};
}

Result<fs::path> find_stage_program() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return system_error("/proc/self/exe", error.value());
  const fs::path program = self.parent_path() / "imagebuild-stage";
  if (::access(program.c_str(), X_OK) != 0) {
    return Error{ErrorCode::kInternal,
                 "the program " + program.string() + " is missing; it belongs beside imagebuild, so install both"};
  }
  return program;
}

std::string cache_folder_name(const std::string& id) {
  return std::string(oci::Digest::of(id).hex());
}

std::vector<Bind> stage_binds(const RuntimeSettings& settings, const api::Plan& plan, int stage,
                              const std::map<std::string, fs::path>& files) {
  const std::string mount_point = volume::kMountPoint;
  std::vector<Bind> binds;
  const auto add = [&](const std::string& path, bool writable = false) {
    binds.push_back(Bind{settings.volume / path, mount_point + "/" + path, writable});
  };
  binds.push_back(Bind{settings.stage_program, mount_point + "/" + volume::kStageProgram});
  add(volume::kPlan);
  add("bases");
  add(volume::kContextIndex);
  if (settings.context_folder.empty()) {
    add(volume::kContextTar);
  } else {
    binds.push_back(Bind{settings.context_folder, mount_point + "/" + volume::kContextFolder});
  }
  std::set<int> seen;
  for (const int need : plan.stages[static_cast<std::size_t>(stage)].needs) seen.insert(need);
  for (const int below : api::base_chain(plan, stage)) seen.insert(below);
  seen.erase(stage);
  for (const int other : seen) add(volume::stage_folder(other));
  add(volume::stage_folder(stage), true);
  for (const int tree : api::trees_of(plan.stages[static_cast<std::size_t>(stage)])) {
    add(volume::tree_index(tree));
    add(volume::tree_tar(tree));
  }
  const std::vector<std::string> caches = api::cache_ids(plan, stage);
  for (std::size_t i = 0; i < caches.size(); ++i) {
    const std::string target = mount_point + "/" + volume::kCaches + "/" + std::to_string(i);
    binds.push_back(Bind{settings.caches / cache_folder_name(caches[i]), target, true});
  }
  for (const auto& [name, file] : files) {
    if (name.starts_with("ssh/")) binds.push_back(Bind{file, mount_point + "/" + name});
  }
  const auto secrets = files.find("secrets");
  if (secrets != files.end()) binds.push_back(Bind{secrets->second, mount_point + "/" + volume::kSecrets});
  for (const char* name : {"hosts", "resolv.conf"}) {
    const auto file = files.find(name);
    if (file != files.end()) binds.push_back(Bind{file->second, std::string("/etc/") + name});
  }
  return binds;
}

Error runtime_error(const std::string& runtime, int exit_status, const std::string& stderr_text) {
  const std::string name = fs::path(runtime).filename().string();
  if (stderr_text.find("hybrid mode not supported") != std::string::npos) {
    return Error{ErrorCode::kInternal,
                 name +
                     " does not work on this machine, which mixes cgroups of version 1 and 2; install runc, which "
                     "does: apt-get install runc"};
  }
  std::string message = name + " could not run the stage's container (exit status " + std::to_string(exit_status) + ")";
  if (const std::string reason = last_line(stderr_text); !reason.empty()) message += ": " + reason;
  return Error{ErrorCode::kInternal, std::move(message)};
}

// Members in the order in which they come to be; undone in the reverse one.
struct LocalRuntime::Container {
  std::string id;
  fs::path folder;  // Also the OCI bundle.
  std::map<std::string, fs::path> files;
  std::optional<Mount> secrets;
  std::optional<Mount> keys;
  std::optional<Mount> root;
};

Status LocalRuntime::write_secrets(const api::Plan& plan, int stage, Container& container) const {
  const std::vector<std::string> ids = api::secret_ids(plan, stage);
  if (ids.empty()) return ok();
  const fs::path folder = container.folder / "secrets";
  if (::mkdir(folder.c_str(), 0700) != 0) return system_error(folder.string(), errno);
  ASSIGN_OR_RETURN(Mount memory, mount_tmpfs(folder, kMaxSecretsBytes));
  container.secrets.emplace(std::move(memory));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto secret = secrets_.find(ids[i]);
    if (secret == secrets_.end()) continue;
    RETURN_IF_ERROR(write_file_atomically(folder / std::to_string(i), secret->second, 0400).in("secret " + ids[i]));
  }
  container.files["secrets"] = folder;
  return ok();
}

Status LocalRuntime::write_ssh(const api::Plan& plan, int stage, Container& container) const {
  const std::vector<std::string> ids = api::ssh_ids(plan, stage);
  const fs::path folder = container.folder / "ssh";
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto given = settings_.ssh.find(ids[i]);
    if (given == settings_.ssh.end()) continue;
    const std::string name = std::string(volume::kSsh) + "/" + std::to_string(i);
    if (given->second.keys.empty()) {
      container.files[name] = given->second.socket;
      continue;
    }
    if (!container.keys) {
      if (::mkdir(folder.c_str(), 0700) != 0) return system_error(folder.string(), errno);
      ASSIGN_OR_RETURN(Mount memory, mount_tmpfs(folder, kMaxSecretsBytes));
      container.keys.emplace(std::move(memory));
    }
    RETURN_IF_ERROR(write_file_atomically(folder / std::to_string(i), given->second.keys, 0400).in("SSH " + ids[i]));
    container.files[name] = folder / std::to_string(i);
  }
  return ok();
}

Status LocalRuntime::make_caches(const api::Plan& plan, int stage) const {
  for (const std::string& id : api::cache_ids(plan, stage)) {
    std::error_code error;
    const fs::path folder = settings_.caches / cache_folder_name(id);
    fs::create_directories(folder, error);
    if (error) return system_error("cannot make the cache " + folder.string(), error.value());
  }
  return ok();
}

Status LocalRuntime::prepare(const api::Plan& plan, int stage, const std::vector<fs::path>& layers,
                             Container& container) const {
  std::error_code error;
  const OverlayFolder overlay{container.folder / "root"};
  fs::create_directories(overlay.path, error);
  if (!error) fs::create_directories(settings_.volume / volume::stage_folder(stage), error);
  if (!error) fs::create_directories(settings_.volume / "bases", error);
  if (error) return system_error(container.folder.string(), error.value());
  ASSIGN_OR_RETURN(Mount root, mount_overlay(overlay, layers));
  container.root.emplace(std::move(root));
  RETURN_IF_ERROR(write_secrets(plan, stage, container));
  RETURN_IF_ERROR(write_ssh(plan, stage, container));
  RETURN_IF_ERROR(make_caches(plan, stage));
  container.files["hosts"] = container.folder / "hosts";
  RETURN_IF_ERROR(write_hosts(container.files["hosts"], plan.run.hosts));
  if (is_file("/etc/resolv.conf")) {
    const fs::path resolved = fs::canonical("/etc/resolv.conf", error);
    if (!error) container.files["resolv.conf"] = resolved;
  }

  ContainerSpec spec;
  spec.root = container.root->target();
  spec.arguments = {std::string(volume::kMountPoint) + "/" + volume::kStageProgram,
                    "--volume",
                    volume::kMountPoint,
                    "--stage",
                    std::to_string(stage),
                    "--report-fd",
                    std::to_string(kReportFd)};
  if (settings_.compression == archive::Compression::kZstd) {
    spec.arguments.insert(spec.arguments.end(), {"--compression", "zstd"});
  }
  spec.hostname = kHostname;
  spec.cgroup = "/" + container.id;
  spec.shm_bytes = plan.run.shm_bytes;
  spec.more_capabilities = more_capabilities(plan, stage);
  spec.binds = stage_binds(settings_, plan, stage, container.files);
  return write_file_atomically(container.folder / "config.json", container_config(spec), 0600);
}

Result<api::StageReport> LocalRuntime::run(const api::Plan& plan, int stage, const std::vector<fs::path>& layers,
                                           const std::function<void(const api::StageEvent&)>& on_event,
                                           const std::stop_token& stop) {
  Container container;
  container.id = "imagebuild-" + settings_.build_id + "-" + std::to_string(stage);
  container.folder = settings_.build_folder / "containers" / std::to_string(stage);
  RETURN_IF_ERROR(prepare(plan, stage, layers, container));
  ASSIGN_OR_RETURN(const std::unique_ptr<EventPipe> pipe, EventPipe::open(on_event));

  ProcessSpec spec;
  spec.argv = {settings_.runtime,
               "--root",
               state_folder(settings_.build_folder).string(),
               "run",
               "--preserve-fds",
               "1",
               "--bundle",
               container.folder.string(),
               container.id};
  spec.inherited_fds = {{pipe->write_fd(), kReportFd}};
  const Result<ProcessResult> result = processes_.run(spec, stop);
  // A runtime that ended by itself has removed its container; one that was stopped may not have had the time.
  const bool ended = result.ok() && result->exit_status < 128;
  if (!ended) remove_container(settings_.runtime, settings_.build_folder, container.id, processes_);
  const Result<std::optional<api::StageReport>> told = pipe->finish();

  if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
  if (!result.ok()) return result.error();
  RETURN_IF_ERROR(container.root->unmount());
  if (told.ok() && told->has_value()) return **told;
  if (Result<api::StageReport> report = report_on_volume(settings_.volume, stage); report.ok()) return report;
  if (!told.ok()) return told.error();
  return runtime_error(settings_.runtime, result->exit_status, result->stderr_text);
}

void remove_leftover_containers(const fs::path& build_folder, ProcessRunner& processes) {
  const Result<std::string> runtime = find_runtime();
  if (!runtime.ok()) return;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(state_folder(build_folder), error)) {
    remove_container(*runtime, build_folder, entry.path().filename().string(), processes);
  }
}

}  // namespace imagebuild::cli
