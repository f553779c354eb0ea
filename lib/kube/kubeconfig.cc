// Kubeconfig files: merging, the entries that a context names, and the credentials in them.
#include <algorithm>
#include <system_error>

#include "base/file.h"
#include "kube/config.h"

namespace imagebuild::kube {
namespace {

constexpr std::uint64_t kMaxFileBytes = 4 * 1024 * 1024;

// A named entry and the folder its relative paths start at.
struct Entry {
  Json value;
  std::filesystem::path folder;
};

struct Merged {
  std::map<std::string, Entry> clusters, users, contexts;
  std::string current_context;
};

Result<std::string> decode_base64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned buffer = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '=') continue;
    const auto value = kAlphabet.find(c);
    if (value == kAlphabet.npos) return Error{ErrorCode::kInvalidInput, "it is not base64"};
    buffer = (buffer << 6U | static_cast<unsigned>(value)) & 0xFFFFFFU;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>(buffer >> static_cast<unsigned>(bits) & 0xFFU);
  }
  return bytes;
}

// A YAML reader may leave booleans as text.
bool is_true(const Json& value) {
  return value == true || value == "true";
}

Result<Json> parse(std::string_view text, const KubeconfigOptions& options) {
  Json parsed = Json::parse(text, nullptr, false);
  if (parsed.is_object()) return parsed;
  if (!options.read_yaml) {
    return Error{ErrorCode::kUnsupported,
                 "only JSON can be read here; convert it with 'kubectl config view --raw -o json'"};
  }
  ASSIGN_OR_RETURN(parsed, options.read_yaml(text));
  if (!parsed.is_object() && !parsed.is_null()) {
    return Error{ErrorCode::kInvalidInput, "it is not a kubeconfig: its content is no mapping"};
  }
  return parsed;
}

Status take_entries(const Json& file, const char* list, const char* what, const std::filesystem::path& folder,
                    std::map<std::string, Entry>& entries) {
  const Json& items = at(file, {list});
  if (items.is_null()) return ok();
  if (!items.is_array()) return Error{ErrorCode::kInvalidInput, std::string("'") + list + "' is not a list"};
  for (const Json& item : items) {
    const std::string name = text_at(item, {"name"});
    if (!name.empty()) entries.try_emplace(name, Entry{at(item, {what}), folder});
  }
  return ok();
}

Status merge(const std::filesystem::path& path, const KubeconfigOptions& options, Merged& merged) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path, kMaxFileBytes));
  ASSIGN_OR_RETURN(const Json file, parse(text, options));
  const auto folder = path.parent_path();
  RETURN_IF_ERROR(take_entries(file, "clusters", "cluster", folder, merged.clusters));
  RETURN_IF_ERROR(take_entries(file, "users", "user", folder, merged.users));
  RETURN_IF_ERROR(take_entries(file, "contexts", "context", folder, merged.contexts));
  if (merged.current_context.empty()) merged.current_context = text_at(file, {"current-context"});
  return ok();
}

// "NAME-data" (base64) wins over the file "NAME"; empty when neither is there.
Result<std::string> data_or_file(const Entry& entry, const std::string& name) {
  if (const std::string data = text_at(entry.value, {name + "-data"}); !data.empty()) {
    return decode_base64(data).in("'" + name + "-data'");
  }
  const std::string file = text_at(entry.value, {name});
  if (file.empty()) return std::string();
  return read_file(entry.folder / file, kMaxFileBytes).in("'" + name + "'");
}

Status take_cluster(const Entry& cluster, Config& config) {
  for (const char* field : {"proxy-url", "tls-server-name"}) {
    if (!text_at(cluster.value, {field}).empty()) {
      return Error{ErrorCode::kUnsupported, std::string("'") + field + "' is not supported; remove it"};
    }
  }
  ASSIGN_OR_RETURN(config.ca_pem, data_or_file(cluster, "certificate-authority"));
  config.skip_verify = is_true(at(cluster.value, {"insecure-skip-tls-verify"}));
  if (config.skip_verify && !config.ca_pem.empty()) {
    return Error{ErrorCode::kInvalidInput, "a certificate authority and 'insecure-skip-tls-verify' exclude each other"};
  }
  return ok();
}

Status refuse_unsupported(const Entry& user) {
  if (!at(user.value, {"exec"}).is_null()) {
    return Error{ErrorCode::kUnsupported,
                 "credential plugins ('exec') are not supported; use a token or a client certificate, for instance "
                 "from 'kubectl create token'"};
  }
  if (!at(user.value, {"auth-provider"}).is_null()) {
    return Error{ErrorCode::kUnsupported, "'auth-provider' is not supported; use a token or a client certificate"};
  }
  for (const char* field : {"username", "password", "as", "as-uid", "as-groups", "as-user-extra"}) {
    if (!at(user.value, {field}).is_null()) {
      return Error{ErrorCode::kUnsupported,
                   std::string("'") + field + "' is not supported; use a token or a client certificate"};
    }
  }
  return ok();
}

Status take_user(const Entry& user, Config& config) {
  RETURN_IF_ERROR(refuse_unsupported(user));
  ASSIGN_OR_RETURN(config.client_cert_pem, data_or_file(user, "client-certificate"));
  ASSIGN_OR_RETURN(config.client_key_pem, data_or_file(user, "client-key"));
  if (config.client_cert_pem.empty() != config.client_key_pem.empty()) {
    return Error{ErrorCode::kInvalidInput, "'client-certificate' and 'client-key' must be given together"};
  }
  const std::string token = text_at(user.value, {"token"});
  const std::string file = text_at(user.value, {"tokenFile"});
  if (!file.empty()) {
    config.token = std::make_shared<FileToken>(user.folder / file);  // As in client-go, the file wins.
  } else if (!token.empty()) {
    config.token = std::make_shared<FixedToken>(token);
  }
  return ok();
}

Result<Config> resolve(const Merged& merged, const std::string& wanted) {
  const std::string name = wanted.empty() ? merged.current_context : wanted;
  if (name.empty()) {
    return Error{ErrorCode::kInvalidInput, "the kubeconfig has no 'current-context'; name a context"};
  }
  const auto context = merged.contexts.find(name);
  if (context == merged.contexts.end()) {
    return Error{ErrorCode::kInvalidInput, "the kubeconfig has no context '" + name + "'"};
  }
  const std::string cluster_name = text_at(context->second.value, {"cluster"});
  const auto cluster = merged.clusters.find(cluster_name);
  if (cluster == merged.clusters.end()) {
    return Error{ErrorCode::kInvalidInput,
                 "context '" + name + "' names the cluster '" + cluster_name + "', which the kubeconfig does not have"};
  }
  auto server = http::Url::parse(text_at(cluster->second.value, {"server"}));
  if (!server.ok()) return server.error().in("the server of cluster '" + cluster_name + "'");
  Config config{.server = *std::move(server)};
  if (auto taken = take_cluster(cluster->second, config); !taken.ok()) {
    return taken.error().in("cluster '" + cluster_name + "' of the kubeconfig");
  }
  if (const std::string ns = text_at(context->second.value, {"namespace"}); !ns.empty()) config.ns = ns;
  const std::string user_name = text_at(context->second.value, {"user"});
  if (user_name.empty()) return config;
  const auto user = merged.users.find(user_name);
  if (user == merged.users.end()) {
    return Error{ErrorCode::kInvalidInput,
                 "context '" + name + "' names the user '" + user_name + "', which the kubeconfig does not have"};
  }
  if (auto taken = take_user(user->second, config); !taken.ok()) {
    return taken.error().in("user '" + user_name + "' of the kubeconfig");
  }
  return config;
}

}  // namespace

std::vector<std::filesystem::path> kubeconfig_files(const Environment& environment) {
  std::vector<std::filesystem::path> files;
  if (const auto list = environment("KUBECONFIG")) {
    for (std::size_t begin = 0; begin <= list->size();) {
      const auto end = std::min(list->find(':', begin), list->size());
      if (end > begin) files.emplace_back(list->substr(begin, end - begin));
      begin = end + 1;
    }
  } else if (const auto home = environment("HOME")) {
    files.push_back(std::filesystem::path(*home) / ".kube" / "config");
  }
  return files;
}

Result<Config> load_kubeconfig(const std::vector<std::filesystem::path>& files, const KubeconfigOptions& options) {
  Merged merged;
  bool any = false;
  for (const auto& file : files) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) continue;
    any = true;
    if (auto status = merge(file, options, merged); !status.ok()) {
      return status.error().in("kubeconfig '" + file.string() + "'");
    }
  }
  if (!any) {
    return Error{ErrorCode::kNotFound, "there is no kubeconfig; set KUBECONFIG to the path of one"};
  }
  return resolve(merged, options.context);
}

}  // namespace imagebuild::kube
