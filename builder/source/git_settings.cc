#include "builder/source/git_settings.h"

#include <cstdlib>

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

// Of our own environment, only what leads to programs, servers and their certificates.
constexpr const char* kKept[] = {"PATH",        "TMPDIR",        "http_proxy",   "https_proxy",
                                 "HTTPS_PROXY", "all_proxy",     "ALL_PROXY",    "no_proxy",
                                 "NO_PROXY",    "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"};

// A name that GitHub, GitLab and Gitea take with a token as the password.
constexpr const char* kTokenUser = "oauth2";

std::string in_shell_quotes(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

// "name:secret@host:22" → "host:22".
std::string without_user(const std::string& authority) {
  const std::size_t at = authority.rfind('@');
  return at == std::string::npos ? authority : authority.substr(at + 1);
}

std::string key_of_ssh(const SourceSecret& secret) {
  for (const char* key : {"ssh-privatekey", "identity"}) {
    if (secret.has(key)) return key;
  }
  return {};
}

}  // namespace

Result<GitAddress> GitAddress::parse(const std::string& url) {
  const std::size_t scheme_end = url.find("://");
  GitAddress address;
  if (scheme_end == std::string::npos) {
    const std::size_t colon = url.find(':');
    const std::size_t at = url.find('@');
    if (url.starts_with('-') || at == std::string::npos || colon == std::string::npos || at > colon) {
      return Error{ErrorCode::kInvalidInput, "'" + url + "' is no address such as https://host/path or git@host:path"};
    }
    address.transport = GitTransport::kSsh;
    address.host = url.substr(at + 1, colon - at - 1);
    return address;
  }
  const std::string scheme = url.substr(0, scheme_end);
  const std::size_t begin = scheme_end + 3;
  const std::string authority = without_user(url.substr(begin, url.find('/', begin) - begin));
  if (authority.empty() || authority.front() == '-') {
    return Error{ErrorCode::kInvalidInput, "the address of the repository has no host"};
  }
  address.host = authority;
  if (scheme == "https" || scheme == "http") {
    address.origin = scheme + "://" + authority;
  } else if (scheme == "ssh") {
    address.transport = GitTransport::kSsh;
  } else if (scheme == "git") {
    address.transport = GitTransport::kPlain;
  } else {
    return Error{ErrorCode::kInvalidInput, "the address of the repository must begin with https, http, ssh or git"};
  }
  return address;
}

Result<GitSettings> GitSettings::create(const GitAddress& address, const std::optional<SourceSecret>& secret,
                                        const fs::path& home, bool own_ssh) {
  GitSettings settings;
  for (const char* name : kKept) {
    if (const char* value = std::getenv(name)) settings.set(name, value);  // NOLINT(concurrency-mt-unsafe)
  }
  settings.set("HOME", home.string());
  settings.set("XDG_CONFIG_HOME", home.string());
  settings.set("LC_ALL", "C");
  settings.set("GIT_CONFIG_NOSYSTEM", "1");
  settings.set("GIT_CONFIG_GLOBAL", "/dev/null");
  settings.set("GIT_ATTR_NOSYSTEM", "1");
  settings.set("GIT_TERMINAL_PROMPT", "0");
  settings.set("GIT_ASKPASS", "true");
  settings.set("SSH_ASKPASS_REQUIRE", "never");
  settings.set("GIT_ALLOW_PROTOCOL", "https:http:ssh:git");
  settings.set("GIT_LFS_SKIP_SMUDGE", "1");
  std::vector<std::pair<std::string, std::string>> values = {
      {"safe.directory", "*"},         {"core.hooksPath", "/dev/null"},
      {"core.fsmonitor", "false"},     {"protocol.file.allow", "never"},
      {"protocol.ext.allow", "never"}, {"gc.auto", "0"},
      {"maintenance.auto", "false"},   {"advice.detachedHead", "false"},
      {"init.defaultBranch", "main"},  {"core.logAllRefUpdates", "false"},
      {"http.lowSpeedLimit", "1"},     {"http.lowSpeedTime", "120"},
      {"credential.helper", ""},
  };
  if (address.transport == GitTransport::kWeb && secret) {
    RETURN_IF_ERROR(settings.use_web_secret(address, *secret, values));
  }
  if (own_ssh && !secret) {
    settings.use_own_ssh();
  } else if (address.transport == GitTransport::kSsh) {
    RETURN_IF_ERROR(settings.use_ssh_secret(address, secret, home));
  }
  settings.configure(std::move(values));
  return settings;
}

// Settings by the environment count for the gits of submodules too.
void GitSettings::configure(std::vector<std::pair<std::string, std::string>> values) {
  set("GIT_CONFIG_COUNT", std::to_string(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    set("GIT_CONFIG_KEY_" + std::to_string(i), values[i].first);
    set("GIT_CONFIG_VALUE_" + std::to_string(i), values[i].second);
  }
}

// The helper is asked for this host alone, and reads the values from the Secret itself.
Status GitSettings::use_web_secret(const GitAddress& address, const SourceSecret& secret,
                                   std::vector<std::pair<std::string, std::string>>& values) {
  ASSIGN_OR_RETURN(const WebCredential credential, web_credential(secret));
  secrets_.push_back(credential.password);
  const auto value_of = [&](const char* key) { return "$(cat " + in_shell_quotes(secret.file(key).string()) + ")"; };
  const std::string user = credential.username.empty() ? kTokenUser : value_of("username");
  const std::string password = value_of(secret.has("password") ? "password" : "token");
  values.emplace_back("credential." + address.origin + ".helper",
                      "!f() { test \"$1\" = get || exit 0; printf 'username=%s\\npassword=%s\\n' \"" + user + "\" \"" +
                          password + "\"; }; f");
  return ok();
}

// OpenSSH finds the user's folder by itself. Also for submodules, whatever their repository's own address.
void GitSettings::use_own_ssh() {
  if (const char* agent = std::getenv("SSH_AUTH_SOCK")) set("SSH_AUTH_SOCK", agent);  // NOLINT(concurrency-mt-unsafe)
  set("GIT_SSH_COMMAND",
      "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=8");
  set("GIT_SSH_VARIANT", "ssh");
}

Status GitSettings::use_ssh_secret(const GitAddress& address, const std::optional<SourceSecret>& secret,
                                   const fs::path& home) {
  if (!secret) {
    return Error{ErrorCode::kInvalidInput,
                 "a repository by SSH needs secretRef: a Secret with the keys ssh-privatekey and known_hosts"};
  }
  const std::string key_name = key_of_ssh(*secret);
  if (key_name.empty()) {
    return Error{ErrorCode::kInvalidInput, "Secret '" + secret->name() + "' must have the key ssh-privatekey"};
  }
  if (!secret->has("known_hosts")) {
    return Error{ErrorCode::kInvalidInput, "Secret '" + secret->name() +
                                               "' must have the key known_hosts, to know the server by: put there what "
                                               "'ssh-keyscan " +
                                               address.host + "' prints, once you have checked it"};
  }
  ASSIGN_OR_RETURN(std::string key, secret->text(key_name.c_str()));
  if (!key.ends_with('\n')) key += '\n';  // OpenSSH reads no key without one.
  Result<TempDir> folder = TempDir::create("imagebuild-key-", "/dev/shm");
  if (!folder.ok()) folder = TempDir::create("key-", home);
  if (!folder.ok()) return folder.error();
  keys_.emplace(std::move(*folder));
  const fs::path file = keys_->path() / "key";
  RETURN_IF_ERROR(write_file_atomically(file, key, 0600));
  set("GIT_SSH_COMMAND", "ssh -F none -i " + in_shell_quotes(file.string()) +
                             " -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes"
                             " -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=" +
                             in_shell_quotes(secret->file("known_hosts").string()) +
                             " -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=8");
  set("GIT_SSH_VARIANT", "ssh");
  return ok();
}

std::string GitSettings::without_secrets(std::string text) const {
  for (const std::string& secret : secrets_) {
    constexpr std::size_t kShortest = 4;  // Shorter ones would blank out ordinary words.
    if (secret.size() < kShortest) continue;
    for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
      text.replace(at, secret.size(), "***");
    }
  }
  return text;
}

}  // namespace imagebuild::builder
