#include "http/cpprest_exchange.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace imagebuild::http {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kPauseBytes = 256 * 1024;

Error unavailable(std::string message) {
  return {ErrorCode::kUnavailable, std::move(message)};
}

std::string seconds_text(milliseconds duration) {
  const auto count = duration.count();
  return count % 1000 == 0 ? std::to_string(count / 1000) + " s" : std::to_string(count) + " ms";
}

}  // namespace

void CpprestExchange::on_progress() {
  const std::lock_guard lock(mutex_);
  connected_ = true;
  last_move_ = SteadyClock::now();
  changed_.notify_all();
}

void CpprestExchange::on_header(int status, Headers headers) {
  const std::lock_guard lock(mutex_);
  status_ = status;
  headers_ = std::move(headers);
  header_done_ = true;
  last_move_ = SteadyClock::now();
  changed_.notify_all();
}

pplx::task<std::size_t> CpprestExchange::on_bytes(const unsigned char* data, std::size_t size) {
  std::unique_lock lock(mutex_);
  if (abandoned_) {
    cut_ = true;
    changed_.notify_all();
    lock.unlock();
    cancel_.cancel();
    return pplx::task_from_result(size);
  }
  pending_.append(reinterpret_cast<const char*>(data), size);
  last_move_ = SteadyClock::now();
  changed_.notify_all();
  if (pending_.size() - pending_at_ < kPauseBytes) return pplx::task_from_result(size);
  room_.emplace();
  room_size_ = size;
  return pplx::create_task(*room_);
}

void CpprestExchange::on_end() {
  const std::lock_guard lock(mutex_);
  finished_ = cut_ = true;
  changed_.notify_all();
}

void CpprestExchange::on_failure(const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = translate(what);
  cut_ = true;
  changed_.notify_all();
}

Result<Response> CpprestExchange::wait_for_header(std::stop_token stop) {
  const std::stop_callback wake(stop, [this] { notify(); });
  std::unique_lock lock(mutex_);
  stop_ = std::move(stop);
  const auto began = last_move_ = SteadyClock::now();
  while (!header_done_) {
    if (stop_.stop_requested()) return give_up(lock, {ErrorCode::kCancelled, "stopped"});
    if (failure_) return *failure_;
    const auto deadline = connected_ ? last_move_ + timeouts_.idle : began + timeouts_.connect;
    if (SteadyClock::now() >= deadline) return give_up(lock, too_slow());
    changed_.wait_until(lock, deadline);
  }
  return Response{.status = status_, .headers = headers_, .body = nullptr};
}

Result<std::size_t> CpprestExchange::read(std::span<std::byte> buffer) {
  const std::stop_callback wake(stop_, [this] { notify(); });
  std::unique_lock lock(mutex_);
  last_move_ = SteadyClock::now();
  while (true) {
    if (stop_.stop_requested()) return give_up(lock, {ErrorCode::kCancelled, "stopped"});
    if (pending_at_ < pending_.size()) break;
    if (failure_) return *failure_;
    if (finished_) return std::size_t{0};
    const auto deadline = last_move_ + timeouts_.idle;
    if (SteadyClock::now() >= deadline) return give_up(lock, too_slow());
    changed_.wait_until(lock, deadline);
  }
  const std::size_t count = std::min(buffer.size(), pending_.size() - pending_at_);
  std::memcpy(buffer.data(), pending_.data() + pending_at_, count);
  pending_at_ += count;
  if (pending_at_ == pending_.size()) {
    pending_.clear();
    pending_at_ = 0;
    release(lock);
  }
  return count;
}

// To cancel closes the socket, which cpprestsdk must not be about to read from on a thread of its own. So while it
// waits for room we cancel first; where bytes come, on_bytes() does; and what has been silent for a while is only
// waiting.
void CpprestExchange::abandon() {
  constexpr std::chrono::milliseconds kSilence{20};
  std::unique_lock lock(mutex_);
  if (!finished_ && !failure_) failure_ = Error{ErrorCode::kCancelled, "stopped"};
  pending_.clear();
  pending_at_ = 0;
  abandoned_ = true;
  const bool is_paused = room_.has_value();
  const bool is_cut = !is_paused && changed_.wait_for(lock, kSilence, [this] { return cut_; });
  if (is_cut) return;
  lock.unlock();
  cancel_.cancel();
  lock.lock();
  release(lock);
}

void CpprestExchange::notify() {
  const std::lock_guard lock(mutex_);  // Otherwise the wake-up could fall between the check and the wait.
  changed_.notify_all();
}

Error CpprestExchange::too_slow() const {
  if (!connected_) return unavailable("cannot connect to " + host_ + " within " + seconds_text(timeouts_.connect));
  return unavailable(host_ + " moved no byte for " + seconds_text(timeouts_.idle));
}

Error CpprestExchange::give_up(std::unique_lock<std::mutex>& lock, Error error) {
  if (!failure_) failure_ = error;
  lock.unlock();
  abandon();
  return error;
}

void CpprestExchange::release(std::unique_lock<std::mutex>& lock) {
  const auto room = std::exchange(room_, std::nullopt);
  const std::size_t size = room_size_;
  lock.unlock();
  if (room) room->set(size);
}

Error CpprestExchange::translate(const std::string& what) const {
  if (const std::string unusable = verdict_->unusable(); !unusable.empty()) {
    return {ErrorCode::kInvalidInput, "cannot use the certificates or the key given for " + host_ + ": " + unusable};
  }
  if (what.find("SSL handshake") != what.npos) {
    const std::string reason = verdict_->get();
    if (reason.empty()) return unavailable("the TLS handshake with " + host_ + " failed");
    return {ErrorCode::kDenied, "cannot trust " + host_ + ": its TLS certificate " + reason};
  }
  if (header_done_) return unavailable(host_ + " closed the connection in the middle of its answer (" + what + ")");
  if (connected_) return unavailable("the connection to " + host_ + " broke before an answer came (" + what + ")");
  return unavailable("cannot connect to " + host_ + ": " + what);
}

}  // namespace imagebuild::http
