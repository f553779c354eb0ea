#include "http/curl_transport.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "http/curl_session.h"

namespace imagebuild::http {

struct CurlTransport::Pool {
  explicit Pool(CurlOptions given) : options(std::move(given)) {}

  // The session that talked to `origin` last, else a new one.
  std::unique_ptr<CurlSession> take(const std::string& origin) {
    const std::lock_guard lock(mutex);
    const auto found = std::find_if(idle.rbegin(), idle.rend(), [&](const auto& s) { return s->origin() == origin; });
    if (found == idle.rend()) return std::make_unique<CurlSession>();
    auto session = std::move(*found);
    idle.erase(std::next(found).base());
    return session;
  }
  void put(std::unique_ptr<CurlSession> session) {
    session->finish();
    std::unique_ptr<CurlSession> oldest;  // Closed after the lock is released.
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(session));
    if (idle.size() <= options.max_idle_connections) return;
    oldest = std::move(idle.front());
    idle.erase(idle.begin());
  }

  const CurlOptions options;
  std::mutex mutex;
  std::vector<std::unique_ptr<CurlSession>> idle;
};

class CurlTransport::Body final : public ByteSource {
 public:
  Body(std::shared_ptr<Pool> pool, std::unique_ptr<CurlSession> session)
      : pool_(std::move(pool)), session_(std::move(session)) {}
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() override { pool_->put(std::move(session_)); }
  Result<std::size_t> read(std::span<std::byte> buffer) override { return session_->read(buffer); }

 private:
  std::shared_ptr<Pool> pool_;
  std::unique_ptr<CurlSession> session_;
};

CurlTransport::CurlTransport(CurlOptions options) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  pool_ = std::make_shared<Pool>(std::move(options));
}

CurlTransport::~CurlTransport() = default;

Result<Response> CurlTransport::send(const Request& request, std::stop_token stop) {
  if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
  auto session = pool_->take(request.url.origin());
  if (!session->usable()) return Error{ErrorCode::kInternal, "libcurl could not be started"};
  auto response = session->start(request, pool_->options, std::move(stop));
  if (!response.ok()) {
    pool_->put(std::move(session));
    return response;
  }
  response->body = std::make_unique<Body>(pool_, std::move(session));
  return response;
}

}  // namespace imagebuild::http
