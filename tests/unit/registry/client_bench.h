// A client whose time, waits and randomness are the test's own, and a count of what it sends.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "fakes/fake_registry.h"
#include "http/curl_transport.h"
#include "registry/client.h"
#include "unit/registry/contract.h"

namespace imagebuild::registry {

// A transport that counts.
class CountingTransport final : public http::HttpTransport {
 public:
  explicit CountingTransport(http::HttpTransport& next) : next_(next) {}
  Result<http::Response> send(const http::Request& request, std::stop_token stop) override {
    ++sent;
    return next_.send(request, std::move(stop));
  }
  std::atomic<int> sent = 0;

 private:
  http::HttpTransport& next_;
};

// No test here has a credential helper.
class NoPrograms final : public ProcessRunner {
 public:
  Result<ProcessResult> run(const ProcessSpec&, std::stop_token) override {
    return Error{ErrorCode::kNotFound, "no such program"};
  }
};

class ClientBench {
 public:
  static constexpr const char* kCredentialsPath = "/home/me/.docker/config.json";

  // Waits are noted and not waited; chance is always one half, so that a wait is three quarters of its longest.
  ClientOptions options(std::uint64_t chunk_bytes = 1000) {
    return {.hosts = {},
            .credentials = {},
            .retry = {},
            .seams = {.now = [this] { return now(); },
                      .sleep =
                          [this](std::chrono::milliseconds wait) {
                            const std::lock_guard lock(mutex_);
                            waits_.push_back(wait.count());
                          },
                      .random = [] { return 0.5; }},
            .timeouts = {.connect = std::chrono::seconds(10), .idle = std::chrono::seconds(10)},
            .chunk_bytes = chunk_bytes};
  }
  // A credentials file with one entry: {"username":…,"password":…}, or whatever `entry` is.
  Credentials credentials(const std::string& host, const std::string& entry) {
    auto file = CredentialsFile::parse(R"({"auths":{")" + host + R"(":)" + entry + "}}", kCredentialsPath);
    EXPECT_TRUE(file.ok()) << contract::message_of(file);
    return Credentials({*file}, programs_);
  }
  Credentials password(const std::string& host, const std::string& word) {
    return credentials(host, R"({"username":"user","password":")" + word + "\"}");
  }
  Client client() { return client(options()); }
  Client client(ClientOptions options) { return Client(transport, std::move(options)); }
  Client client(Credentials credentials) {
    ClientOptions with = options();
    with.credentials = std::move(credentials);
    return client(std::move(with));
  }

  // In milliseconds.
  std::vector<long long> waits() {
    const std::lock_guard lock(mutex_);
    return waits_;
  }
  void pass(std::chrono::seconds time) {
    const std::lock_guard lock(mutex_);
    now_ += time;
  }

 private:
  WallTime now() {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  std::mutex mutex_;
  std::vector<long long> waits_;
  WallTime now_{std::chrono::sys_days(std::chrono::year(2026) / 3 / 1)};
  NoPrograms programs_;
  http::CurlTransport curl_{{.trust = {}, .proxy = {}}};

 public:
  CountingTransport transport{curl_};
};

}  // namespace imagebuild::registry
