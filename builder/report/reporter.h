// Tells the operator how a builder pod's work goes: progress on the way, and at the end all there is to say, three
// ways.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "api/told.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "builder/report/http_post.h"

namespace imagebuild::builder {

// For one thread. Nothing here fails: what cannot be told is, at most, a line on stderr.
class Reporter {
 public:
  static constexpr std::chrono::milliseconds kFinalWait{10'000};

  struct Options {
    std::string url, token;       // Both empty: no reports.
    std::string termination_log;  // A file that exists already; otherwise there is no termination message.
    int log_fd = 1;               // For the line of finish().
    int note_fd = 2;              // For what went wrong with telling.
  };
  // Replaced in tests. `post` and `sleep` are called by one thread at a time.
  struct Seams {
    // One attempt to send a body: the answer's HTTP status. Ends early when `stop` is requested.
    std::function<Result<int>(const std::string& json, std::chrono::milliseconds at_most, const std::stop_token& stop)>
        post;
    std::function<std::chrono::steady_clock::time_point()> now;
    std::function<void(std::chrono::milliseconds, const std::stop_token& stop)> sleep;
  };

  // With what the environment says (api/job.h), which is then forgotten so that no child sees it: call it while the
  // process has one thread. Without the variables and without /dev/termination-log it does nothing.
  static std::unique_ptr<Reporter> from_environment();

  explicit Reporter(Options options) : Reporter(std::move(options), Seams{}) {}
  Reporter(Options options, Seams seams);  // Seams that are empty are the real ones.
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;
  ~Reporter();  // Gives up what was not sent.

  // Sends `told` by and by, from a thread of its own: never waits. Only the newest is kept. Ignored after finish().
  void progress(const api::Told& told);
  // The end: writes the termination message, then, with `to_log`, the line of api::job::kToldPrefix on stdout, then
  // sends the report, again and again for at most kFinalWait.
  void finish(const api::Told& told, bool to_log);

 private:
  enum class Outcome { kTaken, kRefused, kAgain };

  Outcome attempt(const std::string& json, std::chrono::milliseconds at_most, const std::stop_token& stop);
  void send_progress(const std::stop_token& stop);
  void start_sender();
  void stop_sender();
  void send_final(const std::string& json, std::chrono::steady_clock::time_point end);
  void write_termination(const std::string& text) const;
  void note(std::string_view text) const;

  Options options_;
  Seams seams_;
  bool sends_ = false;
  bool finished_ = false;
  UniqueFd termination_;
  std::string trouble_;  // Why the last attempt came to nothing.

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<std::string> pending_;  // The newest progress that is not being sent yet. Guarded by mutex_.
  std::jthread sender_;
};

}  // namespace imagebuild::builder
