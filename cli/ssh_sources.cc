#include "cli/ssh_sources.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/file.h"
#include "base/nearest.h"
#include "ssh/private_key.h"

namespace imagebuild::cli {

namespace fs = std::filesystem;

namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidInput, "--ssh: " + std::move(message)};
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Result<bool> is_socket(const std::string& path) {
  struct stat stat {};
  if (::stat(path.c_str(), &stat) != 0) return system_error("--ssh: '" + path + "'", errno);
  return S_ISSOCK(stat.st_mode);
}

Result<std::string> read_key(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, read_file(path, ssh::kMaxKeyFileBytes).in("--ssh"));
  RETURN_IF_ERROR(ssh::PrivateKey::parse(text, path).in("--ssh: '" + path + "'"));
  if (!text.ends_with('\n')) text += '\n';
  return text;
}

Result<SshSource> read_source(const std::string& id, const std::string& value, const Environment& environment) {
  SshSource source;
  if (value.empty()) {
    const std::string agent = environment("SSH_AUTH_SOCK").value_or("");
    if (agent.empty()) {
      return invalid("'" + id +
                     "' means the agent of $SSH_AUTH_SOCK, which is not set; start ssh-agent, or name a key: " +
                     "--ssh " + id + "=KEYFILE");
    }
    ASSIGN_OR_RETURN(const bool works, is_socket(agent));
    if (!works) return invalid("$SSH_AUTH_SOCK is '" + agent + "', which is no socket");
    source.socket = fs::absolute(agent);
    return source;
  }
  const std::vector<std::string> paths = split(value);
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(const bool socket, is_socket(path));
    if (socket && paths.size() > 1) return invalid("give '" + id + "' either one socket or key files, not both");
    if (socket) {
      source.socket = fs::absolute(path);
    } else {
      ASSIGN_OR_RETURN(const std::string key, read_key(path));
      source.keys += key;
    }
  }
  return source;
}

}  // namespace

Result<std::map<std::string, SshSource>> read_ssh(const std::vector<std::string>& texts,
                                                  const Environment& environment) {
  std::map<std::string, SshSource> sources;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    const std::string id = text.substr(0, equals);
    if (id.empty()) return invalid("'" + text + "' has no id; write default, or ID=SOCKET, or ID=KEYFILE");
    if (equals != std::string::npos && equals + 1 == text.size()) return invalid("'" + text + "' names no file");
    if (sources.contains(id)) return invalid("id '" + id + "' is given twice");
    const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
    ASSIGN_OR_RETURN(sources[id], read_source(id, value, environment));
  }
  return sources;
}

Status check_required_ssh(const api::Plan& plan, const std::map<std::string, SshSource>& given) {
  std::vector<std::string> ids;
  for (const auto& [id, source] : given) ids.push_back(id);
  for (const api::PlanStage& stage : plan.stages) {
    for (const api::Step& step : stage.steps) {
      const auto* const run = std::get_if<api::RunStep>(&step.action);
      if (run == nullptr) continue;
      for (const api::Mount& mount : run->mounts) {
        const auto* const agent = std::get_if<api::SshMount>(&mount);
        if (agent == nullptr || !agent->required || given.contains(agent->id)) continue;
        const auto near = nearest(agent->id, ids);
        return Error{ErrorCode::kInvalidInput,
                     api::place(plan, step.at) + ": the RUN needs the SSH key or agent '" + agent->id +
                         "', which is not given" +
                         (near ? "; did you mean '" + *near + "'?"
                               : "; add --ssh " + agent->id + ", or --ssh " + agent->id + "=KEYFILE")};
      }
    }
  }
  return ok();
}

}  // namespace imagebuild::cli
