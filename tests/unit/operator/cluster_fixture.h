// The operator's own parts, put together as its main() does, on a fake API server. The test is the kubelet and the
// builders: it says what becomes of pods.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "fakes/fake_api_server.h"
#include "http/curl_transport.h"
#include "operator/controller.h"
#include "operator/pods/metadata.h"
#include "unit/operator/pods_sample.h"

namespace imagebuild::op {

// One process of the operator.
class OneOperator {
 public:
  OneOperator(const std::string& api_url, std::size_t concurrency, std::chrono::milliseconds status_pace = {})
      : client_(transport_, {.server = *http::Url::parse(api_url)}), slots_(concurrency) {
    ClusterSettings settings = sample_settings();
    settings.sign = [this](const std::string& path) { return reports.sign(path); };
    actor_ = std::make_unique<Actor>(ActorParts{client_, events_, reports, std::move(settings), steady_now_});
    ControllerParts parts{client_, inventory_, queue_, slots_, reports, observer_, *actor_, metrics, log_};
    parts.status_pace = status_pace;
    parts.now = steady_now_;
    controller_ = std::make_unique<Controller>(parts);
    inventory_.start();
    inventory_.wait_for_sync({});
  }
  ~OneOperator() { inventory_.stop(); }

  // Works on keys as they come until `done`; false when that does not come in a time that only a broken test reaches.
  bool work_until(const std::function<bool()>& done) {
    std::jthread watchdog([this](const std::stop_token& over) {
      std::mutex mutex;
      std::unique_lock lock(mutex);
      std::condition_variable_any().wait_for(lock, over, std::chrono::seconds(20), [] { return false; });
      if (!over.stop_requested()) queue_.shut_down();
    });
    while (!done()) {
      const auto key = queue_.take();
      if (!key) return false;
      controller_->reconcile(*key, {});
      queue_.done(*key);
    }
    return true;
  }

  // Puts the operator's clocks forward.
  void pass(std::chrono::seconds time) {
    ahead_ = ahead_.load() + time;
    queue_.wake();
  }

  // What a builder's report brings.
  int report(const api::ImageBuild& build, const std::string& pod, const api::Told& told) {
    const std::string path = report_path(build, pod);
    return reports.take(path, "Bearer " + reports.sign(path), told.json());
  }

 private:
  std::atomic<std::chrono::seconds> ahead_{};
  const kube::SteadyClock steady_now_ = [this] { return std::chrono::steady_clock::now() + ahead_.load(); };
  http::CurlTransport transport_{{.trust = {}, .proxy = {}}};
  const kube::Client client_;
  kube::WorkQueue queue_{{.now = steady_now_}};
  Slots slots_;
  References references_{client_};

 public:
  Reports reports{[this](const std::string& ns, const std::string& name) { queue_.add({ns, name}); }};
  Metrics metrics{{.version = "test"}};

 private:
  const Log log_{{.json = false, .least = LogLevel::kError}};
  kube::EventRecorder events_{client_, {.controller = "imagebuild.dev/operator", .instance = "test"}};
  Inventory inventory_{client_, {.on_change = [this](const kube::ObjectKey& build) { queue_.add(build); }}};
  const Observer observer_{{.client = client_,
                            .inventory = inventory_,
                            .references = references_,
                            .reports = reports,
                            .slots = slots_,
                            .now = [this] { return system_clock_now() + ahead_.load(); },
                            .steady_now = steady_now_}};
  std::unique_ptr<Actor> actor_;
  std::unique_ptr<Controller> controller_;
};

class ClusterFixture : public testing::Test {
 protected:
  ClusterFixture() { put_storage_class("WaitForFirstConsumer"); }
  void put_storage_class(const char* binding_mode) {
    api.put(storage_classes(),
            {{"metadata",
              {{"name", "standard"}, {"annotations", {{"storageclass.kubernetes.io/is-default-class", "true"}}}}},
             {"volumeBindingMode", binding_mode}});
  }

  // Puts an ImageBuild there that needs no Secret, and returns it as the API server has it.
  api::ImageBuild put_build(const std::string& name = "app", std::function<void(kube::Json& spec)> change = {}) {
    kube::Json spec = kube::Json::parse(api::spec_json(bare_build().spec));
    if (change) change(spec);
    const kube::Json stored = api.put(image_builds(), {{"apiVersion", "imagebuild.dev/v1alpha1"},
                                                       {"kind", "ImageBuild"},
                                                       {"metadata", {{"namespace", "team"}, {"name", name}}},
                                                       {"spec", spec}});
    return *api::ImageBuild::parse(stored.dump());
  }
  api::ImageBuild now(const api::ImageBuild& build) const {
    return *api::ImageBuild::parse(api.find(image_builds(), {build.ns, build.name})->dump());
  }
  bool has_phase(const api::ImageBuild& build, api::BuildPhase phase) const { return now(build).status.phase == phase; }

  std::string pod_name(const api::ImageBuild& build, const build::Work& work, int attempt = 1) const {
    return build::pod_name(build, now(build).status.build.generation, work, attempt);
  }
  bool has_pod(const api::ImageBuild& build, const build::Work& work, int attempt = 1) const {
    return api.find(kube::pods(), {build.ns, pod_name(build, work, attempt)}).has_value();
  }
  // The kubelet's word on a pod.
  void set_status(const api::ImageBuild& build, const std::string& pod, kube::Json status) {
    kube::Json object = *api.find(kube::pods(), {build.ns, pod});
    object["status"] = std::move(status);
    api.put(kube::pods(), object);
  }
  static kube::Json ended(int exit_code, const std::string& message = "") {
    return {{"phase", exit_code == 0 ? "Succeeded" : "Failed"},
            {"containerStatuses",
             {{{"name", "stage"},
               {"state", {{"terminated", {{"exitCode", exit_code}, {"reason", "Error"}, {"message", message}}}}}}}}};
  }

  static api::Told prepared() {
    api::Told told{.done = true, .source = api::SourceStatus{"", "sha256:" + std::string(64, 'c')}};
    told.plan_json = small_plan().json();
    return told;
  }
  static api::Told pushed() {
    return {.done = true,
            .image = api::ImageStatus{.reference = "registry.example/team/app:1@sha256:" + std::string(64, 'd'),
                                      .digest = "sha256:" + std::string(64, 'd'),
                                      .size_bytes = 10,
                                      .layers = 1}};
  }
  // One stage with a RUN, which is the image.
  static api::Plan small_plan() {
    api::Plan plan = sample_plan();
    plan.stages.resize(1);
    plan.stages[0].keep_layers = true;
    plan.targets = {{0, "linux/amd64", ""}};
    return plan;
  }

  fakes::FakeApiServer api{{.watch_second = std::chrono::hours(1)}};
};

}  // namespace imagebuild::op
