#include "fakes/fake_api_server.h"

#include <algorithm>

namespace imagebuild::fakes {
namespace {

// Only a broken test waits so long.
constexpr std::chrono::seconds kHangs{20};

ApiTarget target_of(const kube::Resource& resource, const kube::ObjectKey& key) {
  return {resource.group, resource.version, resource.namespaced ? key.ns : "", resource.plural, key.name, ""};
}

std::string value_or_empty(const std::map<std::string, std::string>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? "" : found->second;
}

bool is_watch(const ApiRequest& request) {
  const std::string value = value_or_empty(request.query, "watch");
  return request.method == "GET" && (value == "true" || value == "1");
}

std::string line_of(const std::string& type, const Json& object) {
  return Json{{"type", type}, {"object", object}}.dump() + "\n";
}

std::string last_lines(const std::string& text, std::size_t lines) {
  std::size_t begin = text.size();
  if (begin > 0 && text[begin - 1] == '\n') --begin;
  for (; lines > 0 && begin != std::string::npos && begin > 0; --lines) begin = text.rfind('\n', begin - 1);
  return begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
}

}  // namespace

FakeApiServer::FakeApiServer(FakeApiOptions options) : options_(std::move(options)) {
  server_ = std::make_unique<HttpServer>([this](Exchange& exchange) { handle(exchange); }, options_.identity);
}

FakeApiServer::~FakeApiServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  server_.reset();
}

// ------------------------------------------------------------------------------------------------- for the test itself
Json FakeApiServer::put(const kube::Resource& resource, Json object) {
  const std::lock_guard lock(mutex_);
  if (!object.contains("kind")) object["kind"] = resource.kind;
  if (!object.contains("apiVersion")) object["apiVersion"] = resource.api_version();
  ApiTarget target = target_of(resource, kube::key_of(object));
  const Json status = kube::at(object, {"status"});
  ApiAnswer answer;
  if (const ApiAnswer before = store_.get(target); before.status == 200) {
    object["metadata"]["resourceVersion"] = kube::resource_version_of(before.body);
    answer = store_.update(target, object, "");
  } else {
    ApiTarget collection = target;
    collection.name.clear();
    answer = store_.create(collection, object, "");
  }
  if (answer.status < 300 && !status.is_null()) {
    target.subresource = "status";
    answer = store_.update(
        target,
        [&] {
          Json with_status = answer.body;
          with_status["status"] = status;
          return with_status;
        }(),
        "");
  }
  changed_.notify_all();
  return answer.body;
}

std::optional<Json> FakeApiServer::find(const kube::Resource& resource, const kube::ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  ApiAnswer answer = store_.get(target_of(resource, key));
  if (answer.status != 200) return {};
  return std::move(answer.body);
}

std::vector<Json> FakeApiServer::all(const kube::Resource& resource, const std::string& ns) const {
  const std::lock_guard lock(mutex_);
  return store_.objects(target_of(resource, {}).collection(), ns);
}

bool FakeApiServer::remove(const kube::Resource& resource, const kube::ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  const bool removed = store_.remove(target_of(resource, key), Json::object()).status == 200;
  changed_.notify_all();
  return removed;
}

void FakeApiServer::set_log(const kube::ObjectKey& pod, const std::string& container, std::string log) {
  const std::lock_guard lock(mutex_);
  logs_[pod.str() + "/" + container] = std::move(log);
}

void FakeApiServer::require_token(std::set<std::string> tokens) {
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(tokens);
}

void FakeApiServer::miss_group(const std::string& group) {
  const std::lock_guard lock(mutex_);
  missing_groups_.insert(group);
}

void FakeApiServer::set_validator(FakeApiStore::Validator validator) {
  const std::lock_guard lock(mutex_);
  store_.validator = std::move(validator);
}

void FakeApiServer::inject(ApiFault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FakeApiServer::compact() {
  const std::lock_guard lock(mutex_);
  store_.compact();
}

void FakeApiServer::end_watches() {
  const std::lock_guard lock(mutex_);
  ++ended_;
  changed_.notify_all();
}

void FakeApiServer::break_watches() {
  const std::lock_guard lock(mutex_);
  ++broken_;
  changed_.notify_all();
}

void FakeApiServer::send_bookmarks() {
  const std::lock_guard lock(mutex_);
  ++bookmarked_;
  changed_.notify_all();
}

std::vector<ApiRequest> FakeApiServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

int FakeApiServer::count_locked(const std::string& method, const std::string& text) const {
  return static_cast<int>(std::count_if(requests_.begin(), requests_.end(), [&](const ApiRequest& request) {
    std::string where = request.path + "?";
    for (const auto& [name, value] : request.query) where.append(name).append("=").append(value).append("&");
    return (is_watch(request) ? "WATCH" : request.method) == method && where.find(text) != where.npos;
  }));
}

int FakeApiServer::count(const std::string& method, const std::string& text) const {
  const std::lock_guard lock(mutex_);
  return count_locked(method, text);
}

bool FakeApiServer::wait_for_count(const std::string& method, const std::string& text, int at_least) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kHangs, [&] { return count_locked(method, text) >= at_least; });
}

bool FakeApiServer::wait_for_watchers(int watchers) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kHangs, [&] { return watchers_ >= watchers; });
}

// ------------------------------------------------------------------------------------------------------- one request
std::optional<ApiFault> FakeApiServer::take_fault(const ApiRequest& request) {
  const auto hit = std::find_if(faults_.begin(), faults_.end(), [&](const ApiFault& fault) {
    return (fault.method.empty() || fault.method == request.method) &&
           request.path.find(fault.path_contains) != request.path.npos && (!fault.watches_only || is_watch(request));
  });
  if (hit == faults_.end()) return {};
  ApiFault fault = *hit;
  if (--hit->times <= 0) faults_.erase(hit);
  return fault;
}

void FakeApiServer::finish(ApiRequest request, int status) {
  const std::lock_guard lock(mutex_);
  request.status = status;
  requests_.push_back(std::move(request));
  changed_.notify_all();
}

ApiAnswer FakeApiServer::answer(const ApiRequest& request, const ApiTarget& target) {
  const std::lock_guard lock(mutex_);
  const Json body = Json::parse(request.body, nullptr, false);
  std::string manager = value_or_empty(request.query, "fieldManager");
  const bool applies = request.content_type.starts_with("application/apply-patch");
  if (manager.empty() && !applies) manager = request.user_agent.substr(0, request.user_agent.find('/'));
  ApiAnswer result = refusal(405, "MethodNotAllowed", "the server does not allow this method on this resource");
  if (!request.body.empty() && body.is_discarded()) {
    result = refusal(400, "BadRequest", "the body is not JSON");
  } else if (!target.subresource.empty() && target.subresource != "status") {
    result = refusal(404, "NotFound", "the server could not find the requested resource");
  } else if (request.method == "GET" && target.name.empty()) {
    const ApiSelector selector{value_or_empty(request.query, "labelSelector"),
                               value_or_empty(request.query, "fieldSelector")};
    const auto limit = static_cast<std::size_t>(std::atoll(value_or_empty(request.query, "limit").c_str()));
    result = store_.list(target, selector, limit, value_or_empty(request.query, "continue"));
  } else if (request.method == "GET") {
    result = store_.get(target);
  } else if (request.method == "POST" && target.name.empty()) {
    result = store_.create(target, body, manager);
  } else if (request.method == "PUT") {
    result = store_.update(target, body, manager);
  } else if (request.method == "PATCH") {
    result =
        store_.patch(target, request.content_type, body, manager, value_or_empty(request.query, "force") == "true");
  } else if (request.method == "DELETE" && !target.name.empty()) {
    result = store_.remove(target, body);
  }
  changed_.notify_all();
  return result;
}

std::optional<std::string> FakeApiServer::log_of(const ApiRequest& request, const ApiTarget& target) const {
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(target.ns + "/" + target.name + "/" + value_or_empty(request.query, "container"));
  if (found == logs_.end()) return {};
  std::string log = found->second;
  if (const auto lines = std::atoll(value_or_empty(request.query, "tailLines").c_str()); lines > 0) {
    log = last_lines(log, static_cast<std::size_t>(lines));
  }
  if (const auto limit = std::atoll(value_or_empty(request.query, "limitBytes").c_str()); limit > 0) {
    log.resize(std::min(log.size(), static_cast<std::size_t>(limit)));
  }
  return log;
}

void FakeApiServer::handle(Exchange& exchange) {
  ApiRequest request{exchange.method,
                     exchange.path,
                     exchange.headers.find("Content-Type").value_or(""),
                     exchange.headers.find("User-Agent").value_or(""),
                     exchange.read_body(),
                     exchange.query,
                     0};
  const auto say = [&](const ApiAnswer& answer, const http::Headers& more = {}) {
    http::Headers headers = more;
    headers.set("Content-Type", "application/json");
    finish(request, answer.status);
    exchange.respond(answer.status, headers, answer.body.dump());
  };
  const auto target = ApiTarget::parse(request.path);
  std::optional<ApiFault> fault;
  bool welcome = true, missing = false;
  {
    const std::lock_guard lock(mutex_);
    fault = take_fault(request);
    const std::string authorization = exchange.headers.find("Authorization").value_or("");
    welcome = tokens_.empty() || (authorization.starts_with("Bearer ") && tokens_.contains(authorization.substr(7)));
    missing = target && missing_groups_.contains(target->group);
  }
  if (fault && fault->drop_after && target) (void)answer(request, *target);
  if (fault && (fault->drop || fault->drop_after || fault->hang)) {
    finish(request, 0);
    return fault->hang ? exchange.hang() : exchange.drop();
  }
  if (fault && !fault->stream.empty()) {
    finish(request, 200);
    exchange.begin(200, {{"Content-Type", "application/json"}}, {});
    exchange.write_chunk(fault->stream);
    return exchange.write_chunk("");
  }
  if (fault && fault->status != 0) {
    http::Headers headers;
    if (!fault->retry_after.empty()) headers.set("Retry-After", fault->retry_after);
    return say(refusal(fault->status, fault->reason, "the test wants it so"), headers);
  }
  if (!welcome) return say(refusal(401, "Unauthorized", "Unauthorized"));
  if (request.path == "/version") return say({200, {{"major", "1"}, {"minor", "30"}, {"gitVersion", "v1.30.0"}}});
  if (!target || missing) {
    return say(refusal(404, "NotFound", "the server could not find the requested resource"));
  }
  if (is_watch(request)) {
    const ApiSelector selector{value_or_empty(request.query, "labelSelector"),
                               value_or_empty(request.query, "fieldSelector")};
    finish(request, 200);
    return watch(exchange, *target, selector);
  }
  if (target->subresource == "log") {
    const auto log = log_of(request, *target);
    if (!log) return say(refusal(404, "NotFound", "pods \"" + target->name + "\" not found"));
    finish(request, 200);
    return exchange.respond(200, {{"Content-Type", "text/plain"}}, *log);
  }
  say(answer(request, *target));
}

// ------------------------------------------------------------------------------------------------------------ watches
void FakeApiServer::watch(Exchange& exchange, const ApiTarget& target, const ApiSelector& selector) {
  exchange.begin(200, {{"Content-Type", "application/json"}}, {});
  const bool bookmarks = value_or_empty(exchange.query, "allowWatchBookmarks") == "true";
  const long long asked = std::atoll(value_or_empty(exchange.query, "timeoutSeconds").c_str());
  const auto deadline = std::chrono::steady_clock::now() + options_.watch_second * (asked > 0 ? asked : 1800);
  long long seen = std::atoll(value_or_empty(exchange.query, "resourceVersion").c_str());

  std::unique_lock lock(mutex_);
  const auto send = [&](const std::string& text) {
    lock.unlock();
    exchange.write_chunk(text);
    lock.lock();
  };
  const auto bookmark = [&] {
    const Json object = {{"kind", "Bookmark"}, {"metadata", {{"resourceVersion", std::to_string(seen)}}}};
    send(line_of("BOOKMARK", object));
  };
  if (seen != 0 && seen < store_.compacted()) {
    send(line_of("ERROR", refusal(410, "Expired", "too old resource version").body));
    lock.unlock();
    return exchange.write_chunk("");
  }
  if (seen == 0) {
    seen = store_.version();
    for (const Json& object : store_.objects(target.collection(), target.ns)) {
      if (selector.matches(object)) send(line_of("ADDED", object));
    }
  }
  const int ended = ended_, broken = broken_;
  int bookmarked = bookmarked_;
  const auto awaited = [&] {
    return stopping_ || ended_ != ended || broken_ != broken || bookmarked_ != bookmarked || store_.version() > seen;
  };
  ++watchers_;
  changed_.notify_all();
  bool dropped = false;
  while (true) {
    const bool in_time = changed_.wait_until(lock, deadline, awaited);
    std::string text;
    const std::vector<ApiChange>& history = store_.history();
    for (auto at = std::ranges::upper_bound(history, seen, {}, &ApiChange::version); at != history.end(); ++at) {
      const ApiChange& change = *at;
      if (change.collection != target.collection()) continue;
      if (const auto event = FakeApiStore::event_of(change, target.ns, selector)) text += event->dump() + "\n";
    }
    seen = store_.version();
    if (!text.empty()) send(text);
    if (bookmarked_ != bookmarked && bookmarks) bookmark();
    bookmarked = bookmarked_;
    dropped = broken_ != broken;
    if (!in_time && bookmarks) bookmark();  // As the real one does before it ends a watch.
    if (!in_time || dropped || stopping_ || ended_ != ended) break;
  }
  --watchers_;
  changed_.notify_all();
  lock.unlock();
  if (!dropped) return exchange.write_chunk("");
  exchange.write_chunk("{\"type\":\"ADDED\",\"obj");
  exchange.drop();
}

}  // namespace imagebuild::fakes
