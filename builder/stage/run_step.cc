#include "builder/stage/run_step.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/file.h"
#include "builder/stage/container_root.h"
#include "builder/stage/exec_failure.h"
#include "builder/stage/limits.h"
#include "builder/stage/private_mounts.h"
#include "builder/stage/run_process.h"
#include "builder/stage/stand_ins.h"
#include "builder/stage/users.h"

namespace imagebuild::builder {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::optional<std::string> value_of(const std::vector<std::string>& env, std::string_view name) {
  for (const std::string& entry : env) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

// The paths that execvp(3) would try.
std::vector<std::string> candidates(const std::string& program, const std::vector<std::string>& env) {
  if (program.find('/') != std::string::npos) return {program};
  std::vector<std::string> paths;
  std::string path = value_of(env, "PATH").value_or(kDefaultPath) + ":";
  for (std::size_t at = 0, end = 0; (end = path.find(':', at)) != std::string::npos; at = end + 1) {
    const std::string folder = path.substr(at, end - at);
    paths.push_back(folder.empty() ? "./" + program : folder + "/" + program);
  }
  return paths;
}

// What is mounted in this container, relative to its root.
std::vector<std::string> all_mounts() {
  const auto mountinfo = read_file("/proc/self/mountinfo", 16U << 20);
  return mountinfo.ok() ? mount_points(*mountinfo) : std::vector<std::string>();
}

// The mounts at or below `folder`, the inner ones first.
std::vector<std::string> mounts_in(const std::string& folder) {
  std::vector<std::string> hidden;
  for (const std::string& mount : all_mounts()) {
    if (is_at_or_below("/" + mount, folder)) hidden.push_back("/" + mount);
  }
  std::reverse(hidden.begin(), hidden.end());
  return hidden;
}

using OnOutput = std::function<void(int, std::string_view)>;

// Makes the child of a step, and takes back what it made for it.
class Preparation {
 public:
  Preparation(const api::RunStep& step, const RunPlaces& places, int root_fd, const OnOutput& on_output)
      : step_(step), places_(places), on_output_(on_output), mounts_(places.mounts) {
    if (places.private_mounts) {
      way_ = std::make_unique<PrivateMounts>(root_fd, places.volume, places.scratch);
    } else {
      way_ = std::make_unique<StandIns>(root_fd, places.volume, all_mounts(), [this](const std::string& warning) {
        on_output_(2, "warning: " + warning + "\n");
      });
    }
  }
  ~Preparation() {
    if (!script_path_.empty()) ::unlink(script_path_.c_str());
  }
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  // Fills `child`.
  Status prepare(const std::stop_token& stop) {
    ASSIGN_OR_RETURN(const Account account, resolve_user(places_.root, step_.user));
    child.env = run_environment(step_, account.home);
    child.argv = step_.argv;
    child.working_dir = step_.working_dir;
    child.private_mounts = places_.private_mounts;
    child.no_network = step_.network == api::Network::kNone;
    RETURN_IF_ERROR(set_user(account));
    for (const api::Ulimit& limit : places_.settings.ulimits) {
      ASSIGN_OR_RETURN(const ChildLimit child_limit_of_it, child_limit(limit));
      child.limits.push_back(child_limit_of_it);
    }
    ASSIGN_OR_RETURN(const std::vector<WantedMount> wanted, mounts_.find(step_, on_output_, stop));
    for (const api::SecretMount& secret : step_.secrets) add_variable(secret);
    RETURN_IF_ERROR(way_->put(wanted, child, stop));
    child.make_working_dir = is_mounted(wanted, step_.working_dir);
    if (step_.script) RETURN_IF_ERROR(add_script(*step_.script));
    if (child.argv.empty()) return Error{ErrorCode::kInvalidInput, "RUN has no command"};
    child.programs = candidates(child.argv.front(), child.env);
    hide_volume();
    return imagebuild::ok();
  }

  MountWay& way() { return *way_; }
  RunChild child;

 private:
  static bool is_mounted(const std::vector<WantedMount>& mounts, const std::string& path) {
    return std::ranges::any_of(mounts, [&](const WantedMount& mount) { return is_at_or_below(path, mount.target); });
  }

  Status set_user(const Account& account) {
    child.uid = account.uid;
    child.gid = account.gid;
    child.groups.assign(account.groups.begin(), account.groups.end());
    child.change_user = ::geteuid() == 0;
    if (child.change_user || account.uid == ::geteuid() || step_.user.empty()) return imagebuild::ok();
    return Error{ErrorCode::kDenied, "the step runs as user " + std::to_string(account.uid) +
                                         ", but its container runs as " + std::to_string(::geteuid()) +
                                         " and may not change that"};
  }

  void add_variable(const api::SecretMount& secret) {
    const auto content = places_.mounts.secrets.find(secret.id);
    if (content == places_.mounts.secrets.end() || secret.env.empty()) return;
    std::erase_if(child.env, [&](const std::string& entry) { return entry.starts_with(secret.env + "="); });
    child.env.push_back(secret.env + "=" + content->second.substr(0, content->second.find('\0')));
  }

  // A script lies outside the root, so it needs no cleaning of the snapshot: on the private tmpfs or in our folder.
  Status add_script(const api::InlineFile& script) {
    if (places_.private_mounts) {
      child.script = ChildScript{places_.volume + "/script", script.content};
      child.argv.front() = child.script->path;
      return imagebuild::ok();
    }
    script_path_ = places_.stage_folder + "/script";
    RETURN_IF_ERROR(write_file_atomically(script_path_, script.content, 0755));
    if (::chmod(script_path_.c_str(), 0755) != 0) return system_error("cannot write a script", errno);
    child.argv.front() = script_path_;
    return imagebuild::ok();
  }

  void hide_volume() {
    if (!child.private_mounts) return;
    child.hidden_mounts = mounts_in(places_.volume);
    // With nothing mounted there, something has to be put over it.
    if (child.script || child.hidden_mounts.empty()) child.staging = places_.volume;
  }

  const api::RunStep& step_;
  const RunPlaces& places_;
  const OnOutput& on_output_;
  RunMounts mounts_;
  std::unique_ptr<MountWay> way_;
  std::string script_path_;
};

Result<RunResult> judge(const api::RunStep& step, const RunChild& child, const RunOutcome& outcome) {
  if (outcome.failure) {
    const std::optional<std::string> script = step.script ? std::optional(step.script->content) : std::nullopt;
    const ExecFailure failure = explain(child, *outcome.failure, script);
    if (failure.error.exit_status() != kExitFailed || failure.exit_status == 0) return failure.error;
    return RunResult{failure.exit_status, failure.error, {}};
  }
  if (outcome.exit_status == 0) return RunResult{};
  std::string message = "the command failed with exit code " + std::to_string(outcome.exit_status);
  if (outcome.signal != 0) {
    const std::string why = outcome.signal == SIGKILL ? "; the machine may have run out of memory" : "";
    message = "the command was ended by signal " + std::to_string(outcome.signal) + " (" + ::strsignal(outcome.signal) +
              ")" + why;
  }
  return RunResult{outcome.exit_status, Error{ErrorCode::kFailed, std::move(message)}, {}};
}

}  // namespace

std::vector<std::string> run_environment(const api::RunStep& step, const std::string& home) {
  std::vector<std::string> env = step.env;
  if (!value_of(env, "PATH")) env.push_back(std::string("PATH=") + kDefaultPath);
  if (!value_of(env, "HOME")) env.push_back("HOME=" + home);
  const auto agent = std::ranges::find_if(
      step.mounts, [](const api::Mount& mount) { return std::holds_alternative<api::SshMount>(mount); });
  if (agent != step.mounts.end() && !value_of(env, "SSH_AUTH_SOCK")) {
    env.push_back("SSH_AUTH_SOCK=" + std::get<api::SshMount>(*agent).target);
  }
  return env;
}

Result<RunResult> run_step(const api::RunStep& step, const RunPlaces& places,
                           const std::function<void(int, std::string_view)>& on_output, std::stop_token stop,
                           std::stop_token stop_now) {
  ASSIGN_OR_RETURN(const UniqueFd root, open_file(places.root_folder, O_RDONLY | O_DIRECTORY));
  Preparation preparation(step, places, root.get(), on_output);
  if (const Status prepared = preparation.prepare(stop); !prepared.ok()) {
    if (prepared.error().exit_status() != kExitFailed) return prepared.error();
    return RunResult{0, prepared.error(), {}};
  }
  const auto outcome = run_process(preparation.child, on_output, stop, stop_now);
  // While what the program may have been found in is still there.
  Result<RunResult> result = outcome.ok() ? judge(step, preparation.child, *outcome) : outcome.error();
  const Status undone = preparation.way().undo();
  if (result.ok() && !undone.ok()) return undone.error();
  if (result.ok()) result->masked = preparation.way().masked();
  return result;
}

}  // namespace imagebuild::builder
