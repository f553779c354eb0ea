#include "kube/informer.h"

#include <limits>
#include <random>
#include <utility>

namespace imagebuild::kube {
namespace {

double chance(const http::RetrySeams& seams) {
  if (seams.random) return seams.random();
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.0, 1.0)(engine);
}

http::RetryPolicy never_giving_up(http::RetryPolicy policy) {
  policy.attempts = std::numeric_limits<int>::max();
  policy.longest_wish = std::chrono::hours(1);
  return policy;
}

}  // namespace

Informer::Informer(const Client& client, InformerOptions options, ChangeHandler on_change)
    : client_(client), options_(std::move(options)), on_change_(std::move(on_change)) {}

Informer::~Informer() {
  stop();
}

void Informer::start() {
  thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
}

void Informer::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Informer::run(std::stop_token stop) {
  http::Retrier retrier(never_giving_up(options_.backoff), options_.seams, stop);
  // Whatever went wrong, missing rights included, may be put right by somebody: wait and look again.
  const auto wait = [&](std::optional<std::chrono::milliseconds> wish) {
    return retrier.again(Error{ErrorCode::kUnavailable, ""}, wish);
  };
  std::string resource_version;
  bool from_cache = options_.first_from_cache;
  while (!stop.stop_requested()) {
    if (resource_version.empty()) {
      auto listed = relist(std::exchange(from_cache, false), stop);
      if (!listed.ok()) {
        if (stop.stop_requested()) return;
        report(listed.error());
        wait(listed.error().retry_after);
        continue;
      }
      resource_version = *std::move(listed);
    }
    bool made_progress = false;
    const Next next = watch(resource_version, made_progress, stop);
    if (next == Next::kStopped) return;
    if (next == Next::kListAgain) resource_version.clear();
    if (made_progress || next == Next::kEnded) retrier.reset();
    // Also after an end in order, in case a server ends every watch at once.
    if (!made_progress) wait({});
  }
}

ApiResult<std::string> Informer::relist(bool from_cache, const std::stop_token& stop) {
  Store fresh;
  const ListOptions list{.label_selector = options_.label_selector,
                         .field_selector = options_.field_selector,
                         .page_size = options_.page_size};
  const auto keep = [&](Object object) {
    if (object) fresh[key_of(*object)] = std::move(object);
  };
  const auto restart = [&] { fresh.clear(); };
  auto version = from_cache ? client_.list_cached(
                                  options_.resource, options_.ns, list, restart,
                                  [&](std::string_view text) { keep(read(text)); }, stop)
                            : client_.list_pages(
                                  options_.resource, options_.ns, list, restart,
                                  [&](Json object) { keep(projected(std::move(object))); }, stop);
  if (!version.ok()) return version;
  if (version->empty()) return Error{ErrorCode::kCorrupt, "the API server's list has no resourceVersion"};
  replace(std::move(fresh));
  return version;
}

// Null for what is no object.
Object Informer::read(std::string_view text) const {
  if (options_.project_text) {
    if (auto kept = options_.project_text(text)) return std::make_shared<const Json>(*std::move(kept));
  }
  Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) return nullptr;
  // Items of a list leave out what the list says for all of them.
  if (!object.contains("kind")) object["kind"] = options_.resource.kind;
  if (!object.contains("apiVersion")) object["apiVersion"] = options_.resource.api_version();
  return projected(std::move(object));
}

Informer::Next Informer::watch(std::string& resource_version, bool& made_progress, const std::stop_token& stop) {
  const double stretch = 1.0 + chance(options_.seams);
  const auto timeout = std::chrono::duration_cast<std::chrono::seconds>(options_.shortest_watch * stretch);
  const WatchRequest request{.ns = options_.ns,
                             .label_selector = options_.label_selector,
                             .field_selector = options_.field_selector,
                             .resource_version = resource_version,
                             .timeout = timeout};
  auto stream = Watch::open(client_, options_.resource, request, stop);
  const auto failed = [&](const ApiError& error) {
    if (stop.stop_requested()) return Next::kStopped;
    report(error);
    return error.is_gone() ? Next::kListAgain : Next::kBroke;
  };
  if (!stream.ok()) return failed(stream.error());
  while (true) {
    auto event = stream->next();
    if (!event.ok()) return failed(event.error());
    if (!*event) {
      return stop.stop_requested() ? Next::kStopped : Next::kEnded;
    }
    made_progress = true;
    WatchEvent& change = **event;
    if (change.type == WatchEvent::Type::kDeleted) {
      const ObjectKey key = key_of(change.object);
      drop(key, projected(std::move(change.object)));
    } else if (change.type != WatchEvent::Type::kBookmark) {
      put(projected(std::move(change.object)));
    }
    resource_version = stream->resource_version();
  }
}

Object Informer::projected(Json object) const {
  const Json before = {{"name", text_at(object, {"metadata", "name"})},
                       {"namespace", text_at(object, {"metadata", "namespace"})},
                       {"uid", uid_of(object)},
                       {"resourceVersion", resource_version_of(object)}};
  if (options_.project) {
    object = options_.project(std::move(object));
  } else if (object.contains("metadata")) {
    object["metadata"].erase("managedFields");
  }
  for (const auto& [name, value] : before.items()) {
    if (!value.get_ref<const std::string&>().empty()) object["metadata"][name] = value;
  }
  return std::make_shared<const Json>(std::move(object));
}

void Informer::replace(Store fresh) {
  Store before;
  {
    const std::lock_guard lock(mutex_);
    before = store_;
    store_ = fresh;
  }
  for (const auto& [key, object] : fresh) {
    const auto old = before.find(key);
    const Object was = old == before.end() ? nullptr : old->second;
    if (was && resource_version_of(*was) == resource_version_of(*object)) continue;
    // The same name for another object: the one before is gone.
    const bool another = was && uid_of(*was) != uid_of(*object);
    if (another) on_change_(was, nullptr);
    on_change_(another ? nullptr : was, object);
  }
  for (const auto& [key, object] : before) {
    if (!fresh.contains(key)) on_change_(object, nullptr);
  }
  const std::lock_guard lock(mutex_);
  synced_ = true;
  synced_changed_.notify_all();
}

void Informer::put(Object object) {
  Object before = object;
  {
    const std::lock_guard lock(mutex_);
    std::swap(store_[key_of(*object)], before);
  }
  on_change_(before, object);
}

void Informer::drop(const ObjectKey& key, Object last) {
  {
    const std::lock_guard lock(mutex_);
    if (store_.erase(key) == 0) return;
  }
  on_change_(last, nullptr);
}

void Informer::report(const ApiError& error) const {
  if (options_.on_error) options_.on_error(error);
}

bool Informer::has_synced() const {
  const std::lock_guard lock(mutex_);
  return synced_;
}

bool Informer::wait_for_sync(std::stop_token stop) const {
  std::unique_lock lock(mutex_);
  return synced_changed_.wait(lock, std::move(stop), [&] { return synced_; });
}

Object Informer::get(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = store_.find(key);
  return found == store_.end() ? nullptr : found->second;
}

std::vector<Object> Informer::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Object> objects;
  objects.reserve(store_.size());
  for (const auto& [key, object] : store_) objects.push_back(object);
  return objects;
}

std::size_t Informer::size() const {
  const std::lock_guard lock(mutex_);
  return store_.size();
}

}  // namespace imagebuild::kube
