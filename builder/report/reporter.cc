#include "builder/report/reporter.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "api/job.h"
#include "base/file.h"

namespace imagebuild::builder {
namespace {

namespace job = api::job;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{2'000};
constexpr milliseconds kProgressTime{10'000};  // One attempt to send progress.

// The value of an environment variable, which is then gone: from the environment of later children, and from what
// others may read in /proc/<pid>/environ, where the initial strings lie.
std::string take_variable(const char* name) {
  char* value = ::getenv(name);  // NOLINT(concurrency-mt-unsafe): see from_environment().
  if (value == nullptr) return {};
  std::string copy = value;
  ::explicit_bzero(value, copy.size());
  ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe)
  return copy;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// Kept open from the start: what a step does to the path later does not matter.
UniqueFd open_termination_log(const std::string& path) {
  if (path.empty()) return UniqueFd();
  auto fd = open_file(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat stat = {};
  if (!fd.ok() || ::fstat(fd->get(), &stat) != 0 || !S_ISREG(stat.st_mode)) return UniqueFd();
  return std::move(*fd);
}

void sleep_until_stopped(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

std::unique_ptr<Reporter> Reporter::from_environment() {
  Options options;
  options.url = take_variable(job::kReportUrl);
  options.token = take_variable(job::kReportToken);
  options.termination_log = job::kTerminationLog;
  return std::make_unique<Reporter>(std::move(options));
}

Reporter::Reporter(Options options, Seams seams)
    : options_(std::move(options)),
      seams_(std::move(seams)),
      termination_(open_termination_log(options_.termination_log)) {
  if (!seams_.now) seams_.now = steady_clock::now;
  if (!seams_.sleep) seams_.sleep = sleep_until_stopped;
  if (options_.url.empty() && options_.token.empty()) return;
  const auto endpoint = HttpEndpoint::parse(options_.url);
  if (!endpoint.ok() || options_.token.empty()) {
    const std::string why = endpoint.ok() ? "the token is missing" : endpoint.error().message;
    note("no reports are sent to '" + options_.url.substr(0, 200) + "': " + why);
    return;
  }
  sends_ = true;
  if (seams_.post) return;
  seams_.post = [to = *endpoint, token = options_.token](const std::string& json, milliseconds at_most,
                                                         const std::stop_token& stop) {
    PostLimits limits;
    limits.total = at_most;
    return http_post_json(to, token, json, limits, stop);
  };
}

Reporter::~Reporter() {
  stop_sender();
}

void Reporter::progress(const api::Told& told) {
  if (!sends_ || finished_) return;
  std::string json = told.json();
  {
    const std::lock_guard lock(mutex_);
    pending_ = std::move(json);
  }
  start_sender();
  changed_.notify_one();
}

void Reporter::finish(const api::Told& told, bool to_log) {
  finished_ = true;
  write_termination(told.short_json(job::kMaxTerminationBytes));
  std::string json;
  if (to_log || sends_) json = told.json();
  if (to_log) write_all(options_.log_fd, job::kToldPrefix + json + "\n");
  if (!sends_) return;
  const auto end = seams_.now() + kFinalWait;
  stop_sender();
  send_final(json, end);
}

// Signals go to the threads that expect them.
void Reporter::start_sender() {
  if (sender_.joinable()) return;
  sigset_t all = {}, before = {};
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  sender_ = std::jthread([this](const std::stop_token& stop) { send_progress(stop); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Reporter::stop_sender() {
  if (!sender_.joinable()) return;
  sender_.request_stop();
  sender_.join();
}

void Reporter::send_progress(const std::stop_token& stop) {
  while (true) {
    std::string json;
    milliseconds pause = kFirstPause;
    const auto take_newest = [&] {
      if (!pending_) return;
      json = std::move(*pending_);
      pending_.reset();
    };
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return pending_.has_value(); }) || stop.stop_requested()) return;
      take_newest();
    }
    while (attempt(json, kProgressTime, stop) == Outcome::kAgain) {
      if (!stop.stop_requested()) seams_.sleep(pause, stop);
      if (stop.stop_requested()) return;
      pause = std::min(pause * 2, kLongestPause);
      const std::lock_guard lock(mutex_);
      take_newest();
    }
  }
}

void Reporter::send_final(const std::string& json, steady_clock::time_point end) {
  milliseconds pause = kFirstPause;
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - seams_.now());
    if (left.count() <= 0) break;
    const Outcome outcome = attempt(json, left, std::stop_token());
    if (outcome == Outcome::kTaken) return;
    if (outcome == Outcome::kRefused || seams_.now() + pause >= end) break;
    seams_.sleep(pause, std::stop_token());
    pause = std::min(pause * 2, kLongestPause);
  }
  note("the last report was not taken: " + trouble_);
}

Reporter::Outcome Reporter::attempt(const std::string& json, milliseconds at_most, const std::stop_token& stop) {
  if (json.size() > job::kMaxReportBytes) {
    trouble_ = "it has " + std::to_string(json.size()) + " bytes, more than " + std::to_string(job::kMaxReportBytes);
    return Outcome::kRefused;
  }
  const Result<int> status = seams_.post(json, at_most, stop);
  if (!status.ok()) {
    trouble_ = status.error().message;
    return Outcome::kAgain;
  }
  if (*status >= 200 && *status < 300) return Outcome::kTaken;
  trouble_ = "the operator answered " + std::to_string(*status);
  return *status == 429 || *status >= 500 ? Outcome::kAgain : Outcome::kRefused;
}

void Reporter::write_termination(const std::string& text) const {
  if (!termination_.valid() || ::ftruncate(termination_.get(), 0) != 0) return;
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t written = ::pwrite(termination_.get(), text.data() + at, text.size() - at, static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    at += static_cast<std::size_t>(written);
  }
}

void Reporter::note(std::string_view text) const {
  write_all(options_.note_fd, "imagebuild: " + std::string(text) + "\n");
}

}  // namespace imagebuild::builder
