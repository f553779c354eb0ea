#include "kube/events.h"

#include <algorithm>
#include <cstdio>

#include "base/timestamp.h"

namespace imagebuild::kube {
namespace {

constexpr std::size_t kMaxNoteBytes = 1024, kMaxWordBytes = 128;

std::string cut(const std::string& text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t end = max_bytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // Not inside a UTF-8 character.
  return text.substr(0, end) + "...";
}

const char* text_of(EventType type) {
  return type == EventType::kWarning ? "Warning" : "Normal";
}

std::string namespace_of(const Event& event) {
  const std::string ns = text_at(event.regarding, {"namespace"});
  return ns.empty() ? "default" : ns;  // Where events about objects without a namespace go.
}

}  // namespace

Json reference_to(const Json& object) {
  Json reference = {{"apiVersion", text_at(object, {"apiVersion"})},
                    {"kind", text_at(object, {"kind"})},
                    {"name", text_at(object, {"metadata", "name"})},
                    {"uid", uid_of(object)}};
  if (const std::string ns = text_at(object, {"metadata", "namespace"}); !ns.empty()) reference["namespace"] = ns;
  return reference;
}

EventRecorder::EventRecorder(const Client& client, EventOptions options)
    : client_(client), options_(std::move(options)) {}

EventRecorder::~EventRecorder() {
  stop();
}

// A token bucket for each object.
bool EventRecorder::admit(const std::string& uid, WallTime now) {
  const auto [found, fresh] = buckets_.try_emplace(uid, Bucket{static_cast<double>(options_.burst), now});
  Bucket& bucket = found->second;
  if (!fresh && now > bucket.filled) {
    const std::chrono::duration<double> passed = now - bucket.filled;
    const std::chrono::duration<double> refill = options_.refill;
    bucket.tokens = std::min<double>(options_.burst, bucket.tokens + passed / refill);
    bucket.filled = now;
  }
  if (bucket.tokens < 1.0) return false;
  bucket.tokens -= 1.0;
  return true;
}

void EventRecorder::record(Event event) {
  event.note = cut(event.note, kMaxNoteBytes);
  event.reason = cut(event.reason, kMaxWordBytes);
  event.action = cut(event.action, kMaxWordBytes);
  const WallTime now = options_.now();
  const std::lock_guard lock(mutex_);
  if (!admit(text_at(event.regarding, {"uid"}), now)) {
    ++dropped_;
    return;
  }
  if (queue_.size() >= options_.max_queued) {
    queue_.pop_front();
    ++dropped_;
  }
  queue_.push_back({std::move(event), now});
  changed_.notify_all();
}

std::size_t EventRecorder::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void EventRecorder::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, stop, [&] { return !queue_.empty(); });
      }
      flush(stop);
    }
  });
}

void EventRecorder::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  flush();
}

void EventRecorder::flush(std::stop_token stop) {
  const std::lock_guard sending(sending_);
  while (!stop.stop_requested()) {
    Pending pending;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) break;
      pending = std::move(queue_.front());
      queue_.pop_front();
    }
    send(pending, stop);
  }
  forget_old(options_.now());
}

void EventRecorder::forget_old(WallTime now) {
  std::erase_if(series_, [&](const auto& entry) { return now - entry.second.last > options_.series_window; });
  const std::lock_guard lock(mutex_);
  const auto full_again = options_.refill * options_.burst;
  std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.filled > full_again; });
}

void EventRecorder::send(const Pending& pending, const std::stop_token& stop) {
  const Event& event = pending.event;
  const SeriesKey key{text_at(event.regarding, {"uid"}), event.type, event.reason, event.action, event.note};
  const auto known = series_.find(key);
  if (known != series_.end() && pending.when - known->second.last <= options_.series_window) {
    if (join_series(pending, known->second, stop)) return;
    series_.erase(known);  // It is gone on the server (events live an hour): begin anew.
  }
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(pending.when.time_since_epoch()).count();
  char suffix[48];
  std::snprintf(suffix, sizeof suffix, ".%llx%04llx", static_cast<unsigned long long>(micros),
                static_cast<unsigned long long>(++counter_ & 0xFFFFU));
  std::string name = text_at(event.regarding, {"name"});
  name.resize(std::min<std::size_t>(name.size(), 200));  // Names have at most 253 bytes.
  const ObjectKey object{namespace_of(event), name + suffix};
  if (create(pending, object, stop)) {
    series_[key] = {object, 1, pending.when, pending.when};
    return;
  }
  const std::lock_guard lock(mutex_);
  ++dropped_;
}

bool EventRecorder::create(const Pending& pending, const ObjectKey& name, const std::stop_token& stop) {
  if (!core_only_) {
    const auto created = client_.create(events(), new_style(pending, name), stop);
    if (created.ok()) return true;
    // Not found is either this API or the namespace; only the second try can tell.
    if (!created.error().is_not_found()) return false;
  }
  const bool created = client_.create(core_events(), core_style(pending, name), stop).ok();
  core_only_ = core_only_ || created;
  return created;
}

bool EventRecorder::join_series(const Pending& pending, Series& series, const std::stop_token& stop) {
  const long long count = series.count + 1;
  const std::string when = micro_time_text(pending.when);
  const Json patch = core_only_ ? Json{{"count", count}, {"lastTimestamp", time_text(pending.when)}}
                                : Json{{"series", {{"count", count}, {"lastObservedTime", when}}}};
  const auto patched =
      client_.patch(core_only_ ? core_events() : events(), series.event, PatchType::kMerge, patch, {}, stop);
  if (!patched.ok() && patched.error().is_not_found()) return false;
  series.count = count;
  series.last = pending.when;
  return true;
}

Json EventRecorder::new_style(const Pending& pending, const ObjectKey& name) const {
  return {{"apiVersion", "events.k8s.io/v1"},
          {"kind", "Event"},
          {"metadata", {{"namespace", name.ns}, {"name", name.name}}},
          {"eventTime", micro_time_text(pending.when)},
          {"reportingController", options_.controller},
          {"reportingInstance", cut(options_.instance, kMaxWordBytes)},
          {"action", pending.event.action},
          {"reason", pending.event.reason},
          {"regarding", pending.event.regarding},
          {"note", pending.event.note},
          {"type", text_of(pending.event.type)}};
}

Json EventRecorder::core_style(const Pending& pending, const ObjectKey& name) const {
  const std::string when = time_text(pending.when);
  return {{"apiVersion", "v1"},
          {"kind", "Event"},
          {"metadata", {{"namespace", name.ns}, {"name", name.name}}},
          {"firstTimestamp", when},
          {"lastTimestamp", when},
          {"count", 1},
          {"source", {{"component", options_.controller}}},
          {"reason", pending.event.reason},
          {"involvedObject", pending.event.regarding},
          {"message", pending.event.note},
          {"type", text_of(pending.event.type)}};
}

}  // namespace imagebuild::kube
