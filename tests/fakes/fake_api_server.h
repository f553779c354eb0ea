// A Kubernetes API server for tests: real HTTP on loopback, objects in memory, and as unfriendly as a test wants. Any
// group and resource may be used without saying so first; what is simplified is listed in fake_api_store.h.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fakes/fake_api_store.h"
#include "fakes/http_server.h"
#include "kube/resource.h"

namespace imagebuild::fakes {

// What is done to a request instead of answering it.
struct ApiFault {
  std::string method = {};         // Empty: any.
  std::string path_contains = {};  // Empty: any.
  bool watches_only = false;
  int times = 1;   // How many requests it hits.
  int status = 0;  // The answer; 0: none.
  std::string reason = {};
  std::string retry_after = {};  // The header's value.
  bool drop = false;             // Close the connection without an answer.
  bool drop_after = false;       // Do what was asked, then close the connection without an answer.
  bool hang = false;             // Never answer.
  std::string stream = {};       // For watches: answer 200, send this text as it is, and end.
};

struct ApiRequest {
  std::string method, path, content_type, user_agent, body;
  std::map<std::string, std::string> query;
  int status = 0;  // What it was answered; 0 for nothing.
};

struct FakeApiOptions {
  std::chrono::milliseconds watch_second{1000};  // How long a second of a watch's timeoutSeconds lasts.
  std::optional<TlsIdentity> identity = {};
};

class FakeApiServer {
 public:
  explicit FakeApiServer(FakeApiOptions options = {});
  FakeApiServer(const FakeApiServer&) = delete;
  FakeApiServer& operator=(const FakeApiServer&) = delete;
  ~FakeApiServer();

  std::string url() const { return server_->url(); }

  // ---- what is there
  // Creates or replaces an object as somebody else would, status included. The result has its new resourceVersion.
  Json put(const kube::Resource& resource, Json object);
  std::optional<Json> find(const kube::Resource& resource, const kube::ObjectKey& key) const;
  std::vector<Json> all(const kube::Resource& resource, const std::string& ns = {}) const;
  bool remove(const kube::Resource& resource, const kube::ObjectKey& key);
  void set_log(const kube::ObjectKey& pod, const std::string& container, std::string log);

  // ---- how it behaves
  void require_token(std::set<std::string> tokens);  // Everything else is 401. Empty: nobody is asked.
  void miss_group(const std::string& group);         // A server without this API group.
  void set_validator(FakeApiStore::Validator validator);
  void inject(ApiFault fault);
  void compact();         // Every resourceVersion until now is too old.
  void end_watches();     // Ends the open watches in order.
  void break_watches();   // Closes their connections in the middle of an event.
  void send_bookmarks();  // To the open watches that allow them.

  // ---- what was asked
  std::vector<ApiRequest> requests() const;
  // How many requests of `method` had `text` in their path and query; watches count as "WATCH", not as "GET".
  int count(const std::string& method, const std::string& text = {}) const;
  // Wait for it, up to a bound that only a broken test reaches; false then.
  bool wait_for_count(const std::string& method, const std::string& text, int at_least) const;
  bool wait_for_watchers(int watchers) const;

 private:
  void handle(Exchange& exchange);
  void watch(Exchange& exchange, const ApiTarget& target, const ApiSelector& selector);
  std::optional<ApiFault> take_fault(const ApiRequest& request);
  ApiAnswer answer(const ApiRequest& request, const ApiTarget& target);
  std::optional<std::string> log_of(const ApiRequest& request, const ApiTarget& target) const;
  void finish(ApiRequest request, int status);
  int count_locked(const std::string& method, const std::string& text) const;

  const FakeApiOptions options_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  FakeApiStore store_;
  std::set<std::string> tokens_, missing_groups_;
  std::map<std::string, std::string> logs_;
  std::vector<ApiFault> faults_;
  std::vector<ApiRequest> requests_;
  int ended_ = 0, broken_ = 0, bookmarked_ = 0;  // How often each was asked for.
  int watchers_ = 0;
  bool stopping_ = false;
  std::unique_ptr<HttpServer> server_;  // Last: its threads use the rest.
};

}  // namespace imagebuild::fakes
