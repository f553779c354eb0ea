// Uploading one blob: at once or in chunks, continued after a failure (distribution-spec, "Pushing blobs"); in chunks
// also while the blob is still being made.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "oci/manifest.h"
#include "registry/client.h"
#include "registry/wire.h"

namespace imagebuild::registry {

// An upload that the registry has opened.
struct UploadSession {
  http::Url location;
  std::uint64_t min_chunk_bytes = 0;  // OCI-Chunk-Min-Length.
};

// The session that a 202 answer to an upload request describes; kUnavailable when its Location is missing or broken.
Result<UploadSession> parse_session(const Target& target, const http::Request& request, const http::Response& response);

class Upload {
 public:
  Upload(Wire& wire, Target target, const oci::Descriptor& blob, const BlobOpener& open, std::uint64_t chunk_bytes,
         std::stop_token stop);
  // A blob that `grow` tells about; it goes in chunks or not at all (kUnsupported).
  Upload(Wire& wire, Target target, const BlobGrowth& grow, const BlobOpener& open, std::uint64_t chunk_bytes,
         std::stop_token stop);

  // Sends the blob, beginning with `session` if there is one already. Returns when the registry has it.
  Status run(std::optional<UploadSession> session);
  // After a failure: tells the registry to forget the upload, if one is open. One try; registries clean up by
  // themselves in the end, so a failure does not matter.
  void forget(Wire& wire);

 private:
  // The content, read on from where the last request stopped instead of being opened anew for each chunk.
  struct Feed {
    std::unique_ptr<ByteSource> source;
    std::uint64_t position = 0;
    bool failed = false;  // The content itself could not be read: whoever made it has tried what there is to try.
  };
  class Slice;

  Status try_once(std::optional<UploadSession>& session);
  Result<UploadSession> begin();
  Status send_whole(const UploadSession& session);
  Status send_chunks(UploadSession session);
  Status look_ahead(std::uint64_t wanted);
  Status send_chunk(UploadSession& session, std::uint64_t& offset);
  Status recover(UploadSession& session, std::uint64_t& offset, Error error);
  Status ask_offset(UploadSession& session, std::uint64_t& offset, bool& gone);
  Status put_end(const UploadSession& session, std::optional<http::RequestBody> body);
  Status check_created(http::Response& response);
  http::RequestBody slice(std::uint64_t offset, std::uint64_t size_bytes);
  bool arrived();
  bool again(const Error& error);
  Error refused(http::Response& response);

  Wire& wire_;
  const Target target_;
  std::optional<oci::Descriptor> blob_;  // Once it is known.
  std::uint64_t available_bytes_ = 0;    // That may be sent; all of the blob when that is known.
  const BlobGrowth* grow_ = nullptr;     // Of a blob that is not known yet.
  const BlobOpener& open_;
  std::uint64_t chunk_bytes_;
  const std::stop_token stop_;
  const Scopes scopes_;
  http::Retrier retrier_;
  std::optional<std::chrono::milliseconds> wish_;  // How long the server asked to wait after the last failure.
  bool committing_ = false;                        // The last request was the one that ends an upload.
  std::optional<http::Url> open_session_;          // That has not been ended.
  std::shared_ptr<Feed> feed_ = std::make_shared<Feed>();
};

}  // namespace imagebuild::registry
