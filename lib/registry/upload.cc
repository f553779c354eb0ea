#include "registry/upload.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "registry/refusal.h"

namespace imagebuild::registry {
namespace {

Error unavailable(const Target& target, const std::string& what) {
  return {ErrorCode::kUnavailable, "registry " + target.endpoint.name + " " + what};
}

// How many bytes "0-1023" (or "bytes=0-1023") says have arrived. "0-0" is what an empty upload answers.
std::optional<std::uint64_t> received_bytes(std::string_view range) {
  if (range.starts_with("bytes=")) range.remove_prefix(6);
  if (!range.starts_with("0-")) return {};
  range.remove_prefix(2);
  std::uint64_t last = 0;
  const auto [end, error] = std::from_chars(range.data(), range.data() + range.size(), last);
  if (error != std::errc{} || end != range.data() + range.size()) return {};
  return last == 0 ? 0 : last + 1;
}

std::uint64_t number_header(const http::Headers& headers, std::string_view name) {
  const auto text = headers.find(name).value_or("");
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : 0;
}

}  // namespace

// A part of the feed; the last part reads on to the feed's end, so that content longer than promised is noticed.
class Upload::Slice final : public ByteSource {
 public:
  Slice(std::shared_ptr<Feed> feed, std::uint64_t size_bytes, bool last)
      : feed_(std::move(feed)), left_(last ? UINT64_MAX : size_bytes) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (left_ == 0) return std::size_t{0};
    buffer = buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_)));
    auto count = feed_->source->read(buffer);
    if (!count.ok()) {
      feed_->source.reset();
      feed_->failed = true;
      return count;
    }
    feed_->position += *count;
    left_ -= *count;
    return count;
  }

 private:
  std::shared_ptr<Feed> feed_;
  std::uint64_t left_;
};

Result<UploadSession> parse_session(const Target& target, const http::Request& request,
                                    const http::Response& response) {
  const auto text = response.headers.find("Location");
  if (!text) return unavailable(target, "opened an upload without saying where");
  auto location = request.url.resolve(*text);
  if (!location.ok()) return unavailable(target, "opened an upload at an address that is malformed");
  return UploadSession{.location = std::move(location).value(),
                       .min_chunk_bytes = number_header(response.headers, "OCI-Chunk-Min-Length")};
}

Upload::Upload(Wire& wire, Target target, const oci::Descriptor& blob, const BlobOpener& open,
               std::uint64_t chunk_bytes, std::stop_token stop)
    : wire_(wire),
      target_(std::move(target)),
      blob_(blob),
      available_bytes_(blob.size_bytes),
      open_(open),
      chunk_bytes_(chunk_bytes),
      stop_(std::move(stop)),
      scopes_{push_scope(target_.repository)},
      retrier_(wire.retrier(target_, stop_)) {}

Upload::Upload(Wire& wire, Target target, const BlobGrowth& grow, const BlobOpener& open, std::uint64_t chunk_bytes,
               std::stop_token stop)
    : wire_(wire),
      target_(std::move(target)),
      grow_(&grow),
      open_(open),
      chunk_bytes_(chunk_bytes),
      stop_(std::move(stop)),
      scopes_{push_scope(target_.repository)},
      retrier_(wire.retrier(target_, stop_)) {}

Status Upload::run(std::optional<UploadSession> session) {
  while (true) {
    Status done = try_once(session);
    if (done.ok()) {
      open_session_.reset();
      return done;
    }
    session.reset();
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (!again(done.error())) {
      if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
      return done;
    }
    if (std::exchange(committing_, false) && arrived()) {
      open_session_.reset();
      return ok();
    }
  }
}

Status Upload::try_once(std::optional<UploadSession>& session) {
  if (chunk_bytes_ == 0 && grow_ != nullptr) {
    return Error{ErrorCode::kUnsupported, "registry " + target_.endpoint.name + " does not take blobs in chunks"};
  }
  if (!session) {
    ASSIGN_OR_RETURN(UploadSession opened, begin());
    session = std::move(opened);
  }
  open_session_ = session->location;
  const bool fits = blob_ && blob_->size_bytes <= std::max(chunk_bytes_, session->min_chunk_bytes);
  if (chunk_bytes_ == 0 || fits) return send_whole(*session);
  return send_chunks(std::move(*session));
}

Result<UploadSession> Upload::begin() {
  ASSIGN_OR_RETURN(http::Url url, target_.url("blobs/uploads/"));
  const http::Request request{.method = "POST", .url = std::move(url)};
  ASSIGN_OR_RETURN(http::Response response, wire_.send(target_, request, scopes_, stop_));
  if (response.status != 202) return refused(response);
  drain(response);
  return parse_session(target_, request, response);
}

Status Upload::send_whole(const UploadSession& session) {
  return put_end(session, slice(0, blob_->size_bytes));
}

Status Upload::put_end(const UploadSession& session, std::optional<http::RequestBody> body) {
  http::Request request{.method = "PUT",
                        .url = session.location.with_query("digest", blob_->digest.str()),
                        .headers = {{"Content-Type", "application/octet-stream"}},
                        .body = std::move(body)};
  committing_ = true;
  ASSIGN_OR_RETURN(http::Response response, wire_.send(target_, std::move(request), scopes_, stop_));
  return check_created(response);
}

Status Upload::check_created(http::Response& response) {
  if (response.status == 404) return unavailable(target_, "forgot an upload that was under way");
  if (response.status != 201 && response.status != 204) return refused(response);
  drain(response);
  const auto digest = response.headers.find("Docker-Content-Digest");
  if (digest && *digest != blob_->digest.str()) {
    return Error{ErrorCode::kCorrupt,
                 "registry " + target_.endpoint.name + " stored " + blob_->digest.str() + " under another digest"};
  }
  return ok();
}

// Sees to it that there are `wanted` bytes to send, unless the blob ends before.
Status Upload::look_ahead(std::uint64_t wanted) {
  if (blob_ || available_bytes_ >= wanted) return ok();
  ASSIGN_OR_RETURN(BlobSoFar so_far, (*grow_)(wanted));
  available_bytes_ = so_far.blob ? so_far.blob->size_bytes : so_far.size_bytes;
  blob_ = std::move(so_far.blob);
  if (blob_ || available_bytes_ >= wanted) return ok();
  return Error{ErrorCode::kInternal, "a blob that grows has fewer bytes than were waited for"};
}

Status Upload::send_chunks(UploadSession session) {
  std::uint64_t offset = 0;
  while (true) {
    RETURN_IF_ERROR(look_ahead(offset + std::max(chunk_bytes_, session.min_chunk_bytes)));
    if (offset >= available_bytes_) break;
    const std::uint64_t before = offset;
    const Status sent = send_chunk(session, offset);
    if (!sent.ok()) {
      if (chunk_bytes_ == 0 || feed_->failed) return sent;
      RETURN_IF_ERROR(recover(session, offset, sent.error()));
    }
    if (offset > before) retrier_.reset();
  }
  return put_end(session, std::nullopt);
}

Status Upload::send_chunk(UploadSession& session, std::uint64_t& offset) {
  const std::uint64_t size = std::min(std::max(chunk_bytes_, session.min_chunk_bytes), available_bytes_ - offset);
  const http::Request request{
      .method = "PATCH",
      .url = session.location,
      .headers = {{"Content-Type", "application/octet-stream"},
                  {"Content-Range", std::to_string(offset) + "-" + std::to_string(offset + size - 1)}},
      .body = slice(offset, size)};
  ASSIGN_OR_RETURN(http::Response response, wire_.send(target_, request, scopes_, stop_));
  const int status = response.status;
  if (status == 404 || status == 416) {
    drain(response);
    return unavailable(target_, "lost track of an upload that was under way");
  }
  if (status == 400 || status == 405 || status == 411 || status == 501) {
    chunk_bytes_ = 0;  // It does not take chunks: once more, in one piece.
    drain(response);
    return unavailable(target_, "does not take blobs in chunks");
  }
  if (status != 202 && status != 204 && status != 201) return refused(response);
  drain(response);
  ASSIGN_OR_RETURN(const UploadSession next, parse_session(target_, request, response));
  session.location = next.location;
  open_session_ = next.location;
  const auto received = received_bytes(response.headers.find("Range").value_or(""));
  const std::uint64_t now_at = received && *received > 0 ? *received : offset + size;
  if (now_at <= offset || now_at > offset + size) return unavailable(target_, "miscounts an upload that is under way");
  offset = now_at;
  return ok();
}

// Waits and asks how much has arrived, until the registry tells or the tries are used up. When it does not know the
// upload any more, everything is sent again in a new one, if the policy grants one more try.
Status Upload::recover(UploadSession& session, std::uint64_t& offset, Error error) {
  feed_->source.reset();
  while (again(error)) {
    bool gone = false;
    const Status asked = ask_offset(session, offset, gone);
    if (asked.ok() || gone) return asked;
    error = asked.error();
  }
  if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
  return error;
}

Status Upload::ask_offset(UploadSession& session, std::uint64_t& offset, bool& gone) {
  const http::Request request{.url = session.location};
  ASSIGN_OR_RETURN(http::Response response, wire_.send(target_, request, scopes_, stop_));
  if (http::is_transient(response.status)) return refused(response);
  gone = true;
  drain(response);
  if (response.status != 204 && response.status != 200) {
    return unavailable(target_, "forgot an upload that was under way");
  }
  const auto received = received_bytes(response.headers.find("Range").value_or(""));
  if (!received || *received > available_bytes_) {
    return unavailable(target_, "does not say how much of an upload it has");
  }
  if (response.headers.find("Location")) {
    ASSIGN_OR_RETURN(const UploadSession next, parse_session(target_, request, response));
    session.location = next.location;
    open_session_ = next.location;
  }
  gone = false;
  offset = *received;
  return ok();
}

http::RequestBody Upload::slice(std::uint64_t offset, std::uint64_t size_bytes) {
  const bool last = blob_ && offset + size_bytes == blob_->size_bytes;
  auto open = [feed = feed_, &opener = open_, offset, size_bytes, last]() -> Result<std::unique_ptr<ByteSource>> {
    if (!feed->source || feed->position != offset) {
      auto source = opener(offset);
      feed->failed = !source.ok();
      if (!source.ok()) return source.error();
      feed->source = std::move(source).value();
      feed->position = offset;
    }
    return std::unique_ptr<ByteSource>(std::make_unique<Slice>(feed, size_bytes, last));
  };
  return {.open = std::move(open), .size_bytes = size_bytes};
}

void Upload::forget(Wire& wire) {
  if (!open_session_) return;
  const http::Request request{.method = "DELETE", .url = *std::exchange(open_session_, std::nullopt)};
  auto response = wire.send(target_, request, scopes_, {});
  if (response.ok()) drain(*response);
}

// Whether an upload whose end failed has arrived all the same: the answer may have been lost on its way back. One
// try: not to know means to send again.
bool Upload::arrived() {
  auto url = target_.url("blobs/" + blob_->digest.str());
  if (!url.ok()) return false;
  const http::Request request{.method = "HEAD", .url = std::move(url).value()};
  const auto response = wire_.send(target_, request, scopes_, stop_);
  return response.ok() && response->status == 200;
}

bool Upload::again(const Error& error) {
  const auto wish = std::exchange(wish_, std::nullopt);
  return !feed_->failed && retrier_.again(error, wish);
}

Error Upload::refused(http::Response& response) {
  wish_ = retrier_.wish_of(response);
  const std::string repository = "'" + target_.repository + "'";
  return refusal(wire_.authorizer(), target_,
                 {.what = "the push to " + repository,
                  .not_found = "registry " + target_.endpoint.name + " has no repository " + repository +
                               " to push to, or it is not visible with these credentials"},
                 response);
}

}  // namespace imagebuild::registry
