#include "registry/blob_source.h"

#include <algorithm>
#include <array>
#include <utility>

#include "registry/refusal.h"

namespace imagebuild::registry {
namespace {

// So much between two failures makes them two misfortunes, not one server that always fails.
constexpr std::uint64_t kProgressBytes = 1U << 20;

}  // namespace

Result<std::unique_ptr<ByteSource>> BlobSource::open(std::shared_ptr<void> owner, Wire& wire, Target target,
                                                     const oci::Digest& digest, std::stop_token stop) {
  std::unique_ptr<BlobSource> source(
      new BlobSource(std::move(owner), wire, std::move(target), digest, std::move(stop)));
  RETURN_IF_ERROR(source->connect());
  return std::unique_ptr<ByteSource>(std::move(source));
}

Status BlobSource::connect() {
  while (true) {
    Status connected = connect_once();
    if (connected.ok()) return connected;
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (!retrier_.again(connected.error(), std::exchange(wish_, std::nullopt))) return connected;
  }
}

Status BlobSource::connect_once() {
  body_.reset();
  ASSIGN_OR_RETURN(http::Url url, target_.url("blobs/" + digest_.str()));
  http::Request request{.url = std::move(url)};
  if (offset_ > 0) request.headers.set("Range", "bytes=" + std::to_string(offset_) + "-");
  ASSIGN_OR_RETURN(http::Response response, wire_.send(target_, request, {pull_scope(target_.repository)}, stop_));
  const bool partial = response.status == 206 && offset_ > 0;
  if (response.status != 200 && !partial) {
    const std::string where = "'" + target_.repository + "' of registry " + target_.endpoint.name;
    const Doing doing{.what = "the pull from '" + target_.repository + "'",
                      .not_found = "there is no blob " + digest_.str() + " in " + where};
    wish_ = retrier_.wish_of(response);
    return refusal(wire_.authorizer(), target_, doing, response);
  }
  if (partial) {
    const auto range = response.headers.find("Content-Range");
    if (!range || !range->starts_with("bytes " + std::to_string(offset_) + "-")) {
      return Error{ErrorCode::kUnavailable,
                   "registry " + target_.endpoint.name + " sent another part of a blob than was asked for"};
    }
  }
  body_ = std::move(response.body);
  return partial ? ok() : skip(offset_);
}

Status BlobSource::skip(std::uint64_t count) {
  std::array<std::byte, 32 * 1024> waste{};
  while (count > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count, waste.size()));
    ASSIGN_OR_RETURN(const std::size_t got, body_->read(std::span(waste).first(wanted)));
    if (got == 0) {
      return Error{ErrorCode::kUnavailable, "registry " + target_.endpoint.name + " sent a shorter blob than before"};
    }
    count -= got;
  }
  return ok();
}

Result<std::size_t> BlobSource::read(std::span<std::byte> buffer) {
  while (true) {
    auto count = body_->read(buffer);
    if (count.ok()) {
      offset_ += *count;
      progress_ += *count;
      return count;
    }
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (progress_ >= kProgressBytes) retrier_.reset();
    progress_ = 0;
    if (!retrier_.again(count.error())) return count;
    RETURN_IF_ERROR(connect());
  }
}

}  // namespace imagebuild::registry
