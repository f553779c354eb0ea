// The contract's cases about what a controller lives on: informers, leases, events, owners.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "kube/events.h"
#include "kube/informer.h"
#include "kube/lease.h"
#include "unit/kube/contract_things.h"

namespace imagebuild::kube::contract {

inline void bookmarks_move_past_what_is_not_selected(const Client& client, const std::string& ns) {
  const auto list = client.list(config_maps(), ns);
  ASSERT_API_OK(list);
  auto watch = watch_app_a(client, ns, *list, std::chrono::seconds(6));
  ASSERT_API_OK(watch);
  // Behind the watch's start: a server may tell nothing of what its watch began with.
  const auto other = client.create(config_maps(), config_map(ns, "other"));
  ASSERT_API_OK(other);
  int bookmarks = 0;
  while (true) {
    const auto event = watch->next();
    ASSERT_API_OK(event);
    if (!event->has_value()) break;
    EXPECT_EQ((**event).type, WatchEvent::Type::kBookmark);
    ++bookmarks;
  }
  EXPECT_GE(bookmarks, 1);
  // Versions are compared only here, to see that the bookmark is of use.
  EXPECT_GE(std::stoll(watch->resource_version()), std::stoll(resource_version_of(*other)));
}

// What handlers were told must add up to what is there, whatever the order in which requests met.
inline void tells_an_informer_of_everything(const Client& client, const std::string& ns) {
  constexpr int kThreads = 4, kEach = 75;
  std::mutex mutex;
  std::map<std::string, std::string> told;  // The version of each object by what handlers heard.
  int wrong = 0;
  Informer informer(client, {.resource = config_maps(), .ns = ns, .label_selector = "app"},
                    [&](const Object& before, const Object& now) {
                      const std::lock_guard lock(mutex);
                      const std::string name = key_of(before ? *before : *now).name;
                      const auto known = told.find(name);
                      if ((known != told.end()) != (before != nullptr)) ++wrong;
                      if (now) {
                        told[name] = resource_version_of(*now);
                      } else {
                        told.erase(name);
                      }
                    });
  informer.start();
  std::vector<std::jthread> writers;
  for (int thread = 0; thread < kThreads; ++thread) {
    writers.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        const std::string name = "m" + std::to_string(thread) + "-" + std::to_string(i);
        EXPECT_API_OK(client.create(config_maps(), config_map(ns, name)));
        if (i % 3 == 1) {
          EXPECT_API_OK(client.patch(config_maps(), {ns, name}, PatchType::kMerge, {{"data", {{"value", "two"}}}}));
        }
        if (i % 5 == 4) {
          EXPECT_API_OK(client.remove(config_maps(), {ns, name}));
        }
      }
    });
  }
  writers.clear();
  const auto list = client.list(config_maps(), ns, {.label_selector = "app", .page_size = 50});
  ASSERT_API_OK(list);
  std::map<std::string, std::string> there;
  for (const Json& object : list->items) there[key_of(object).name] = resource_version_of(object);
  EXPECT_EQ(there.size(), static_cast<std::size_t>(kThreads * kEach * 4 / 5));
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return told == there;
  }));
  EXPECT_EQ(informer.size(), there.size());
  informer.stop();
  EXPECT_EQ(wrong, 0) << "a handler heard of a change of an unknown object, or of a known one as new";
}

inline void lets_one_of_two_lead(const Client& client, const std::string& ns) {
  std::mutex mutex;
  std::vector<std::string> log;
  int leading = 0, most = 0;
  const auto elector = [&](const std::string& name) {
    LeaseOptions options{.lease = {ns, "leader"}, .identity = name};
    options.duration = std::chrono::seconds(4);
    options.renew_deadline = std::chrono::seconds(3);
    options.retry_period = std::chrono::milliseconds(200);
    return std::make_unique<LeaderElector>(client, options,
                                           LeaseCallbacks{.on_started =
                                                              [&, name] {
                                                                const std::lock_guard lock(mutex);
                                                                log.push_back(name + " started");
                                                                most = std::max(most, ++leading);
                                                              },
                                                          .on_stopped =
                                                              [&, name] {
                                                                const std::lock_guard lock(mutex);
                                                                log.push_back(name + " stopped");
                                                                --leading;
                                                              }});
  };
  const auto lines = [&] {
    const std::lock_guard lock(mutex);
    return log;
  };
  const auto a = elector("a"), b = elector("b");
  std::jthread first([&](std::stop_token stop) { (void)a->run(std::move(stop)); });
  ASSERT_TRUE(eventually([&] { return !lines().empty(); }));
  std::jthread second([&](std::stop_token stop) { (void)b->run(std::move(stop)); });
  // The one who waits has seen the lease change hands to nobody else by a few renewals.
  const auto before = client.get(leases(), {ns, "leader"});
  ASSERT_API_OK(before);
  EXPECT_TRUE(eventually([&] {
    const auto now = client.get(leases(), {ns, "leader"});
    return now.ok() && resource_version_of(*now) != resource_version_of(*before);
  }));
  EXPECT_EQ(lines(), (std::vector<std::string>{"a started"}));
  first.request_stop();
  first.join();
  EXPECT_TRUE(eventually([&] { return lines().size() == 3; }));
  second.request_stop();
  second.join();
  EXPECT_EQ(lines(), (std::vector<std::string>{"a started", "a stopped", "b started", "b stopped"}));
  EXPECT_EQ(most, 1);
  const auto lease = client.get(leases(), {ns, "leader"});
  ASSERT_API_OK(lease);
  EXPECT_EQ(text_at(*lease, {"spec", "holderIdentity"}), "");
  EXPECT_GE(number_at(*lease, {"spec", "leaseTransitions"}), 1);
}

inline void records_events_and_their_repeats(const Client& client, const std::string& ns) {
  const auto object = client.create(config_maps(), config_map(ns, "a"));
  ASSERT_API_OK(object);
  EventRecorder recorder(client, {.controller = "imagebuild.dev/operator", .instance = "one"});
  const Event event{.regarding = reference_to(*object),
                    .type = EventType::kWarning,
                    .reason = "StageFailed",
                    .action = "Build",
                    .note = "stage 'app' failed: \xc3\xa4"};
  for (int i = 0; i < 3; ++i) recorder.record(event);
  recorder.flush();
  EXPECT_EQ(recorder.dropped(), 0U);
  const auto list = client.list(events(), ns);
  ASSERT_API_OK(list);
  ASSERT_EQ(list->items.size(), 1U);
  const Json& stored = list->items.front();
  EXPECT_EQ(text_at(stored, {"reason"}), "StageFailed");
  EXPECT_EQ(text_at(stored, {"note"}), "stage 'app' failed: \xc3\xa4");
  EXPECT_EQ(text_at(stored, {"type"}), "Warning");
  EXPECT_EQ(text_at(stored, {"regarding", "uid"}), uid_of(*object));
  EXPECT_EQ(text_at(stored, {"reportingController"}), "imagebuild.dev/operator");
  EXPECT_EQ(number_at(stored, {"series", "count"}), 3);
}

// Owner and dependents, as a build owns its pods.
inline Json owned_by(const Json& owner, Json object) {
  object["metadata"]["ownerReferences"] = Json::array({{{"apiVersion", text_at(owner, {"apiVersion"})},
                                                        {"kind", text_at(owner, {"kind"})},
                                                        {"name", key_of(owner).name},
                                                        {"uid", uid_of(owner)},
                                                        {"controller", true},
                                                        {"blockOwnerDeletion", false}}});
  return object;
}

inline void removes_what_an_object_owned(const Client& client, const std::string& ns) {
  for (const Propagation how : {Propagation::kBackground, Propagation::kForeground}) {
    const auto owner = client.create(config_maps(), config_map(ns, "owner"));
    ASSERT_API_OK(owner);
    ASSERT_API_OK(client.create(config_maps(), owned_by(*owner, config_map(ns, "owned"))));
    ASSERT_API_OK(client.remove(config_maps(), {ns, "owner"}, {.propagation = how}));
    EXPECT_TRUE(eventually([&] {
      return !client.get(config_maps(), {ns, "owner"}).ok() && !client.get(config_maps(), {ns, "owned"}).ok();
    }));
  }
}

inline void keeps_what_becomes_an_orphan(const Client& client, const std::string& ns) {
  int attempt = 0;
  // A garbage collector that has not met the dependent yet overlooks it, and nothing tells when it has: try again.
  EXPECT_TRUE(eventually([&] {
    const std::string owner_name = "owner" + std::to_string(attempt), name = "owned" + std::to_string(attempt++);
    const auto owner = client.create(config_maps(), config_map(ns, owner_name));
    EXPECT_API_OK(owner);
    if (!owner.ok()) return true;
    EXPECT_API_OK(client.create(config_maps(), owned_by(*owner, config_map(ns, name))));
    EXPECT_API_OK(client.remove(config_maps(), {ns, owner_name}, {.propagation = Propagation::kOrphan}));
    EXPECT_TRUE(eventually([&] { return !client.get(config_maps(), {ns, owner_name}).ok(); }));
    const auto orphan = client.get(config_maps(), {ns, name});
    return orphan.ok() && at(*orphan, {"metadata", "ownerReferences"}).is_null();
  }));
}

}  // namespace imagebuild::kube::contract
