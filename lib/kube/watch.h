// One watch stream: the events of a collection from a resourceVersion on, as long as the server keeps it open.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "kube/client.h"

namespace imagebuild::kube {

struct WatchEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark };
  Type type = Type::kBookmark;
  Json object;  // Of a bookmark only kind and metadata.resourceVersion are there.
};

// For one thread.
class Watch {
 public:
  static constexpr std::size_t kMaxLineBytes = 16 * 1024 * 1024;  // etcd's objects have at most 1.5 MiB.

  static ApiResult<Watch> open(const Client& client, const Resource& resource, const WatchRequest& request,
                               std::stop_token stop);

  // Waits for the next event. Nothing: the server ended the stream in order, at its timeout. An error with is_gone():
  // list again. kUnavailable: the stream broke. In every case but the second go on with a new watch from
  // resource_version().
  ApiResult<std::optional<WatchEvent>> next();
  // Of the last event seen.
  const std::string& resource_version() const { return resource_version_; }

 private:
  Watch(std::unique_ptr<ByteSource> stream, std::string resource_version, std::string doing)
      : stream_(std::move(stream)), resource_version_(std::move(resource_version)), doing_(std::move(doing)) {}
  Result<std::optional<std::string>> next_line();

  std::unique_ptr<ByteSource> stream_;
  std::string resource_version_;
  std::string doing_;
  std::string buffer_;  // What came and was not handed out yet begins at at_.
  std::size_t at_ = 0;
  std::size_t searched_ = 0;  // No line end before this one.
};

}  // namespace imagebuild::kube
