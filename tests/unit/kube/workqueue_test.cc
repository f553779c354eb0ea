#include "kube/workqueue.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>

namespace imagebuild::kube {
namespace {

using namespace std::chrono_literals;

const ObjectKey kA{"ns", "a"}, kB{"ns", "b"};

class WorkQueueTest : public testing::Test {
 protected:
  WorkQueueOptions options() {
    WorkQueueOptions options;
    options.now = [this] { return now; };
    options.metrics.depth = [this](std::size_t keys) { depths.push_back(keys); };
    options.metrics.added = [this] { ++added; };
    options.metrics.retried = [this] { ++retried; };
    options.metrics.waited = [this](std::chrono::duration<double> time) { waited.push_back(time.count()); };
    options.metrics.worked = [this](std::chrono::duration<double> time) { worked.push_back(time.count()); };
    return options;
  }
  SteadyTime now{};
  std::vector<std::size_t> depths;
  std::vector<double> waited, worked;
  int added = 0, retried = 0;
  WorkQueue queue{options()};
};

TEST_F(WorkQueueTest, HandsKeysOutInOrder) {
  queue.add(kB);
  queue.add(kA);
  EXPECT_EQ(queue.take(), kB);
  EXPECT_EQ(queue.take(), kA);
  EXPECT_EQ(queue.try_take(), std::nullopt);
}

TEST_F(WorkQueueTest, HoldsAKeyOnceHoweverOftenItIsAdded) {
  for (int i = 0; i < 5; ++i) queue.add(kA);
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(added, 1);
}

TEST_F(WorkQueueTest, GivesAKeyToOneWorkerAtATimeAndAgainWhenItWasAddedMeanwhile) {
  queue.add(kA);
  ASSERT_EQ(queue.try_take(), kA);
  queue.add(kA);
  queue.add(kA);
  EXPECT_EQ(queue.try_take(), std::nullopt) << "two workers must not have one key";
  queue.done(kA);
  EXPECT_EQ(queue.try_take(), kA);
  queue.done(kA);
  EXPECT_EQ(queue.try_take(), std::nullopt);
}

TEST_F(WorkQueueTest, HoldsDelayedKeysBackUntilTheyAreDue) {
  queue.add_after(kA, 10s);
  EXPECT_EQ(queue.try_take(), std::nullopt);
  EXPECT_EQ(queue.next_due(), now + 10s);
  now += 9999ms;
  EXPECT_EQ(queue.try_take(), std::nullopt);
  now += 1ms;
  EXPECT_EQ(queue.try_take(), kA);
  EXPECT_EQ(queue.next_due(), std::nullopt);
}

TEST_F(WorkQueueTest, KeepsTheEarliestOfSeveralDelays) {
  queue.add_after(kA, 10s);
  queue.add_after(kA, 20s);
  EXPECT_EQ(queue.next_due(), now + 10s);
  queue.add_after(kA, 5s);
  EXPECT_EQ(queue.next_due(), now + 5s);
  EXPECT_EQ(queue.delayed(), 1U);
  now += 30s;
  EXPECT_EQ(queue.try_take(), kA);
  queue.done(kA);
  EXPECT_EQ(queue.try_take(), std::nullopt);
}

TEST_F(WorkQueueTest, AddsAtOnceWithoutADelay) {
  queue.add_after(kA, 0ms);
  EXPECT_EQ(queue.try_take(), kA);
}

TEST_F(WorkQueueTest, DoublesTheDelayOfAKeyThatFailsUntilItIsForgotten) {
  for (const auto expected : {5ms, 10ms, 20ms, 40ms}) {
    queue.add_rate_limited(kA);
    EXPECT_EQ(queue.next_due(), now + expected);
    now += expected;
    ASSERT_EQ(queue.try_take(), kA);
    queue.done(kA);
  }
  EXPECT_EQ(queue.failures(kA), 4);
  EXPECT_EQ(queue.failures(kB), 0);
  EXPECT_EQ(retried, 4);
  queue.forget(kA);
  queue.add_rate_limited(kA);
  EXPECT_EQ(queue.next_due(), now + 5ms);
}

TEST_F(WorkQueueTest, BoundsTheDelayOfAKeyThatNeverSucceeds) {
  for (int i = 0; i < 100; ++i) {
    queue.add_rate_limited(kA);
    now += 1h;
    ASSERT_EQ(queue.try_take(), kA);
    queue.done(kA);
  }
  queue.add_rate_limited(kA);
  EXPECT_EQ(queue.next_due(), now + 300s);
}

TEST_F(WorkQueueTest, MeasuresWaitingAndWork) {
  queue.add(kA);
  now += 2s;
  ASSERT_EQ(queue.try_take(), kA);
  now += 3s;
  EXPECT_DOUBLE_EQ(queue.running().sum.count(), 3.0);
  EXPECT_DOUBLE_EQ(queue.running().longest.count(), 3.0);
  queue.add(kB);
  ASSERT_EQ(queue.try_take(), kB);
  now += 1s;
  EXPECT_DOUBLE_EQ(queue.running().sum.count(), 5.0);
  EXPECT_DOUBLE_EQ(queue.running().longest.count(), 4.0);
  queue.done(kA);
  EXPECT_EQ(waited, (std::vector<double>{2.0, 0.0}));
  EXPECT_EQ(worked, (std::vector<double>{4.0}));
  EXPECT_EQ(depths, (std::vector<std::size_t>{1, 0, 1, 0}));
}

TEST_F(WorkQueueTest, IgnoresDoneForAKeyThatNobodyTook) {
  queue.done(kA);
  EXPECT_TRUE(worked.empty());
}

TEST_F(WorkQueueTest, HandsOutTheRestAfterShutDownAndNothingNew) {
  queue.add(kA);
  queue.add_after(kB, 1s);
  queue.shut_down();
  queue.add(kB);
  queue.add_after(kB, 0ms);
  queue.add_rate_limited(kB);
  EXPECT_EQ(queue.take(), kA);
  EXPECT_EQ(queue.take(), std::nullopt);
  EXPECT_TRUE(queue.shutting_down());
  EXPECT_EQ(queue.delayed(), 0U);
}

TEST_F(WorkQueueTest, WakesAWaitingWorkerWithAKey) {
  std::optional<ObjectKey> got;
  std::jthread worker([&] { got = queue.take(); });
  queue.add(kA);
  worker.join();
  EXPECT_EQ(got, kA);
}

TEST_F(WorkQueueTest, WakesWaitingWorkersWhenStopped) {
  const auto stop = std::make_unique<std::stop_source>();
  std::optional<ObjectKey> got = kA;
  std::jthread worker([&] { got = queue.take(stop->get_token()); });
  stop->request_stop();
  worker.join();
  EXPECT_EQ(got, std::nullopt);
}

TEST_F(WorkQueueTest, DrainsWhatIsBeingWorkedOn) {
  queue.add(kA);
  ASSERT_EQ(queue.try_take(), kA);
  queue.add(kA);  // Comes again after done().
  std::atomic<bool> drained = false;
  std::jthread drainer([&] {
    queue.drain();
    drained = true;
  });
  EXPECT_FALSE(drained);
  queue.done(kA);
  EXPECT_EQ(queue.take(), kA);
  EXPECT_FALSE(drained);
  queue.done(kA);
  drainer.join();
  EXPECT_TRUE(drained);
  EXPECT_EQ(queue.take(), std::nullopt);
}

// With the real clock: every key is worked on, none by two workers at once.
TEST(WorkQueueThreads, ServeEveryKeyAndNeverTheSameAtOnce) {
  WorkQueue queue;
  std::array<std::atomic<int>, 20> busy{}, served{};
  std::atomic<bool> clash = false;
  std::vector<std::jthread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      while (auto key = queue.take()) {
        const auto index = static_cast<std::size_t>(std::stoi(key->name));
        if (busy[index]++ != 0) clash = true;
        ++served[index];
        --busy[index];
        queue.done(*key);
      }
    });
  }
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 20; ++i) queue.add({"", std::to_string(i)});
  }
  queue.add_after({"", "0"}, 1ms);
  queue.drain();
  workers.clear();
  EXPECT_FALSE(clash);
  for (const auto& count : served) EXPECT_GE(count, 1);
}

}  // namespace
}  // namespace imagebuild::kube
