#include "operator/options.h"

#include <CLI/CLI.hpp>

#include "api/validate_cache.h"
#include "api/validate_values.h"
#include "base/error.h"

namespace imagebuild::op {

namespace {

std::string quantity_mistake(const std::string& text) {
  return api::parse_quantity(text) ? "" : "'" + text + "' is no quantity; write 500m or 2Gi";
}

void add_resources(CLI::App& app, api::ResourceNeeds& needs) {
  const auto add = [&](const char* name, std::map<std::string, api::Quantity>& to, const char* resource,
                       const char* description) {
    app.add_option_function<std::string>(
           name, [&to, resource](const std::string& value) { to[resource].text = value; }, description)
        ->check(CLI::Validator(quantity_mistake, "QUANTITY"));
  };
  add("--builder-cpu-request", needs.requests, "cpu", "CPU request of prepare and publish pods");
  add("--builder-memory-request", needs.requests, "memory", "Memory request of prepare and publish pods");
  add("--builder-cpu-limit", needs.limits, "cpu", "CPU limit of prepare and publish pods");
  add("--builder-memory-limit", needs.limits, "memory", "Memory limit of prepare and publish pods");
}

void add_images(CLI::App& app, Options& options) {
  app.add_option("--builder-image", options.builder_image,
                 "Image with imagebuild-builder, for prepare and publish pods")
      ->required();
  app.add_option("--stage-image", options.stage_image,
                 "Image with nothing but imagebuild-stage, for stages that start from scratch")
      ->required();
  app.add_option("--image-pull-policy", options.image_pull_policy, "Of both images")
      ->check(CLI::IsMember({"Always", "IfNotPresent", "Never"}));
  app.add_option("--registries", options.registries_file,
                 "YAML file with mirrors, insecure registries and CAs, for the builds")
      ->check(CLI::ExistingFile);
}

// The flags that make up Options::default_cache.
struct CacheFlags {
  std::string claim, repository, secret, max_size, ttl;
  bool insecure = false;
};

void add_cache(CLI::App& app, CacheFlags& flags) {
  app.add_option("--default-cache-claim", flags.claim,
                 "Where builds keep results of stages that do not say it: a claim in their namespace, if it has one");
  app.add_option("--default-cache-registry", flags.repository, "The same: a repository");
  app.add_option("--default-cache-secret", flags.secret,
                 "With --default-cache-registry: the Secret in the build's namespace with its credentials");
  app.add_flag("--default-cache-insecure", flags.insecure,
               "With --default-cache-registry: plain HTTP, or a certificate that cannot be verified");
  app.add_option("--default-cache-max-size", flags.max_size, "With --default-cache-claim: as spec.cache.maxSize");
  app.add_option("--default-cache-ttl", flags.ttl, "With --default-cache-claim: as spec.cache.ttl");
}

api::CacheSettings default_cache(const CacheFlags& flags) {
  api::CacheSettings cache;
  if (!flags.claim.empty()) cache.claim = api::ClaimSource{flags.claim};
  if (!flags.repository.empty()) {
    cache.registry = api::CacheRegistry{flags.repository, {}, flags.insecure};
    if (!flags.secret.empty()) cache.registry->secret = api::SecretRef{flags.secret};
  } else if (!flags.secret.empty() || flags.insecure) {
    throw CLI::ValidationError("--default-cache-secret and --default-cache-insecure", "need --default-cache-registry");
  }
  cache.max_size.text = flags.max_size;
  cache.ttl = flags.ttl;
  const std::vector<api::Problem> problems = api::cache_problems(cache);
  if (!problems.empty()) throw CLI::ValidationError("--default-cache-…", api::problems_text(problems));
  return cache;
}

void add_process(CLI::App& app, Options& options) {
  app.add_flag("--leader-elect", options.leader_elect, "Work only while holding the Lease; for several replicas");
  app.add_option("--lease-namespace", options.lease_namespace, "Namespace of the Lease")->envname("POD_NAMESPACE");
  app.add_option("--lease-name", options.lease_name, "Name of the Lease")->capture_default_str();
  app.add_option("--identity", options.identity, "Who this replica is; unique")->envname("POD_NAME");
  app.add_option("--metrics-port", options.metrics_port, "Port for /metrics, /healthz and /readyz; 0: any")
      ->capture_default_str();
  app.add_option("--report-port", options.report_port, "Port for what builder pods report; 0: any")
      ->capture_default_str();
  app.add_option("--report-address", options.report_address,
                 "IP address at which pods reach this process; without it, only pod status tells")
      ->envname("POD_IP")
      ->check(CLI::ValidIPV4 | CLI::Validator(
                                   [](const std::string& text) {
                                     return text.find(':') == std::string::npos ? "not an IP address" : "";
                                   },
                                   "IPV6"));
  app.add_option("--kubeconfig", options.kubeconfig,
                 "File that says where the API server is; default: the pod's service account, else $KUBECONFIG")
      ->check(CLI::ExistingFile);
}

}  // namespace

std::variant<Options, int> parse_options(int argc, char** argv, const char* version) {
  Options options;
  std::string log_format = "json", log_level = "info";
  CLI::App app("Builds the images that ImageBuild objects ask for, each stage in a pod of its own.",
               "imagebuild-operator");
  app.set_version_flag("--version", std::string("imagebuild-operator ") + version);
  app.footer(
      "Exit status: 0 asked to stop, 2 wrong usage, 3 the machine, the network or the API server failed, or another\n"
      "replica leads.");
  add_images(app, options);
  add_resources(app, options.builder_resources);
  app.add_option("--namespace", options.namespaces, "Namespace to watch; may be repeated. Default: all")
      ->allow_extra_args(false);
  app.add_option("--concurrency", options.concurrency, "How many builds are under way at once; 0: no limit")
      ->capture_default_str();
  app.add_option("--workers", options.workers, "How many ImageBuilds are looked at at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  CacheFlags cache;
  add_cache(app, cache);
  add_process(app, options);
  app.add_option("--log-format", log_format, "json or text")
      ->check(CLI::IsMember({"json", "text"}))
      ->capture_default_str();
  app.add_option("--log-level", log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
    if (options.leader_elect && (options.lease_namespace.empty() || options.identity.empty())) {
      throw CLI::ValidationError("--leader-elect", "needs --lease-namespace and --identity");
    }
    options.default_cache = default_cache(cache);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  options.log_json = log_format == "json";
  options.log_level = parse_log_level(log_level).value_or(LogLevel::kInfo);
  return options;
}

}  // namespace imagebuild::op
