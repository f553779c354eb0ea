// Who we are for a registry: Docker's config.json, its credential helpers and containers' auth.json.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"
#include "base/result.h"

namespace imagebuild::registry {

struct Credential {
  std::string username;
  std::string password;
  std::string identity_token;  // An OAuth2 refresh token; then the other two do not matter.
  std::string registry_token;  // A ready bearer token (auths' "registrytoken"); then nothing else matters.
  std::string source;          // Where it was found, for messages: a file's path or a helper's name. Never a secret.
};

// The parsed form of one credentials file.
struct CredentialsFile {
  std::filesystem::path path;
  std::map<std::string, Credential> auths;  // Key as written: "ghcr.io", "https://index.docker.io/v1/", "quay.io/team".
  std::map<std::string, std::string> helpers;  // By registry: the helper's name (credHelpers).
  std::string store;                           // credsStore, or empty.

  // kInvalidInput naming the file (never its content) when it is not such JSON.
  static Result<CredentialsFile> parse(std::string_view json, const std::filesystem::path& path);
};

class Credentials {
 public:
  // No credentials at all: everything is anonymous.
  Credentials() = default;
  // Earlier files win. `processes` runs helpers and must outlive this. `default_path` is where() without files.
  Credentials(std::vector<CredentialsFile> files, ProcessRunner& processes, std::filesystem::path default_path = {})
      : files_(std::move(files)), processes_(&processes), default_path_(std::move(default_path)) {}

  // Reads the files that exist: $REGISTRY_AUTH_FILE if set (then it must exist and is the only one), else
  // $DOCKER_CONFIG/config.json or ~/.docker/config.json, then $XDG_RUNTIME_DIR/containers/auth.json.
  static Result<Credentials> from_environment(ProcessRunner& processes);

  // The credential for a repository of a registry ("docker.io", "library/alpine"). In each file: the registry's own
  // helper, then the longest key of auths that is a path prefix, then the credential store. Nothing: be anonymous.
  Result<std::optional<Credential>> find(const std::string& registry, const std::string& repository,
                                         std::stop_token stop = {}) const;
  // Where a person should look: the first file's path, or the default one's.
  std::string where() const;

 private:
  Result<std::optional<Credential>> find_in(const CredentialsFile& file, const std::string& registry,
                                            const std::string& repository, const std::stop_token& stop) const;
  Result<std::optional<Credential>> ask_helper(const CredentialsFile& file, const std::string& helper,
                                               const std::string& registry, const std::stop_token& stop) const;
  std::vector<CredentialsFile> files_;
  ProcessRunner* processes_ = nullptr;
  std::filesystem::path default_path_;
};

}  // namespace imagebuild::registry
