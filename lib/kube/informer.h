// A local copy of a collection, kept by list and watch, and calls for every change in it.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "kube/client.h"
#include "kube/watch.h"

namespace imagebuild::kube {

using Object = std::shared_ptr<const Json>;

struct InformerOptions {
  Resource resource;
  std::string ns = {};  // Empty: all.
  std::string label_selector = {}, field_selector = {};
  // What of an object is kept: with thousands of objects, memory is what a copy costs. Absent: all but managedFields.
  // metadata's name, namespace, uid and resourceVersion are kept in any case.
  std::function<Json(Json)> project = {};
  // The same from the text of an object in the first list, which it may refuse: then the object is parsed and
  // projected. For collections of thousands that are hardly looked at. What it makes has the members named above.
  std::function<std::optional<Json>(std::string_view)> project_text = {};
  // The first list is what the server's cache has (Client::list_cached()); later ones are the newest, in pages.
  bool first_from_cache = false;
  int page_size = 500;
  std::chrono::seconds shortest_watch{300};  // The server ends a watch between once and twice this, by chance: many
                                             // clients that started together do not come back together.
  http::RetryPolicy backoff = {.base = std::chrono::milliseconds(800), .cap = std::chrono::seconds(30)};
  http::RetrySeams seams = {};
  // Called when a list or watch failed, for the log; the informer goes on by itself.
  std::function<void(const ApiError&)> on_error = {};
};

// The old and the new state of one object: no old one when it is new, no new one when it is gone. Called on the
// informer's thread, after the copy has changed; must be quick (put the key into a queue).
using ChangeHandler = std::function<void(const Object& before, const Object& now)>;

// Reading is for any thread.
class Informer {
 public:
  // `client` outlives the informer.
  Informer(const Client& client, InformerOptions options, ChangeHandler on_change);
  Informer(const Informer&) = delete;
  Informer& operator=(const Informer&) = delete;
  ~Informer();  // Stops and waits for the thread.

  void start();  // Lists and watches on a thread of its own until stop() or the end.
  void stop();
  void run(std::stop_token stop);  // The same on the caller's thread.

  // Whether the first list is in the copy and every handler was called for it.
  bool has_synced() const;
  // Waits for that; false when stopped before.
  bool wait_for_sync(std::stop_token stop = {}) const;

  Object get(const ObjectKey& key) const;  // Null when there is none.
  std::vector<Object> list() const;        // In no order.
  std::size_t size() const;

 private:
  enum class Next { kEnded, kBroke, kListAgain, kStopped };
  using Store = std::unordered_map<ObjectKey, Object>;

  ApiResult<std::string> relist(bool from_cache, const std::stop_token& stop);
  Object read(std::string_view text) const;
  Next watch(std::string& resource_version, bool& made_progress, const std::stop_token& stop);
  Object projected(Json object) const;
  void replace(Store fresh);
  void put(Object object);
  void drop(const ObjectKey& key, Object last);
  void report(const ApiError& error) const;

  const Client& client_;
  const InformerOptions options_;
  const ChangeHandler on_change_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any synced_changed_;
  Store store_;
  bool synced_ = false;
  std::jthread thread_;
};

}  // namespace imagebuild::kube
