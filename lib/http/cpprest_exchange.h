// One exchange of cpprestsdk: filled by its threads, waited for by ours.
#pragma once

#include <pplx/pplxtasks.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "http/cpprest_tls.h"
#include "http/transport.h"

namespace imagebuild::http {

// Its promise for a full buffer is fulfilled outside the lock: cpprestsdk may run on in the same call.
class CpprestExchange {
 public:
  CpprestExchange(std::string host, Timeouts timeouts, VerdictHolder verdict)
      : host_(std::move(host)), timeouts_(timeouts), verdict_(std::move(verdict)) {}

  // ---- for cpprestsdk's threads
  void on_progress();
  void on_header(int status, Headers headers);
  // Takes a copy; the promise is fulfilled when there is room for more. What comes after abandon() is dropped, and ends
  // the exchange here, where no read is under way: a failed task would make cpprestsdk wait, on a thread of its pool,
  // for another one of them.
  pplx::task<std::size_t> on_bytes(const unsigned char* data, std::size_t size);
  void on_end();
  void on_failure(const std::string& what);

  // ---- for the thread that sends or reads
  Result<Response> wait_for_header(std::stop_token stop);
  Result<std::size_t> read(std::span<std::byte> buffer);
  // Ends the exchange if it is not over: nobody will read any more.
  void abandon();

  pplx::cancellation_token token() const { return cancel_.get_token(); }

 private:
  void notify();
  Error too_slow() const;
  Error give_up(std::unique_lock<std::mutex>& lock, Error error);
  // Lets cpprestsdk go on. Leaves the lock released.
  void release(std::unique_lock<std::mutex>& lock);
  Error translate(const std::string& what) const;

  const std::string host_;
  const Timeouts timeouts_;
  const VerdictHolder verdict_;
  pplx::cancellation_token_source cancel_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::stop_token stop_;
  std::chrono::steady_clock::time_point last_move_ = std::chrono::steady_clock::now();
  bool connected_ = false, header_done_ = false, finished_ = false, abandoned_ = false;
  bool cut_ = false;  // cpprestsdk is done with it, or was told so.
  int status_ = 0;
  Headers headers_;
  std::optional<Error> failure_;
  std::string pending_;
  std::size_t pending_at_ = 0;
  std::optional<pplx::task_completion_event<std::size_t>> room_;
  std::size_t room_size_ = 0;
};

}  // namespace imagebuild::http
