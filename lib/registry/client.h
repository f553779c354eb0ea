// The client of the OCI distribution specification 1.1: pulls and pushes manifests and blobs.
//
// Every error is one sentence for a person. kNotFound: the registry has no such thing. kDenied: credentials are
// missing or not enough. kUnavailable: unreachable, or still failing after the retries. kCorrupt: bytes do not match
// their digest. Secrets are in no message. All members may be called by several threads at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/stream.h"
#include "http/retry.h"
#include "http/transport.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "registry/credentials.h"
#include "registry/hosts.h"

namespace imagebuild::registry {

struct ClientOptions {
  HostRules hosts;
  Credentials credentials;
  http::RetryPolicy retry;
  http::RetrySeams seams;
  http::Timeouts timeouts;
  // Uploads larger than this go in several PATCH requests of this size, which can be resumed; 0: one PUT always.
  std::uint64_t chunk_bytes = 64U << 20;
};

// A manifest or index as the registry has it.
struct ManifestContent {
  oci::Descriptor descriptor;  // Media type, digest and size of `bytes`, computed here.
  std::string bytes;
};

// Starts a blob's bytes anew at `offset`; called again when an upload has to resume.
using BlobOpener = std::function<Result<std::unique_ptr<ByteSource>>(std::uint64_t offset)>;

// What there is of a blob that is still being made, and what it is once it is whole.
struct BlobSoFar {
  std::uint64_t size_bytes = 0;
  std::optional<oci::Descriptor> blob;
};
// Waits until the blob has `wanted_bytes` or is whole. Its error ends the upload.
using BlobGrowth = std::function<Result<BlobSoFar>(std::uint64_t wanted_bytes)>;

enum class BlobOutcome {
  kExisted,  // The repository had it already.
  kMounted,  // Taken over from another repository of the same registry, no bytes moved.
  kUploaded,
};

class Client {
 public:
  // `transport` must outlive the client and the blobs that it hands out.
  Client(http::HttpTransport& transport, ClientOptions options);
  ~Client();
  Client(Client&&) noexcept;

  // The manifest or index that `reference` names; by digest if it has one (then the bytes are verified against it).
  // At most oci::kMaxManifestBytes; any of the four OCI and Docker types. Mirrors first.
  Result<ManifestContent> manifest(const oci::Reference& reference, std::stop_token stop = {});
  // The same without the bytes, if the registry tells; falls back to manifest() when it does not.
  Result<oci::Descriptor> resolve(const oci::Reference& reference, std::stop_token stop = {});
  // A blob of the repository of `repository` (its tag does not matter). The bytes are verified as they are read; a
  // connection that breaks is continued where it stopped. Mirrors first.
  Result<std::unique_ptr<ByteSource>> blob(const oci::Reference& repository, const oci::Descriptor& blob,
                                           std::stop_token stop = {});
  // The same for small blobs, whole (a config): kLimit beyond `max_bytes`.
  Result<std::string> blob_text(const oci::Reference& repository, const oci::Descriptor& blob,
                                std::uint64_t max_bytes = oci::kMaxManifestBytes, std::stop_token stop = {});

  // Whether the registry itself (no mirror) has the blob in this repository.
  Result<bool> has_blob(const oci::Reference& repository, const oci::Digest& digest, std::stop_token stop = {});
  // Makes sure that the repository has the blob: by finding it, mounting it from `mount_from` (another repository of
  // the same registry), or uploading it. Uploads resume after a failure.
  Result<BlobOutcome> push_blob(const oci::Reference& repository, const oci::Descriptor& blob, const BlobOpener& open,
                                const std::optional<oci::Reference>& mount_from = {}, std::stop_token stop = {});
  // Uploads a blob while it grows, in chunks of at most 8 MiB, without asking whether the repository has it: its digest
  // is known only at the end. Continues after a failure, like push_blob. After a final failure the registry is told to
  // forget what it got, within seconds and also when `stop` was requested. kUnsupported: it does not take chunks.
  Status push_growing_blob(const oci::Reference& repository, const BlobGrowth& grow, const BlobOpener& open,
                           std::stop_token stop = {});
  // push_blob without its upload: kExisted or kMounted, or nothing when the bytes have to be sent.
  Result<std::optional<BlobOutcome>> adopt_blob(const oci::Reference& repository, const oci::Descriptor& blob,
                                                const std::optional<oci::Reference>& mount_from = {},
                                                std::stop_token stop = {});
  // Puts a manifest or index at the reference's tag, or at its digest when it has no tag. The digest is computed here
  // and must be what the registry answers.
  Result<oci::Digest> push_manifest(const oci::Reference& reference, std::string_view media_type,
                                    std::string_view bytes, std::stop_token stop = {});

  // Every tag of a repository, sorted, as the registry itself has them; none where there is no such repository.
  Result<std::vector<std::string>> tags(const oci::Reference& repository, std::stop_token stop = {});
  // Takes a manifest out of the repository, with every tag that names it; one that is not there is gone already.
  // kUnsupported: the registry removes nothing.
  Status remove_manifest(const oci::Reference& repository, const oci::Digest& digest, std::stop_token stop = {});

 private:
  struct State;
  std::shared_ptr<State> state_;  // Blobs keep it alive.
};

}  // namespace imagebuild::registry
