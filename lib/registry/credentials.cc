#include "registry/credentials.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "registry/base64.h"

namespace imagebuild::registry {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxFileBytes = 4U << 20;
constexpr std::string_view kDockerHubServer = "https://index.docker.io/v1/";

Error bad_file(const std::filesystem::path& path, const std::string& why) {
  return {ErrorCode::kInvalidInput, "the credentials file '" + path.string() + "' " + why};
}

// "https://index.docker.io/v1/" → "docker.io", "https://ghcr.io/" → "ghcr.io", "quay.io/team" as it is.
std::string normalised_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  while (key.ends_with('/')) key.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"}) {
    if (key.ends_with(version)) key.remove_suffix(version.size());
  }
  const std::string_view host = key.substr(0, key.find('/'));
  const bool docker_hub = host == "index.docker.io" || host == "registry-1.docker.io";
  return docker_hub ? "docker.io" + std::string(key.substr(host.size())) : std::string(key);
}

// A string member; "" when it is absent, nothing when it is of another type.
std::optional<std::string> text_member(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::string();
  if (!found->is_string()) return {};
  return found->get<std::string>();
}

Result<Credential> parse_entry(const json& entry, const std::string& key, const std::filesystem::path& path) {
  if (!entry.is_object()) return bad_file(path, "has no object for '" + key + "' in 'auths'");
  const auto auth = text_member(entry, "auth"), username = text_member(entry, "username"),
             password = text_member(entry, "password"), identity = text_member(entry, "identitytoken"),
             token = text_member(entry, "registrytoken");
  if (!auth || !username || !password || !identity || !token) {
    return bad_file(path, "has a member for '" + key + "' in 'auths' that is not text");
  }
  Credential credential{.username = *username,
                        .password = *password,
                        .identity_token = *identity,
                        .registry_token = *token,
                        .source = path.string()};
  if (auth->empty()) return credential;
  const auto decoded = base64_decode(*auth);
  const auto colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos) {
    return bad_file(path, "has an 'auth' for '" + key + "' that is not base64 of user:password");
  }
  credential.username = decoded->substr(0, colon);
  credential.password = decoded->substr(colon + 1);
  while (credential.password.ends_with('\0')) credential.password.pop_back();  // Old Docker versions padded with NULs.
  return credential;
}

bool is_empty(const Credential& credential) {
  return credential.username.empty() && credential.password.empty() && credential.identity_token.empty() &&
         credential.registry_token.empty();
}

// What a helper said when it failed; never anything that could be the credential itself.
std::string helper_complaint(const ProcessResult& result) {
  std::string text = result.stdout_text.empty() ? result.stderr_text : result.stdout_text;
  text = text.substr(0, text.find_first_of("\r\n"));
  if (text.empty() || text.size() > 200 || text.find('{') != text.npos) {
    return "it ended with status " + std::to_string(result.exit_status);
  }
  return text;
}

bool says_not_found(const ProcessResult& result) {
  const std::string text = result.stdout_text + result.stderr_text;
  return text.find("credentials not found") != text.npos || text.find("no credentials server URL") != text.npos;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Result<CredentialsFile> CredentialsFile::parse(std::string_view text, const std::filesystem::path& path) {
  const json root = json::parse(text, nullptr, false);
  if (root.is_discarded() || !root.is_object()) return bad_file(path, "is not a JSON object");
  CredentialsFile file;
  file.path = path;
  if (const auto auths = root.find("auths"); auths != root.end() && !auths->is_null()) {
    if (!auths->is_object()) return bad_file(path, "has an 'auths' that is not an object");
    for (const auto& [key, entry] : auths->items()) {
      ASSIGN_OR_RETURN(Credential credential, parse_entry(entry, key, path));
      if (!is_empty(credential)) file.auths.insert_or_assign(normalised_key(key), std::move(credential));
    }
  }
  if (const auto helpers = root.find("credHelpers"); helpers != root.end() && !helpers->is_null()) {
    if (!helpers->is_object()) return bad_file(path, "has a 'credHelpers' that is not an object");
    for (const auto& [key, helper] : helpers->items()) {
      if (!helper.is_string()) return bad_file(path, "has a helper for '" + key + "' that is not text");
      file.helpers.insert_or_assign(normalised_key(key), helper.get<std::string>());
    }
  }
  const auto store = text_member(root, "credsStore");
  if (!store) return bad_file(path, "has a 'credsStore' that is not text");
  file.store = *store;
  return file;
}

Result<Credentials> Credentials::from_environment(ProcessRunner& processes) {
  std::vector<std::filesystem::path> paths;
  const std::string only = environment("REGISTRY_AUTH_FILE"), docker = environment("DOCKER_CONFIG"),
                    home = environment("HOME"), runtime = environment("XDG_RUNTIME_DIR");
  if (!only.empty()) {
    paths.emplace_back(only);
  } else {
    if (!docker.empty()) {
      paths.push_back(std::filesystem::path(docker) / "config.json");
    } else if (!home.empty()) {
      paths.push_back(std::filesystem::path(home) / ".docker/config.json");
    }
    if (!runtime.empty()) paths.push_back(std::filesystem::path(runtime) / "containers/auth.json");
  }
  std::vector<CredentialsFile> files;
  for (const auto& path : paths) {
    auto text = read_file(path, kMaxFileBytes);
    if (!text.ok() && text.error().code == ErrorCode::kNotFound && only.empty()) continue;
    if (!text.ok()) return text.error().in("the credentials file");
    ASSIGN_OR_RETURN(CredentialsFile file, CredentialsFile::parse(*text, path));
    files.push_back(std::move(file));
  }
  return Credentials(std::move(files), processes, paths.empty() ? std::filesystem::path() : paths.front());
}

Result<std::optional<Credential>> Credentials::find(const std::string& registry, const std::string& repository,
                                                    std::stop_token stop) const {
  for (const CredentialsFile& file : files_) {
    ASSIGN_OR_RETURN(std::optional<Credential> found, find_in(file, normalised_key(registry), repository, stop));
    if (found) return found;
  }
  return std::optional<Credential>();
}

Result<std::optional<Credential>> Credentials::find_in(const CredentialsFile& file, const std::string& registry,
                                                       const std::string& repository,
                                                       const std::stop_token& stop) const {
  if (const auto helper = file.helpers.find(registry); helper != file.helpers.end()) {
    ASSIGN_OR_RETURN(std::optional<Credential> found, ask_helper(file, helper->second, registry, stop));
    if (found) return found;
  }
  for (std::string key = registry + "/" + repository;; key.resize(key.rfind('/'))) {
    if (const auto auth = file.auths.find(key); auth != file.auths.end()) return std::optional(auth->second);
    if (key.size() <= registry.size() || key.rfind('/') == key.npos) break;
  }
  if (!file.store.empty()) return ask_helper(file, file.store, registry, stop);
  return std::optional<Credential>();
}

// The protocol of docker-credential-helpers: the server on stdin of "get", JSON on stdout.
Result<std::optional<Credential>> Credentials::ask_helper(const CredentialsFile& file, const std::string& helper,
                                                          const std::string& registry,
                                                          const std::stop_token& stop) const {
  const std::string program = "docker-credential-" + helper;
  if (helper.empty() || helper.find('/') != helper.npos) {
    return bad_file(file.path, "names a credential helper that is not a plain name: '" + helper + "'");
  }
  ProcessSpec spec;
  spec.argv = {program, "get"};
  spec.stdin_text = registry == "docker.io" ? std::string(kDockerHubServer) : registry;
  const auto result = processes_->run(spec, stop);
  if (!result.ok()) {
    if (result.error().code == ErrorCode::kNotFound) {
      return bad_file(file.path, "names the credential helper '" + program + "', which is not in PATH");
    }
    return result.error().in("credential helper '" + program + "'");
  }
  if (result->exit_status != 0) {
    if (says_not_found(*result)) return std::optional<Credential>();
    return Error{ErrorCode::kDenied, "the credential helper '" + program + "' gave no credentials for " + registry +
                                         ": " + helper_complaint(*result)};
  }
  const json answer = json::parse(result->stdout_text, nullptr, false);
  const auto username = answer.is_object() ? text_member(answer, "Username") : std::nullopt;
  const auto secret = answer.is_object() ? text_member(answer, "Secret") : std::nullopt;
  if (!username || !secret) {
    return Error{ErrorCode::kDenied,
                 "the credential helper '" + program + "' answered something that is not a credential"};
  }
  Credential credential;
  credential.source = program;
  if (*username == "<token>") {
    credential.identity_token = *secret;
  } else {
    credential.username = *username;
    credential.password = *secret;
  }
  return is_empty(credential) ? std::optional<Credential>() : std::optional(credential);
}

std::string Credentials::where() const {
  if (!files_.empty()) return files_.front().path.string();
  return default_path_.empty() ? "Docker's config.json" : default_path_.string();
}

}  // namespace imagebuild::registry
