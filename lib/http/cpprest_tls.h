// TLS of cpprestsdk's connections, by OpenSSL through asio: whom to trust, and why a handshake failed.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <mutex>
#include <string>

#include "http/cpprest_transport.h"

namespace imagebuild::http {

// Why the last handshake with an origin failed: cpprestsdk says only "Error in SSL handshake".
class TlsVerdict {
 public:
  // What is wrong with our own certificates.
  void set_unusable(std::string reason) {
    const std::lock_guard lock(mutex_);
    unusable_ = std::move(reason);
  }
  std::string unusable() const {
    const std::lock_guard lock(mutex_);
    return unusable_;
  }
  // Why the server's certificate was refused; empty: it was not.
  void set(std::string reason) {
    const std::lock_guard lock(mutex_);
    reason_ = std::move(reason);
  }
  std::string get() const {
    const std::lock_guard lock(mutex_);
    return reason_;
  }

 private:
  mutable std::mutex mutex_;
  std::string reason_, unusable_;
};

using VerdictHolder = std::shared_ptr<TlsVerdict>;

// Called for each new connection; what it throws becomes the request's error.
void prepare_tls(boost::asio::ssl::context& context, const CpprestOptions& options, const VerdictHolder& verdict);

}  // namespace imagebuild::http
