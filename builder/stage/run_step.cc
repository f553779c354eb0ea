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
#include "builder/stage/footprints.h"
#include "builder/stage/run_process.h"
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

// The mounts at or below `folder`, the inner ones first.
std::vector<std::string> mounts_in(const std::string& folder) {
  std::vector<std::string> hidden;
  const auto mountinfo = read_file("/proc/self/mountinfo", 16U << 20);
  if (!mountinfo.ok()) return hidden;
  for (const std::string& mount : mount_points(*mountinfo)) {
    if (is_at_or_below("/" + mount, folder)) hidden.push_back("/" + mount);
  }
  std::reverse(hidden.begin(), hidden.end());
  return hidden;
}

class Preparation {
 public:
  Preparation(const api::RunStep& step, const RunPlaces& places, int root_fd)
      : step_(step), places_(places), footprints_(root_fd) {}
  ~Preparation() {
    if (!script_path_.empty()) ::unlink(script_path_.c_str());
  }
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  // Fills `child`. The error is the user's.
  Status prepare() {
    ASSIGN_OR_RETURN(const Account account, resolve_user(places_.root, step_.user));
    child.env = run_environment(step_, account.home);
    child.argv = step_.argv;
    child.working_dir = step_.working_dir;
    child.private_mounts = places_.private_mounts;
    RETURN_IF_ERROR(set_user(account));
    for (const api::SecretMount& secret : step_.secrets) RETURN_IF_ERROR(add_secret(secret));
    if (step_.script) RETURN_IF_ERROR(add_script(*step_.script));
    if (child.argv.empty()) return Error{ErrorCode::kInvalidInput, "RUN has no command"};
    child.programs = candidates(child.argv.front(), child.env);
    hide_volume();
    return imagebuild::ok();
  }

  RunChild child;

 private:
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

  Status add_secret(const api::SecretMount& secret) {
    const auto content = places_.secrets.find(secret.id);
    if (content == places_.secrets.end()) {
      if (!secret.required) return imagebuild::ok();
      return Error{ErrorCode::kNotFound, "the secret '" + secret.id + "' was not given; pass it with --secret id=" +
                                             secret.id + ",src=FILE, or name it in the spec.secrets of the ImageBuild"};
    }
    if (!secret.env.empty()) {
      std::erase_if(child.env, [&](const std::string& entry) { return entry.starts_with(secret.env + "="); });
      child.env.push_back(secret.env + "=" + content->second.substr(0, content->second.find('\0')));
    }
    if (secret.target.empty()) return imagebuild::ok();
    auto place = footprints_.make_file(secret.target);
    if (!place.ok()) return place.error().in("the secret '" + secret.id + "'");
    RunFile file{content->second, secret.mode, secret.uid, secret.gid, "", place->path};
    if (places_.private_mounts) {
      file.staged = places_.volume + "/secret." + std::to_string(child.files.size());
      child.files.push_back(std::move(file));
      return imagebuild::ok();
    }
    if (place->existed) {
      return Error{ErrorCode::kUnsupported, "the image has a file at the secret's target '" + secret.target +
                                                "', and this container may not mount over it: choose another target="};
    }
    return write_secret(place->file.get(), file);
  }

  static Status write_secret(int fd, const RunFile& file) {
    FileSink sink{UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3))};
    RETURN_IF_ERROR(sink.write(as_bytes(file.content)));
    const bool owned = ::geteuid() != 0 || ::fchown(fd, file.uid, file.gid) == 0;
    if (!owned || ::fchmod(fd, file.mode) != 0) return system_error("cannot write a secret", errno);
    return imagebuild::ok();
  }

  // A script lies outside the root, so it needs no cleaning of the snapshot: on the private tmpfs or in our folder.
  Status add_script(const api::InlineFile& script) {
    if (places_.private_mounts) {
      RunFile file{script.content, 0755, 0, 0, places_.volume + "/script", ""};
      child.argv.front() = file.staged;
      child.files.push_back(std::move(file));
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
    if (!child.files.empty() || child.hidden_mounts.empty()) child.staging = places_.volume;
  }

  const api::RunStep& step_;
  const RunPlaces& places_;
  Footprints footprints_;
  std::string script_path_;
};

RunResult result_of(const RunOutcome& outcome, const Error& error) {
  return RunResult{outcome.exit_status, error};
}

}  // namespace

std::vector<std::string> run_environment(const api::RunStep& step, const std::string& home) {
  std::vector<std::string> env = step.env;
  if (!value_of(env, "PATH")) env.push_back(std::string("PATH=") + kDefaultPath);
  if (!value_of(env, "HOME")) env.push_back("HOME=" + home);
  return env;
}

Result<RunResult> run_step(const api::RunStep& step, const RunPlaces& places,
                           const std::function<void(int, std::string_view)>& on_output, std::stop_token stop,
                           std::stop_token stop_now) {
  ASSIGN_OR_RETURN(const UniqueFd root, open_file(places.root_folder, O_RDONLY | O_DIRECTORY));
  Preparation preparation(step, places, root.get());
  if (const Status prepared = preparation.prepare(); !prepared.ok()) {
    if (prepared.error().exit_status() != kExitFailed) return prepared.error();
    return RunResult{0, prepared.error()};
  }
  ASSIGN_OR_RETURN(const RunOutcome outcome, run_process(preparation.child, on_output, stop, stop_now));
  if (outcome.failure) {
    const std::optional<std::string> script = step.script ? std::optional(step.script->content) : std::nullopt;
    const ExecFailure failure = explain(preparation.child, *outcome.failure, script);
    if (failure.error.exit_status() != kExitFailed || failure.exit_status == 0) return failure.error;
    return RunResult{failure.exit_status, failure.error};
  }
  if (outcome.signal != 0) {
    const std::string why = outcome.signal == SIGKILL ? "; the machine may have run out of memory" : "";
    return result_of(
        outcome, Error{ErrorCode::kFailed, "the command was ended by signal " + std::to_string(outcome.signal) + " (" +
                                               ::strsignal(outcome.signal) + ")" + why});
  }
  if (outcome.exit_status != 0) {
    return result_of(
        outcome, Error{ErrorCode::kFailed, "the command failed with exit code " + std::to_string(outcome.exit_status)});
  }
  return RunResult{};
}

}  // namespace imagebuild::builder
