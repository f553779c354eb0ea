// A unix socket with a thread of its own that serves all who connect to it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "ssh/message_stream.h"
#include "ssh/unix_socket.h"

namespace imagebuild::ssh {

// One client, and whatever else is talked to for it.
class Session {
 public:
  explicit Session(UniqueFd client) { streams_.emplace_back(std::move(client)); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;

  // Takes and puts messages, as far as that goes without waiting; called after bytes moved. False: the session is over.
  virtual bool advance() = 0;
  std::span<MessageStream> streams() { return streams_; }

 protected:
  MessageStream& client() { return streams_[0]; }
  std::vector<MessageStream> streams_;
};

class SocketServer {
 public:
  // Makes the session of a client; null turns it away. Called by the server's thread only.
  using OpenSession = std::function<std::unique_ptr<Session>(UniqueFd client)>;

  // Listens on a new socket (see listen_on()).
  static Result<std::unique_ptr<SocketServer>> start(const std::filesystem::path& path, const SocketAccess& access,
                                                     OpenSession open);
  SocketServer(const SocketServer&) = delete;
  SocketServer& operator=(const SocketServer&) = delete;
  // Ends all sessions and the thread, and removes the socket.
  ~SocketServer();

  const std::filesystem::path& path() const { return path_; }

 private:
  SocketServer(std::filesystem::path path, UniqueFd listener, UniqueFd wake, OpenSession open);
  void serve();
  bool accept_one();

  std::filesystem::path path_;
  UniqueFd listener_;
  UniqueFd wake_;  // An eventfd: readable when the thread has to end.
  OpenSession open_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::jthread thread_;
};

}  // namespace imagebuild::ssh
