// RUN and its mounts.
#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/overloaded.h"
#include "build/stage_solver.h"
#include "dockerfile/expand.h"

namespace imagebuild::build {

namespace {

using dockerfile::Mount;
using dockerfile::MountType;
using dockerfile::Word;

void set_env(std::vector<std::string>& environment, const std::string& name, const std::string& value) {
  const std::string begin = name + "=";
  const auto there =
      std::ranges::find_if(environment, [&](const std::string& entry) { return entry.starts_with(begin); });
  if (there != environment.end()) {
    *there = begin + value;
  } else {
    environment.push_back(begin + value);
  }
}

api::Network network_of(dockerfile::Network network) {
  switch (network) {
    case dockerfile::Network::kNone:
      return api::Network::kNone;
    case dockerfile::Network::kHost:
      return api::Network::kHost;
    case dockerfile::Network::kDefault:
      break;
  }
  return api::Network::kDefault;
}

api::CacheSharing sharing_of(dockerfile::CacheSharing sharing) {
  switch (sharing) {
    case dockerfile::CacheSharing::kPrivate:
      return api::CacheSharing::kPrivate;
    case dockerfile::CacheSharing::kLocked:
      return api::CacheSharing::kLocked;
    case dockerfile::CacheSharing::kShared:
      break;
  }
  return api::CacheSharing::kShared;
}

// The path of a mount's source as the plan writes it.
std::string source_of(const Mount& mount) {
  return mount.source ? clean_join("/", mount.source->text).substr(1) : std::string();
}

const std::string& target_of(const api::Mount& mount) {
  return std::visit([](const auto& one) -> const std::string& { return one.target; }, mount);
}

}  // namespace

Status StageSolver::on(const dockerfile::Run& run) {
  api::RunStep step;
  std::string shown;  // What the history shows behind the arguments.
  if (run.command.exec) {
    step.argv = argv_of(run.command);
  } else {
    const dockerfile::Script script = dockerfile::script_of(run.command);
    if (script.is_program) {
      step.script = api::InlineFile{script.name, script.text};
      step.argv = {script.name};
    } else {
      step.argv = with_shell(script.text);
    }
  }
  if (step.argv.empty()) return fail(place_.at, "RUN has no command");
  for (const std::string& word : step.argv) shown += (shown.empty() ? "" : " ") + word;
  step.env = environment_strings(scope_.run_environment());
  for (const dockerfile::Variable& proxy : globals_.proxy_environment()) set_env(step.env, proxy.name, proxy.value);
  step.user = stage_.config.user;
  step.working_dir = stage_.config.working_dir.empty() ? "/" : stage_.config.working_dir;
  step.network = network_of(run.network);
  for (const Mount& mount : run.mounts) RETURN_IF_ERROR(add_mount(mount, step));
  std::ranges::stable_sort(step.mounts, {}, target_of);
  std::string arguments;
  const std::vector<dockerfile::Variable> declared = scope_.arguments();
  if (!declared.empty()) arguments = "|" + std::to_string(declared.size()) + " ";
  for (const dockerfile::Variable& variable : declared) arguments += variable.name + "=" + variable.value + " ";
  add_step("RUN " + arguments + shown, std::move(step));
  return ok();
}

Status StageSolver::add_mount(const Mount& written, api::RunStep& step) {
  ASSIGN_OR_RETURN(const Mount mount,
                   dockerfile::resolve(place_.file, written, [this](const Word& word) -> Result<std::string> {
                     ASSIGN_OR_RETURN(dockerfile::Expanded expanded,
                                      dockerfile::expand_word(word.text, place_.escape, scope_.lookup()));
                     return std::move(expanded.text);
                   }));
  switch (mount.type) {
    case MountType::kSecret: {
      ASSIGN_OR_RETURN(api::SecretMount secret, secret_of(mount));
      step.secrets.push_back(std::move(secret));
      return ok();
    }
    case MountType::kBind: {
      ASSIGN_OR_RETURN(api::BindMount bind, bind_of(mount));
      step.mounts.emplace_back(std::move(bind));
      return ok();
    }
    case MountType::kCache: {
      ASSIGN_OR_RETURN(api::CacheMount cache, cache_of(mount));
      step.mounts.emplace_back(std::move(cache));
      return ok();
    }
    case MountType::kTmpfs: {
      ASSIGN_OR_RETURN(std::string target, mount_target(mount));
      step.mounts.emplace_back(api::TmpfsMount{std::move(target), mount.size_bytes.value_or(0)});
      return ok();
    }
    case MountType::kSsh: {
      const auto others = std::ranges::count_if(
          step.mounts, [](const api::Mount& other) { return std::holds_alternative<api::SshMount>(other); });
      api::SshMount ssh = ssh_of(mount, static_cast<int>(others));
      if (others == 0) set_env(step.env, "SSH_AUTH_SOCK", ssh.target);
      step.mounts.emplace_back(std::move(ssh));
      return ok();
    }
  }
  return ok();
}

// BuildKit's rule: from the working folder where it is relative or missing, and never the root.
Result<std::string> StageSolver::mount_target(const Mount& mount) const {
  std::string target = absolute(mount.target ? mount.target->text : "");
  if (target != "/") return target;
  return fail(mount.target ? mount.target->at : mount.spec.at,
              "a mount cannot take the place of the whole file system; name its folder, as in target=/src");
}

Result<api::SecretMount> StageSolver::secret_of(const Mount& mount) const {
  api::SecretMount secret;
  if (mount.target) secret.target = absolute(mount.target->text);
  if (mount.id) {
    secret.id = mount.id->text;
  } else if (mount.source) {
    secret.id = mount.source->text;
  } else if (mount.target) {
    secret.id = std::filesystem::path(secret.target).filename().string();
  }
  if (secret.id.empty()) return fail(mount.spec.at, "the secret mount needs an id, as in --mount=type=secret,id=token");
  if (mount.env) secret.env = mount.env->text;
  if (secret.target.empty() && secret.env.empty()) secret.target = "/run/secrets/" + secret.id;
  secret.required = mount.required;
  secret.mode = mount.mode.value_or(0400);
  secret.uid = mount.uid.value_or(0);
  secret.gid = mount.gid.value_or(0);
  return secret;
}

Result<api::BindMount> StageSolver::bind_of(const Mount& mount) {
  api::BindMount bind;
  ASSIGN_OR_RETURN(bind.target, mount_target(mount));
  bind.source = source_of(mount);
  bind.writable = !mount.read_only;
  if (mount.from) {
    ASSIGN_OR_RETURN(bind.from, elsewhere_.resolve_from(*mount.from, place_.file, {bind.source}));
  }
  return bind;
}

Result<api::CacheMount> StageSolver::cache_of(const Mount& mount) {
  api::CacheMount cache;
  ASSIGN_OR_RETURN(cache.target, mount_target(mount));
  cache.id = mount.id
                 ? mount.id->text
                 : std::filesystem::path(mount.target ? mount.target->text : cache.target).lexically_normal().string();
  cache.sharing = sharing_of(mount.sharing);
  cache.source = source_of(mount);
  cache.read_only = mount.read_only;
  cache.mode = mount.mode.value_or(0755);
  cache.uid = mount.uid.value_or(0);
  cache.gid = mount.gid.value_or(0);
  if (mount.from && mount.from->text != "scratch") {
    ASSIGN_OR_RETURN(cache.from, elsewhere_.resolve_from(*mount.from, place_.file, {cache.source}));
  }
  return cache;
}

api::SshMount StageSolver::ssh_of(const Mount& mount, int number) const {
  api::SshMount ssh;
  ssh.id = mount.id && !mount.id->text.empty() ? mount.id->text : "default";
  ssh.target = mount.target ? absolute(mount.target->text) : "/run/buildkit/ssh_agent." + std::to_string(number);
  ssh.required = mount.required;
  ssh.mode = mount.mode.value_or(0600);
  ssh.uid = mount.uid.value_or(0);
  ssh.gid = mount.gid.value_or(0);
  return ssh;
}

}  // namespace imagebuild::build
