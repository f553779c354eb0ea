// Ends connections that last too long. civetweb limits how long a client is silent, not how long it takes: one that
// sends a byte now and then would hold a thread for ever, and half-open ones all threads.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace imagebuild::op {

class ConnectionReaper {
 public:
  struct Limits {
    std::chrono::milliseconds lifetime;  // No connection lasts longer.
    std::size_t threads;                 // When there are more connections than these, the oldest of …
    std::chrono::milliseconds patience;  // … those that have no request yet after this must go.
  };
  // Whether the request of the connection from that peer ("10.0.0.1 43210") is being handled.
  using Handled = std::function<bool(const std::string& peer)>;

  // Watches what this process accepted on `port`, from a thread of its own, until it is destroyed.
  ConnectionReaper(std::uint16_t port, Limits limits, Handled handled);
  ~ConnectionReaper();
  ConnectionReaper(const ConnectionReaper&) = delete;
  ConnectionReaper& operator=(const ConnectionReaper&) = delete;

  // Ends the connection from that peer now. For any thread.
  void end(const std::string& peer);
  // From now on ends every connection at once, and takes no more: who waits for them wakes up.
  void end_all();

 private:
  struct Connection {
    int fd;
    ino_t inode;  // Tells a connection from a later one with the same descriptor.
    std::string peer;
    std::chrono::milliseconds age;
  };
  void watch(const std::stop_token& stop);
  void look();
  void stop_listening();
  std::vector<Connection> connections();  // The oldest first.

  const std::uint16_t port_;
  const Limits limits_;
  const Handled handled_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool end_all_ = false;
  std::map<ino_t, std::chrono::steady_clock::time_point> first_seen_;  // Of the watching thread.
  std::jthread thread_;
};

}  // namespace imagebuild::op
