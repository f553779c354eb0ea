// A namespace on the cluster of KUBECONFIG, or of the state file that IMAGEBUILD_CLUSTER names
// (tests/e2e/cluster/up.py).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "http/cpprest_transport.h"
#include "kube/client.h"
#include "kube/config.h"

namespace imagebuild::kube {

// Who the client says it is.
enum class Identity { kCertificate, kServiceAccount };

// A fresh namespace and clients for it, for one test. Removed at the end, which is not waited for.
class ClusterPlace {
 public:
  // Failures are reported to GoogleTest; ready() tells.
  explicit ClusterPlace(Identity identity);
  ClusterPlace(const ClusterPlace&) = delete;
  ClusterPlace& operator=(const ClusterPlace&) = delete;
  ~ClusterPlace();

  bool ready() const { return client_ != nullptr; }
  const Client& client() const { return *client_; }  // As the identity, with all rights.
  const std::string& ns() const { return ns_; }
  const std::string& image() const { return image_; }  // One with a shell, that nodes can pull.

  // A client that shows this token and no certificate.
  Client client_with(std::shared_ptr<TokenSource> token);
  // A token of the service account `name`, which is made for it.
  ApiResult<std::string> token_of(const std::string& name);

 private:
  bool find_cluster();
  bool make_namespace();
  bool become_service_account();

  std::optional<Config> config_;
  std::string ns_, image_ = "busybox:1.35";
  std::unique_ptr<http::CpprestTransport> with_certificate_, without_;
  std::unique_ptr<Client> admin_, client_;
};

}  // namespace imagebuild::kube
