// Uploading one blob: at once or in chunks, continued after a failure (distribution-spec, "Pushing blobs").
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

  // Sends the blob, beginning with `session` if there is one already. Returns when the registry has it.
  Status run(std::optional<UploadSession> session);

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
  const oci::Descriptor& blob_;
  const BlobOpener& open_;
  std::uint64_t chunk_bytes_;
  const std::stop_token stop_;
  const Scopes scopes_;
  http::Retrier retrier_;
  std::optional<std::chrono::milliseconds> wish_;  // How long the server asked to wait after the last failure.
  bool committing_ = false;                        // The last request was the one that ends an upload.
  std::shared_ptr<Feed> feed_ = std::make_shared<Feed>();
};

}  // namespace imagebuild::registry
