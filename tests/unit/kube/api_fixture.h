// A fake API server with a client on top, as most tests here want it: no waiting between tries, what was waited is
// written down.
#pragma once

#include <gtest/gtest.h>

#include <mutex>
#include <vector>

#include "fakes/fake_api_server.h"
#include "http/curl_transport.h"
#include "kube/client.h"

namespace imagebuild::kube {

class ApiFixture : public testing::Test {
 protected:
  ClientOptions options() {
    ClientOptions options{.server = *http::Url::parse(api.url())};
    options.timeouts = {.connect = std::chrono::seconds(20), .idle = std::chrono::seconds(20)};
    options.seams.sleep = [this](std::chrono::milliseconds wait) { note_wait(wait); };
    options.seams.random = [] { return 0.0; };
    return options;
  }
  void note_wait(std::chrono::milliseconds wait) {
    const std::lock_guard lock(mutex_);
    waits_.push_back(wait.count());
  }
  std::vector<long> waits() const {
    const std::lock_guard lock(mutex_);
    return waits_;
  }

  fakes::FakeApiServer api{{.watch_second = std::chrono::milliseconds(1)}};
  http::CurlTransport transport{{.trust = {}, .proxy = {}}};

 private:
  mutable std::mutex mutex_;
  std::vector<long> waits_;
};

}  // namespace imagebuild::kube
