#include "kube/watch.h"

#include <array>

namespace imagebuild::kube {
namespace {

std::optional<WatchEvent::Type> type_of(const std::string& text) {
  if (text == "ADDED") return WatchEvent::Type::kAdded;
  if (text == "MODIFIED") return WatchEvent::Type::kModified;
  if (text == "DELETED") return WatchEvent::Type::kDeleted;
  if (text == "BOOKMARK") return WatchEvent::Type::kBookmark;
  return {};
}

}  // namespace

ApiResult<Watch> Watch::open(const Client& client, const Resource& resource, const WatchRequest& request,
                             std::stop_token stop) {
  ASSIGN_OR_RETURN(auto stream, client.open_watch(resource, request, std::move(stop)));
  return Watch(std::move(stream), request.resource_version, "watch " + resource.plural);
}

// The next line without its end; nothing at the end of the stream, where half a line is an error.
Result<std::optional<std::string>> Watch::next_line() {
  while (true) {
    const auto end = buffer_.find('\n', searched_);
    if (end != buffer_.npos) {
      std::string line = buffer_.substr(at_, end - at_);
      at_ = searched_ = end + 1;
      return std::optional(std::move(line));
    }
    buffer_.erase(0, at_);
    at_ = 0;
    searched_ = buffer_.size();
    if (buffer_.size() > kMaxLineBytes) {
      return Error{ErrorCode::kLimit, "cannot " + doing_ + ": an event is longer than 16 MiB"};
    }
    std::array<std::byte, 16 * 1024> piece;
    ASSIGN_OR_RETURN(const std::size_t count, stream_->read(piece));
    if (count == 0) {
      if (buffer_.empty()) return std::optional<std::string>();
      return Error{ErrorCode::kUnavailable, "cannot " + doing_ + ": the stream ended in the middle of an event"};
    }
    buffer_.append(reinterpret_cast<const char*>(piece.data()), count);
  }
}

ApiResult<std::optional<WatchEvent>> Watch::next() {
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<std::string> line, next_line());
    if (!line) return std::optional<WatchEvent>();
    if (line->empty()) continue;
    Json parsed = Json::parse(*line, nullptr, false);
    const std::string type = text_at(parsed, {"type"});
    if (type == "ERROR") return error_from_status(at(parsed, {"object"}), doing_);
    const auto known = type_of(type);
    if (!known || !at(parsed, {"object"}).is_object()) {
      return Error{ErrorCode::kCorrupt, "cannot " + doing_ + ": the stream has a line that is no event"};
    }
    WatchEvent event{*known, std::move(parsed["object"])};
    if (const std::string version = resource_version_of(event.object); !version.empty()) resource_version_ = version;
    return std::optional(std::move(event));
  }
}

}  // namespace imagebuild::kube
