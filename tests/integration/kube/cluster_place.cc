#include "integration/kube/cluster_place.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "api/yaml_json.h"
#include "unit/kube/contract_things.h"

namespace imagebuild::kube {
namespace {

Resource core(const std::string& plural, const std::string& kind, bool namespaced = true) {
  return {"", "v1", plural, kind, namespaced};
}

Resource cluster_role_bindings() {
  return {"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false};
}

std::string random_name() {
  std::random_device device;
  std::ostringstream name;
  name << "contract-" << std::hex << device() << device();
  return name.str();
}

// Says no to everything that `result` does not contain.
template <class T>
bool fine(const ApiResult<T>& result) {
  if (!result.ok()) ADD_FAILURE() << result.error().message;
  return result.ok();
}

}  // namespace

ClusterPlace::ClusterPlace(Identity identity) {
  if (!find_cluster()) return;
  with_certificate_ =
      std::make_unique<http::CpprestTransport>(http::CpprestOptions{.ca_pem = config_->ca_pem,
                                                                    .client_cert_pem = config_->client_cert_pem,
                                                                    .client_key_pem = config_->client_key_pem,
                                                                    .skip_verify = config_->skip_verify});
  without_ = std::make_unique<http::CpprestTransport>(
      http::CpprestOptions{.ca_pem = config_->ca_pem, .skip_verify = config_->skip_verify});
  admin_ =
      std::make_unique<Client>(*with_certificate_, ClientOptions{.server = config_->server, .token = config_->token});
  if (!make_namespace()) return;
  if (identity == Identity::kServiceAccount) {
    (void)become_service_account();
  } else {
    client_ = std::make_unique<Client>(*admin_);
  }
}

ClusterPlace::~ClusterPlace() {
  if (ns_.empty()) return;
  // Whatever a failed case left would keep the namespace.
  if (const auto left = admin_->list(contract::config_maps(), ns_); left.ok()) {
    for (const Json& object : left->items) {
      if (at(object, {"metadata", "finalizers"}).is_null()) continue;
      (void)admin_->patch(contract::config_maps(), key_of(object), PatchType::kMerge,
                          {{"metadata", {{"finalizers", nullptr}}}});
    }
  }
  (void)admin_->remove(core("namespaces", "Namespace", false), {"", ns_});
  (void)admin_->remove(cluster_role_bindings(), {"", ns_});
}

bool ClusterPlace::find_cluster() {
  std::string file;
  const Environment environment = process_environment();
  if (const auto named = environment("IMAGEBUILD_CLUSTER"); named && !named->empty()) {
    std::ifstream in(*named);
    const Json state = Json::parse(in, nullptr, false);
    file = text_at(state, {"kubeconfig"});
    image_ = text_at(state, {"registry"}) + "/library/busybox:1.35";
  } else if (const auto kubeconfig = environment("KUBECONFIG")) {
    file = *kubeconfig;
  }
  if (file.empty()) {
    ADD_FAILURE() << "no cluster: let IMAGEBUILD_CLUSTER name the file of tests/e2e/cluster/up.py --state";
    return false;
  }
  const KubeconfigOptions options{.read_yaml = [](std::string_view text) { return api::yaml_to_json(text); }};
  auto config = load_kubeconfig({file}, options);
  if (!config.ok()) {
    ADD_FAILURE() << config.error().message;
    return false;
  }
  config_ = *std::move(config);
  return true;
}

bool ClusterPlace::make_namespace() {
  const std::string name = random_name();
  const Json object = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}};
  if (!fine(admin_->create(core("namespaces", "Namespace", false), object))) return false;
  ns_ = name;
  // What controllers put into a new namespace must not come while a case watches.
  const bool settled = contract::eventually([&] {
    return admin_->get(contract::config_maps(), {ns_, "kube-root-ca.crt"}).ok() &&
           admin_->get(core("serviceaccounts", "ServiceAccount"), {ns_, "default"}).ok();
  });
  EXPECT_TRUE(settled) << "the new namespace has no default service account";
  return settled;
}

ApiResult<std::string> ClusterPlace::token_of(const std::string& name) {
  const Json account = {
      {"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", {{"namespace", ns_}, {"name", name}}}};
  ASSIGN_OR_RETURN(const Json made, admin_->create(core("serviceaccounts", "ServiceAccount"), account));
  // The token is a sub-resource that is created.
  const Resource tokens = core("serviceaccounts/" + name + "/token", "TokenRequest");
  const Json wanted = {{"apiVersion", "authentication.k8s.io/v1"},
                       {"kind", "TokenRequest"},
                       {"metadata", {{"namespace", ns_}}},
                       {"spec", {{"expirationSeconds", 3600}}}};
  ASSIGN_OR_RETURN(const Json token, admin_->create(tokens, wanted));
  return text_at(token, {"status", "token"});
}

bool ClusterPlace::become_service_account() {
  const auto token = token_of("tester");
  if (!fine(token)) return false;
  const Json binding = {
      {"apiVersion", "rbac.authorization.k8s.io/v1"},
      {"kind", "ClusterRoleBinding"},
      {"metadata", {{"name", ns_}}},
      {"roleRef", {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", "cluster-admin"}}},
      {"subjects", Json::array({{{"kind", "ServiceAccount"}, {"namespace", ns_}, {"name", "tester"}}})}};
  if (!fine(admin_->create(cluster_role_bindings(), binding))) return false;
  auto client = std::make_unique<Client>(client_with(std::make_shared<FixedToken>(*token)));
  // The server learns of the binding by a watch of its own.
  const bool allowed = contract::eventually([&] { return client->list(leases(), ns_).ok(); });
  EXPECT_TRUE(allowed) << "the service account does not get its rights";
  if (allowed) client_ = std::move(client);
  return allowed;
}

Client ClusterPlace::client_with(std::shared_ptr<TokenSource> token) {
  return Client(*without_, {.server = config_->server, .token = std::move(token)});
}

}  // namespace imagebuild::kube
