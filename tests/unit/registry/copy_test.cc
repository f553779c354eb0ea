#include "registry/copy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace imagebuild::registry {
namespace {

// Returns when it is told to stop, as a transfer has to.
Status until_stopped(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait(lock, stop, [] { return false; });
  return Error{ErrorCode::kCancelled, "stopped"};
}

TEST(RunParallel, RunsEverything) {
  std::atomic<int> done = 0;
  std::vector<Transfer> transfers(20, [&done](std::stop_token) {
    ++done;
    return ok();
  });
  EXPECT_TRUE(run_parallel(std::move(transfers), 3).ok());
  EXPECT_EQ(done, 20);
  EXPECT_TRUE(run_parallel({}, 3).ok());
}

TEST(RunParallel, RunsAsManyTogetherAsAllowedAndNoMore) {
  std::mutex mutex;
  std::condition_variable wake;
  int running = 0, most = 0;
  std::vector<Transfer> transfers(9, [&](std::stop_token) {
    std::unique_lock lock(mutex);
    most = std::max(most, ++running);
    wake.notify_all();
    // The first three wait for each other: they hang here if they are not run together.
    wake.wait(lock, [&] { return most == 3; });
    --running;
    return ok();
  });
  EXPECT_TRUE(run_parallel(std::move(transfers), 3).ok());
  EXPECT_EQ(most, 3);
}

TEST(RunParallel, StopsTheOthersAtTheFirstError) {
  std::atomic<int> started = 0;
  std::vector<Transfer> transfers;
  transfers.emplace_back(until_stopped);
  transfers.emplace_back([](std::stop_token) { return Status(Error{ErrorCode::kDenied, "the first error"}); });
  for (int i = 0; i < 10; ++i) {
    transfers.emplace_back([&started](std::stop_token stop) {
      ++started;
      return until_stopped(stop);
    });
  }
  const Status done = run_parallel(std::move(transfers), 2);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kDenied);
  EXPECT_EQ(done.error().message, "the first error");
  EXPECT_EQ(started, 0);
}

TEST(RunParallel, StopsWhenItIsToldTo) {
  const auto stop = std::make_unique<std::stop_source>();  // g++ 12 takes a local one for uninitialized.
  std::atomic<int> ran = 0;
  std::vector<Transfer> transfers(5, [&](std::stop_token token) {
    ++ran;
    stop->request_stop();
    return until_stopped(token);
  });
  const Status done = run_parallel(std::move(transfers), 1, stop->get_token());
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(ran, 1);
}

TEST(RunParallel, DoesNothingWhenItIsAlreadyStopped) {
  const auto stop = std::make_unique<std::stop_source>();  // g++ 12 takes a local one for uninitialized.
  stop->request_stop();
  std::vector<Transfer> transfers(2, [](std::stop_token) -> Status {
    ADD_FAILURE() << "was run";
    return ok();
  });
  const Status done = run_parallel(std::move(transfers), 2, stop->get_token());
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace imagebuild::registry
