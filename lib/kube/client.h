// A client of the Kubernetes API over the HttpTransport seam: JSON objects in and out, refusals as ApiError.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "http/retry.h"
#include "http/transport.h"
#include "http/url.h"
#include "kube/api_error.h"
#include "kube/credentials.h"
#include "kube/resource.h"

namespace imagebuild::kube {

struct ClientOptions {
  http::Url server;                         // "https://10.0.0.1:443", with a path if a proxy needs one.
  std::shared_ptr<TokenSource> token = {};  // Absent: no Authorization header (client certificates).
  std::string user_agent = "imagebuild";    // Also the default field manager on the server's side.
  http::Timeouts timeouts = {.connect = std::chrono::seconds(10), .idle = std::chrono::seconds(30)};
  http::RetryPolicy retry = {};  // For reads, replaces, applies and deletes, and for any 429.
  http::RetrySeams seams = {};
  std::uint64_t max_answer_bytes = 64ULL * 1024 * 1024;
  // Called for every try, by any thread: for rest_client_requests_total{method,code}. 0: there was no answer.
  std::function<void(const std::string& method, int code)> on_request = {};
};

struct ListOptions {
  std::string label_selector = {}, field_selector = {};
  int page_size = 500;                // At most so many objects in one answer; 0: all in one.
  std::string resource_version = {};  // "0": whatever the server's cache has; empty: the newest.
};

struct List {
  std::vector<Json> items;
  std::string resource_version;  // Where a watch goes on.
};

struct WatchRequest {
  std::string ns = {};  // Empty: all.
  std::string label_selector = {}, field_selector = {};
  std::string resource_version = {};  // Events behind this one.
  std::chrono::seconds timeout{300};  // When the server ends the stream by itself.
};

enum class PatchType { kJson, kMerge, kStrategicMerge };  // RFC 6902, RFC 7386, Kubernetes' own.

struct ApplyOptions {
  std::string field_manager;  // Required by the API.
  bool force = false;         // Take fields over from other managers instead of failing with a conflict.
  std::string subresource = {};
};

enum class Propagation { kServerDefault, kBackground, kForeground, kOrphan };

struct DeleteOptions {
  std::string uid = {}, resource_version = {};  // Preconditions; empty: none.
  Propagation propagation = Propagation::kServerDefault;
  std::optional<int> grace_seconds = {};
};

struct LogOptions {
  std::string container = {};
  int tail_lines = 0;                       // 0: from the beginning.
  std::uint64_t limit_bytes = 1024 * 1024;  // The server cuts there.
  bool previous = false;                    // Of the container's instance before this one.
};

// Threads may share one. `stop` ends any call with kCancelled. The transport outlives the client.
// Reads, update, apply and remove are sent again after network errors, 429 and 5xx; create and patch only after 429,
// because they may have happened: give what you create a name, and AlreadyExists tells.
class Client {
 public:
  Client(http::HttpTransport& transport, ClientOptions options);
  // The same server with other patience: for a lease, which must not wait longer than it lasts.
  Client with_patience(http::Timeouts timeouts, http::RetryPolicy retry) const;

  ApiResult<Json> get(const Resource& resource, const ObjectKey& key, std::stop_token stop = {}) const;
  // Every page of a namespace, or of all (`ns` empty). A continue token that expires on the way starts the list anew.
  ApiResult<List> list(const Resource& resource, const std::string& ns, const ListOptions& options = {},
                       std::stop_token stop = {}) const;
  // The same a page at a time, for lists whose whole JSON should not be in memory at once: `restart` is called before
  // the first page and again whenever the list starts anew, `item` for each object. Returns the resourceVersion.
  ApiResult<std::string> list_pages(const Resource& resource, const std::string& ns, const ListOptions& options,
                                    const std::function<void()>& restart, const std::function<void(Json)>& item,
                                    std::stop_token stop = {}) const;

  // The whole list in one answer from the server's cache: much less work for the server than pages, which it reads from
  // its store, but it may be a little behind. `item` gets each object's text while the answer arrives. Objects of some
  // resources do not say their kind there. For the first list of an informer.
  ApiResult<std::string> list_cached(const Resource& resource, const std::string& ns, const ListOptions& options,
                                     const std::function<void()>& restart,
                                     const std::function<void(std::string_view)>& item,
                                     std::stop_token stop = {}) const;

  // The object's metadata says namespace and name. What the server made of it is returned.
  ApiResult<Json> create(const Resource& resource, const Json& object, std::stop_token stop = {}) const;
  // Replaces; a resourceVersion in the object makes it conditional (is_conflict()).
  ApiResult<Json> update(const Resource& resource, const Json& object, std::stop_token stop = {}) const;
  ApiResult<Json> update_status(const Resource& resource, const Json& object, std::stop_token stop = {}) const;
  ApiResult<Json> patch(const Resource& resource, const ObjectKey& key, PatchType type, const Json& patch,
                        const std::string& subresource = {}, std::stop_token stop = {}) const;
  // Server-side apply: makes `object`'s fields so, creating it if need be, and owns them from then on.
  ApiResult<Json> apply(const Resource& resource, const Json& object, const ApplyOptions& options,
                        std::stop_token stop = {}) const;
  // kNotFound when it is gone already. An object with finalizers stays until they are done.
  ApiStatus remove(const Resource& resource, const ObjectKey& key, const DeleteOptions& options = {},
                   std::stop_token stop = {}) const;

  // The log of a pod's container so far.
  ApiResult<std::string> pod_log(const ObjectKey& pod, const LogOptions& options = {}, std::stop_token stop = {}) const;
  // GET of a path with its query ("/version", "/readyz?verbose").
  ApiResult<std::string> raw(const std::string& path_and_query, std::stop_token stop = {}) const;

  // Opens a watch; its body is one JSON event a line. The client's patience exceeds the server's `timeout` by 30 s.
  // Not retried: kube::Watch, which knows where to go on, does.
  ApiResult<std::unique_ptr<ByteSource>> open_watch(const Resource& resource, const WatchRequest& request,
                                                    std::stop_token stop) const;

 private:
  struct Call;
  ApiResult<std::string> text(const Call& call, std::stop_token stop) const;
  ApiResult<Json> json(const Call& call, std::stop_token stop) const;
  ApiResult<http::Response> send(const Call& call, std::stop_token stop) const;
  ApiResult<http::Response> send_once(const Call& call, std::stop_token stop) const;
  ApiResult<Json> write(const Resource& resource, const std::string& method, const Json& object,
                        const std::string& subresource, std::stop_token stop) const;

  http::HttpTransport* transport_;
  ClientOptions options_;
};

}  // namespace imagebuild::kube
