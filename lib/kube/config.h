// Where the API server is and who we are: from inside a pod, or from kubeconfig files.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/url.h"
#include "kube/credentials.h"
#include "kube/resource.h"

namespace imagebuild::kube {

// What a transport and a client need. The PEM texts go to the transport.
struct Config {
  http::Url server;
  std::string ca_pem;           // Empty: the system's authorities.
  std::string client_cert_pem;  // Empty: no client certificate.
  std::string client_key_pem;
  bool skip_verify = false;
  std::shared_ptr<TokenSource> token;  // Null: none.
  std::string ns = "default";          // Where to work when nobody says.
};

// The value of an environment variable, if it is set; a test passes its own.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

inline constexpr const char* kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

// The pod's service account: KUBERNETES_SERVICE_HOST and _PORT, and token, ca.crt and namespace in `folder`.
// kNotFound when this is no pod of a cluster. The token is read again as it rotates (FileToken).
Result<Config> load_in_cluster(const Environment& environment,
                               const std::filesystem::path& folder = kServiceAccountFolder,
                               Clock now = system_clock_now);

// Turns YAML into JSON. A kubeconfig is YAML, and this room knows no YAML: the program, which may link lib/api, passes
// this in. Scalars may arrive as strings.
using YamlReader = std::function<Result<Json>(std::string_view text)>;

struct KubeconfigOptions {
  std::string context = {};   // Empty: the files' current-context.
  YamlReader read_yaml = {};  // Absent: only JSON files can be read (`kubectl config view --raw -o json`).
};

// The files of $KUBECONFIG, separated by ':', or ~/.kube/config.
std::vector<std::filesystem::path> kubeconfig_files(const Environment& environment);

// Merges the files as kubectl does: of each name the first entry counts, files that do not exist are skipped, and
// relative paths start at their file's folder. Certificates, keys and tokens; exec plugins, auth providers, passwords,
// proxies and impersonation are kUnsupported. kNotFound when no file exists.
Result<Config> load_kubeconfig(const std::vector<std::filesystem::path>& files, const KubeconfigOptions& options);

// A kubeconfig where $KUBECONFIG or ~/.kube/config names one, unless this is a pod and $KUBECONFIG is not set.
Result<Config> load_config(const Environment& environment, const KubeconfigOptions& options);

}  // namespace imagebuild::kube
