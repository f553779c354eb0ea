// imagebuild-operator: watches ImageBuilds and has them built by pods.
#include <malloc.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <stop_token>

#include "api/job.h"
#include "api/yaml_json.h"
#include "base/file.h"
#include "base/stop_signals.h"
#include "http/cpprest_transport.h"
#include "kube/config.h"
#include "kube/lease.h"
#include "operator/controller.h"
#include "operator/http_server.h"
#include "operator/options.h"

namespace imagebuild::op {
namespace {

constexpr std::uint64_t kMaxRegistriesBytes = 256 * 1024;  // It goes into every build's record.

Result<kube::Config> find_api_server(const Options& options) {
  kube::KubeconfigOptions kubeconfig;
  kubeconfig.read_yaml = [](std::string_view text) { return api::yaml_to_json(text); };
  if (!options.kubeconfig.empty()) return kube::load_kubeconfig({options.kubeconfig}, kubeconfig);
  return kube::load_config(kube::process_environment(), kubeconfig);
}

HttpAnswer answer(int status, std::string body) {
  return {.status = status, .body = std::move(body) + "\n"};
}

// Everything that lives as long as the process leads or waits to lead. The order of the members is that of their needs.
class Program {
 public:
  Program(const Options& options, const kube::Config& config, std::string registries)
      : options_(options),
        log_({.json = options.log_json, .least = options.log_level}),
        metrics_({.version = IMAGEBUILD_VERSION, .workers = options.workers, .lease_name = options.lease_name}),
        transport_({.ca_pem = config.ca_pem,
                    .client_cert_pem = config.client_cert_pem,
                    .client_key_pem = config.client_key_pem,
                    .skip_verify = config.skip_verify,
                    .user_agent = std::string("imagebuild-operator/") + IMAGEBUILD_VERSION}),
        client_(transport_, client_options(config)),
        queue_({.metrics = metrics_.queue_hooks()}),
        slots_(options.concurrency),
        references_(client_),
        reports_([this](const std::string& ns, const std::string& name) {
          queue_.add({ns, name});
        }),
        events_(client_, {.controller = "imagebuild.dev/operator", .instance = instance()}),
        inventory_(client_, inventory_options()),
        registries_(std::move(registries)),
        observer_({.client = client_,
                   .inventory = inventory_,
                   .references = references_,
                   .reports = reports_,
                   .slots = slots_,
                   .default_cache = options.default_cache}) {}

  int run(const std::stop_token& stop) {
    metrics_.watch_queue([this] { return queue_.running(); });
    if (const Status serving = serve(); !serving.ok()) return fail(serving.error());
    actor_ = std::make_unique<Actor>(ActorParts{client_, events_, reports_, cluster_settings()});
    controller_ = std::make_unique<Controller>(ControllerParts{client_, inventory_, queue_, slots_, reports_, observer_,
                                                               *actor_, metrics_, log_, options_.workers});
    log_.info("started", {{"version", IMAGEBUILD_VERSION}, {"identity", instance()}});
    events_.start();
    inventory_.start();
    const bool lost = options_.leader_elect ? lead_by_lease(stop) : lead_alone(stop);
    inventory_.stop();
    events_.stop();
    log_.info("stopped");
    return lost ? kExitInfrastructure : kExitOk;
  }

 private:
  kube::ClientOptions client_options(const kube::Config& config) {
    kube::ClientOptions result{.server = config.server, .token = config.token};
    result.user_agent = std::string("imagebuild-operator/") + IMAGEBUILD_VERSION;
    result.on_request = [this](const std::string& method, int code) { metrics_.request(method, code); };
    return result;
  }

  InventoryOptions inventory_options() {
    return {.namespaces = options_.namespaces,
            .on_change = [this](const kube::ObjectKey& build) { queue_.add(build); },
            .on_error =
                [this](const kube::Resource& resource, const kube::ApiError& error) {
                  log_.warning("cannot watch", {{"resource", resource.plural}, {"error", error.message}});
                }};
  }

  std::string instance() const { return options_.identity.empty() ? "imagebuild-operator" : options_.identity; }

  ClusterSettings cluster_settings() {
    ClusterSettings settings{.builder_image = options_.builder_image,
                             .stage_image = options_.stage_image,
                             .image_pull_policy = options_.image_pull_policy,
                             .builder_resources = options_.builder_resources,
                             .registries = registries_};
    if (options_.report_address.empty()) return settings;
    const bool is_v6 = options_.report_address.find(':') != std::string::npos;
    const std::string host = is_v6 ? "[" + options_.report_address + "]" : options_.report_address;
    settings.report_base_url = "http://" + host + ":" + std::to_string(report_port_);
    settings.sign = [this](const std::string& path) { return reports_.sign(path); };
    return settings;
  }

  Status serve() {
    metrics_server_.route("GET", "/metrics", [this](const HttpRequest&) {
      return HttpAnswer{.content_type = Metrics::kContentType, .body = metrics_.text()};
    });
    metrics_server_.route("GET", "/healthz", [](const HttpRequest&) { return answer(200, "ok"); });
    metrics_server_.route("GET", "/readyz", [this](const HttpRequest&) {
      return inventory_.has_synced() ? answer(200, "ok") : answer(503, "the watches are not complete yet");
    });
    route_reports();
    RETURN_IF_ERROR(metrics_server_.start());
    ASSIGN_OR_RETURN(report_port_, report_server_.start());
    return ok();
  }

  void route_reports();

  bool lead_alone(const std::stop_token& stop) {
    metrics_.leader(true);
    leads_ = true;
    controller_->start();
    wait_for(stop);
    controller_->stop();
    return false;
  }

  // Whether the lead was lost to somebody else; then this process must end.
  bool lead_by_lease(const std::stop_token& stop) {
    kube::LeaseCallbacks callbacks;
    callbacks.on_started = [this] {
      log_.info("leads now");
      metrics_.leader(true);
      leads_ = true;
      controller_->start();
    };
    callbacks.on_stopped = [this] {
      leads_ = false;
      controller_->stop();
      metrics_.leader(false);
      log_.info("leads no more");
    };
    callbacks.on_leader = [this](const std::string& identity) { log_.info("the leader is", {{"leader", identity}}); };
    kube::LeaderElector elector(
        client_, {.lease = {options_.lease_namespace, options_.lease_name}, .identity = options_.identity}, callbacks);
    return elector.run(stop) == kube::LeaderElector::Outcome::kLost;
  }

  static void wait_for(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait(lock, stop, [] { return false; });
  }

  int fail(const Error& error) const {
    log_.error(error.message);
    return error.exit_status();
  }

  const Options options_;
  const Log log_;
  Metrics metrics_;
  http::CpprestTransport transport_;
  const kube::Client client_;
  kube::WorkQueue queue_;
  Slots slots_;
  References references_;
  Reports reports_;
  kube::EventRecorder events_;
  Inventory inventory_;
  const std::string registries_;
  const Observer observer_;
  std::unique_ptr<Actor> actor_;
  std::unique_ptr<Controller> controller_;
  std::atomic<bool> leads_ = false;
  std::uint16_t report_port_ = 0;
  HttpServer metrics_server_{{.name = "metrics", .port = options_.metrics_port}};
  HttpServer report_server_{
      {.name = "reports", .port = options_.report_port, .max_body_bytes = api::job::kMaxReportBytes}};
};

void Program::route_reports() {
  // Only the leader can use them; its address is the one that pods are given.
  const auto gate = [this](const HttpRequest& request) -> std::optional<HttpAnswer> {
    if (!leads_) return answer(503, "this replica does not lead");
    const int status = reports_.admit(request.path, request.header("Authorization"));
    return status == 204 ? std::nullopt : std::optional(answer(status, "refused"));
  };
  const auto take = [this](const HttpRequest& request) {
    const int status = reports_.take(request.path, request.header("Authorization"), request.body);
    return status == 204 ? HttpAnswer{.status = 204} : answer(status, "this is no report");
  };
  report_server_.route("POST", "/v1/reports/", take, gate);
}

int run(const Options& options) {
  static std::stop_source stop;  // The thread that waits for signals may outlive everything else.
  block_stop_signals();
  // Each of the many threads would otherwise keep a heap of its own with what others have freed.
  constexpr int kHeaps = 2;
  ::mallopt(M_ARENA_MAX, kHeaps);
  http::prepare_process_for_cpprest();
  watch_stop_signals([](int, bool) { stop.request_stop(); });
  const auto fail = [](const Error& error) {
    std::cerr << "imagebuild-operator: error: " << error.message << "\n";
    return error.exit_status();
  };
  const auto config = find_api_server(options);
  if (!config.ok()) return fail(config.error());
  std::string registries;
  if (!options.registries_file.empty()) {
    auto text = read_file(options.registries_file, kMaxRegistriesBytes);
    if (!text.ok()) return fail(text.error());
    registries = std::move(*text);
  }
  return Program(options, *config, std::move(registries)).run(stop.get_token());
}

}  // namespace
}  // namespace imagebuild::op

int main(int argc, char** argv) {
  const auto options = imagebuild::op::parse_options(argc, argv, IMAGEBUILD_VERSION);
  if (const int* status = std::get_if<int>(&options)) return *status;
  const int status = imagebuild::op::run(std::get<imagebuild::op::Options>(options));
  std::cout.flush();
  // Without destructors of statics: threads of libraries may still wait.
  std::_Exit(status);
}
