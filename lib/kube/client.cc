#include "kube/client.h"

#include <algorithm>
#include <span>
#include <utility>

#include "kube/json_text.h"

namespace imagebuild::kube {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kMaxErrorBytes = 1024 * 1024;
constexpr int kListRestarts = 3;
constexpr std::chrono::seconds kBeyondWatchTimeout{30};

const char* content_type_of(PatchType type) {
  switch (type) {
    case PatchType::kJson:
      return "application/json-patch+json";
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kStrategicMerge:
      return "application/strategic-merge-patch+json";
  }
  std::abort();
}

const char* text_of(Propagation propagation) {
  switch (propagation) {
    case Propagation::kServerDefault:
      return "";
    case Propagation::kBackground:
      return "Background";
    case Propagation::kForeground:
      return "Foreground";
    case Propagation::kOrphan:
      return "Orphan";
  }
  std::abort();
}

Json delete_body(const DeleteOptions& options) {
  Json body = {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) body["preconditions"]["resourceVersion"] = options.resource_version;
  if (options.propagation != Propagation::kServerDefault) body["propagationPolicy"] = text_of(options.propagation);
  if (options.grace_seconds) body["gracePeriodSeconds"] = *options.grace_seconds;
  return body;
}

// What is left of the answer besides the items.
Result<std::string> take_apart(ByteSource& body, ListText& list) {
  std::string piece(64 * 1024, '\0');
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t count, body.read(std::as_writable_bytes(std::span(piece))));
    if (count == 0) return list.finish();
    RETURN_IF_ERROR(list.take(std::string_view(piece).substr(0, count)));
  }
}

std::string described(const std::string& verb, const Resource& resource, const ObjectKey& key) {
  const std::string object = key.str();
  return verb + " " + resource.plural + (object.empty() ? "" : " " + object);
}

}  // namespace

// One thing to ask, whole.
struct Client::Call {
  std::string method;
  std::string path;
  std::vector<std::pair<std::string, std::string>> query = {};
  std::string body = {};
  std::string content_type = {};
  std::string doing = {};  // For messages.
  bool repeatable = true;
  std::optional<http::Timeouts> timeouts = {};

  void add(const std::string& name, const std::string& value) {
    if (!value.empty()) query.emplace_back(name, value);
  }
};

Client::Client(http::HttpTransport& transport, ClientOptions options)
    : transport_(&transport), options_(std::move(options)) {}

Client Client::with_patience(http::Timeouts timeouts, http::RetryPolicy retry) const {
  Client copy = *this;
  copy.options_.timeouts = timeouts;
  copy.options_.retry = retry;
  return copy;
}

ApiResult<http::Response> Client::send_once(const Call& call, std::stop_token stop) const {
  std::string base = options_.server.path();
  while (base.ends_with('/')) base.pop_back();
  ASSIGN_OR_RETURN(http::Url url, http::Url::parse(options_.server.origin() + base + call.path));
  for (const auto& [name, value] : call.query) url = url.with_query(name, value);
  http::Request request{.method = call.method, .url = std::move(url)};
  request.timeouts = call.timeouts.value_or(options_.timeouts);
  request.headers.set("User-Agent", options_.user_agent);
  request.headers.set("Accept", call.path.ends_with("/log") ? "*/*" : "application/json");
  if (options_.token) {
    ASSIGN_OR_RETURN(const std::string token, options_.token->token());
    request.headers.set("Authorization", "Bearer " + token);
  }
  if (!call.content_type.empty()) {
    request.headers.set("Content-Type", call.content_type);
    request.body = http::RequestBody::of(call.body);
  }
  auto response = transport_->send(request, std::move(stop));
  if (options_.on_request) options_.on_request(call.method, response.ok() ? response->status : 0);
  if (!response.ok()) return response.error().in("the API server");
  return std::move(response).value();
}

// Until there is an answer below 400 or a final refusal, which becomes an ApiError.
ApiResult<http::Response> Client::send(const Call& call, std::stop_token stop) const {
  http::Retrier retrier(options_.retry, options_.seams, stop);
  bool token_renewed = false;
  while (true) {
    auto response = send_once(call, stop);
    if (!response.ok()) {
      if (call.repeatable && retrier.again(response.error())) continue;
      if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
      return response;
    }
    if (response->status < 400) return response;
    const int status = response->status;
    const auto wish = retrier.wish_of(*response);
    const auto body = read_all(*response->body, kMaxErrorBytes);
    ApiError error = error_from_answer(status, body.ok() ? *body : std::string(), call.doing);
    if (wish) error.retry_after = wish;
    if (status == 401 && options_.token && !token_renewed) {
      token_renewed = true;
      options_.token->refused();
      continue;
    }
    // 429 means that nothing was done, so anything may be sent again.
    const bool may_repeat = status == 429 || (call.repeatable && http::is_transient(status));
    if (may_repeat && retrier.again(Error{ErrorCode::kUnavailable, ""}, error.retry_after)) continue;
    if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    return error;
  }
}

ApiResult<std::string> Client::text(const Call& call, std::stop_token stop) const {
  http::Retrier retrier(options_.retry, options_.seams, stop);
  while (true) {
    ASSIGN_OR_RETURN(http::Response response, send(call, stop));
    auto body = read_all(*response.body, options_.max_answer_bytes);
    if (body.ok()) return *std::move(body);
    if (!call.repeatable || !retrier.again(body.error())) return body.error().in("cannot " + call.doing);
  }
}

ApiResult<Json> Client::json(const Call& call, std::stop_token stop) const {
  ASSIGN_OR_RETURN(const std::string body, text(call, std::move(stop)));
  Json parsed = Json::parse(body, nullptr, false);
  if (!parsed.is_object()) {
    return Error{ErrorCode::kCorrupt, "cannot " + call.doing + ": the API server's answer is not a JSON object"};
  }
  return parsed;
}

ApiResult<Json> Client::get(const Resource& resource, const ObjectKey& key, std::stop_token stop) const {
  return json({.method = "GET", .path = resource.path(key.ns, key.name), .doing = described("get", resource, key)},
              std::move(stop));
}

ApiResult<std::string> Client::list_pages(const Resource& resource, const std::string& ns, const ListOptions& options,
                                          const std::function<void()>& restart, const std::function<void(Json)>& item,
                                          std::stop_token stop) const {
  std::string next;
  int restarts = 0, page_size = options.page_size;
  restart();
  while (true) {
    Call call{.method = "GET", .path = resource.path(ns), .doing = described("list", resource, {ns, ""})};
    call.add("labelSelector", options.label_selector);
    call.add("fieldSelector", options.field_selector);
    // After several expired tokens the list is asked for in one piece: pages expire faster than they are read.
    const bool paged = page_size > 0 && restarts < kListRestarts;
    if (paged) call.add("limit", std::to_string(page_size));
    if (next.empty()) call.add("resourceVersion", options.resource_version);
    call.add("continue", next);
    auto page = json(call, stop);
    if (!page.ok()) {
      if (page.error().code == ErrorCode::kLimit && paged && page_size > 1) {
        page_size = std::max(1, page_size / 4);  // Objects are larger than expected.
        continue;
      }
      if (!page.error().is_gone() || next.empty()) return page.error();
      ++restarts;
      next.clear();
      restart();
      continue;
    }
    Json& items = (*page)["items"];
    if (!items.is_array() && !items.is_null()) {
      return Error{ErrorCode::kCorrupt, "cannot " + call.doing + ": the answer has no list of items"};
    }
    for (Json& object : items) {
      // Items of a list leave out what the list says for all of them.
      if (!object.is_object()) continue;
      if (!object.contains("kind")) object["kind"] = resource.kind;
      if (!object.contains("apiVersion")) object["apiVersion"] = resource.api_version();
      item(std::move(object));
    }
    next = text_at(*page, {"metadata", "continue"});
    if (next.empty()) return resource_version_of(*page);
  }
}

ApiResult<std::string> Client::list_cached(const Resource& resource, const std::string& ns, const ListOptions& options,
                                           const std::function<void()>& restart,
                                           const std::function<void(std::string_view)>& item,
                                           std::stop_token stop) const {
  Call call{.method = "GET", .path = resource.path(ns), .doing = described("list", resource, {ns, ""})};
  call.add("labelSelector", options.label_selector);
  call.add("fieldSelector", options.field_selector);
  call.add("resourceVersion", "0");
  http::Retrier retrier(options_.retry, options_.seams, stop);
  while (true) {
    restart();
    ASSIGN_OR_RETURN(const http::Response response, send(call, stop));
    ListText text(item);
    const Result<std::string> rest = take_apart(*response.body, text);
    if (!rest.ok()) {
      if (retrier.again(rest.error())) continue;
      return rest.error().in("cannot " + call.doing);
    }
    const Json list = Json::parse(*rest, nullptr, false);
    if (!list.is_object()) {
      return Error{ErrorCode::kCorrupt, "cannot " + call.doing + ": the API server's answer is not a JSON object"};
    }
    return resource_version_of(list);
  }
}

ApiResult<List> Client::list(const Resource& resource, const std::string& ns, const ListOptions& options,
                             std::stop_token stop) const {
  List list;
  ASSIGN_OR_RETURN(list.resource_version,
                   list_pages(
                       resource, ns, options, [&] { list.items.clear(); },
                       [&](Json object) { list.items.push_back(std::move(object)); }, std::move(stop)));
  return list;
}

ApiResult<Json> Client::create(const Resource& resource, const Json& object, std::stop_token stop) const {
  const ObjectKey key = key_of(object);
  return json({.method = "POST",
               .path = resource.path(key.ns),
               .body = object.dump(-1, ' ', false, Json::error_handler_t::replace),
               .content_type = "application/json",
               .doing = described("create", resource, key),
               .repeatable = false},
              std::move(stop));
}

ApiResult<Json> Client::write(const Resource& resource, const std::string& method, const Json& object,
                              const std::string& subresource, std::stop_token stop) const {
  const ObjectKey key = key_of(object);
  return json({.method = method,
               .path = resource.path(key.ns, key.name, subresource),
               .body = object.dump(-1, ' ', false, Json::error_handler_t::replace),
               .content_type = "application/json",
               .doing = described("update", resource, key)},
              std::move(stop));
}

ApiResult<Json> Client::update(const Resource& resource, const Json& object, std::stop_token stop) const {
  return write(resource, "PUT", object, "", std::move(stop));
}

ApiResult<Json> Client::update_status(const Resource& resource, const Json& object, std::stop_token stop) const {
  return write(resource, "PUT", object, "status", std::move(stop));
}

ApiResult<Json> Client::patch(const Resource& resource, const ObjectKey& key, PatchType type, const Json& patch,
                              const std::string& subresource, std::stop_token stop) const {
  return json({.method = "PATCH",
               .path = resource.path(key.ns, key.name, subresource),
               .body = patch.dump(-1, ' ', false, Json::error_handler_t::replace),
               .content_type = content_type_of(type),
               .doing = described("patch", resource, key),
               .repeatable = false},
              std::move(stop));
}

ApiResult<Json> Client::apply(const Resource& resource, const Json& object, const ApplyOptions& options,
                              std::stop_token stop) const {
  const ObjectKey key = key_of(object);
  Call call{.method = "PATCH",
            .path = resource.path(key.ns, key.name, options.subresource),
            .body = object.dump(-1, ' ', false, Json::error_handler_t::replace),
            .content_type = "application/apply-patch+yaml",  // JSON is YAML.
            .doing = described("apply", resource, key)};
  call.add("fieldManager", options.field_manager);
  if (options.force) call.add("force", "true");
  return json(call, std::move(stop));
}

ApiStatus Client::remove(const Resource& resource, const ObjectKey& key, const DeleteOptions& options,
                         std::stop_token stop) const {
  const auto answer = text({.method = "DELETE",
                            .path = resource.path(key.ns, key.name),
                            .body = delete_body(options).dump(),
                            .content_type = "application/json",
                            .doing = described("delete", resource, key)},
                           std::move(stop));
  if (!answer.ok()) return answer.error();
  return std::monostate{};
}

ApiResult<std::string> Client::pod_log(const ObjectKey& pod, const LogOptions& options, std::stop_token stop) const {
  Call call{.method = "GET",
            .path = pods().path(pod.ns, pod.name, "log"),
            .doing = described("read the log of", pods(), pod)};
  call.add("container", options.container);
  if (options.tail_lines > 0) call.add("tailLines", std::to_string(options.tail_lines));
  call.add("limitBytes", std::to_string(options.limit_bytes));
  if (options.previous) call.add("previous", "true");
  return text(call, std::move(stop));
}

ApiResult<std::string> Client::raw(const std::string& path_and_query, std::stop_token stop) const {
  return text({.method = "GET", .path = path_and_query, .doing = "get " + path_and_query}, std::move(stop));
}

ApiResult<std::unique_ptr<ByteSource>> Client::open_watch(const Resource& resource, const WatchRequest& request,
                                                          std::stop_token stop) const {
  Call call{
      .method = "GET", .path = resource.path(request.ns), .doing = described("watch", resource, {request.ns, ""})};
  call.add("watch", "true");
  call.add("allowWatchBookmarks", "true");
  call.add("labelSelector", request.label_selector);
  call.add("fieldSelector", request.field_selector);
  call.add("resourceVersion", request.resource_version);
  call.add("timeoutSeconds", std::to_string(request.timeout.count()));
  call.timeouts = {.connect = options_.timeouts.connect, .idle = request.timeout + kBeyondWatchTimeout};
  ASSIGN_OR_RETURN(http::Response response, send_once(call, std::move(stop)));
  if (response.status < 400) return std::move(response.body);
  if (response.status == 401 && options_.token) options_.token->refused();
  const auto body = read_all(*response.body, kMaxErrorBytes);
  ApiError error = error_from_answer(response.status, body.ok() ? *body : std::string(), call.doing);
  if (const auto wish = response.headers.find("Retry-After")) {
    error.retry_after = http::parse_retry_after(*wish, options_.seams.now());
  }
  return error;
}

}  // namespace imagebuild::kube
