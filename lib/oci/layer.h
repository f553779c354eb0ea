// Layers: uncompressed tar bytes in, a blob out, and back. A layer's DiffID is the digest of the uncompressed bytes,
// its descriptor's digest that of the blob (OCI image-spec, config.md#layer-diffid).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "archive/compress.h"
#include "base/result.h"
#include "base/stream.h"
#include "oci/manifest.h"

namespace imagebuild::oci {

// OCI's media type of a layer in this compression.
std::string_view layer_media_type(archive::Compression compression);
// The compression that a layer's media type names, OCI's or Docker's. kUnsupported for what is not a tar layer or is
// encrypted or compressed in another way.
Result<archive::Compression> layer_compression(std::string_view media_type);

struct Layer {
  Digest diff_id;
  Descriptor blob;
  std::uint64_t tar_bytes = 0;  // Uncompressed.
};

// Takes the bytes of a tar and passes the blob on. The same bytes give the same blob on any machine.
class LayerWriter final : public ByteSink {
 public:
  // `out` must outlive the writer. `threads`: see archive::compress_to().
  LayerWriter(ByteSink& out, archive::Compression compression, unsigned threads = 0);
  Status write(std::span<const std::byte> bytes) override;
  // Ends the blob; once, after the last write.
  Result<Layer> finish();

 private:
  archive::Compression compression_;
  Hasher tar_hasher_;
  std::uint64_t tar_bytes_ = 0;
  HashingSink blob_;
  std::unique_ptr<archive::CompressingSink> compressor_;  // Writes into blob_.
};

// Bounds for layers nobody vouches for. An honest layer of zeros compresses a thousandfold and more, so the ratio
// counts only beyond a size that a machine survives.
struct LayerLimits {
  std::uint64_t max_tar_bytes = 256ULL << 30;
  std::uint64_t max_ratio = 100;                       // Uncompressed bytes to a byte of the blob…
  std::uint64_t ratio_counts_from_bytes = 8ULL << 30;  // …once the tar is larger than this.
};

// The uncompressed tar of a layer's blob. A blob that is labelled as compressed is unpacked as what its first bytes
// say, as Docker and containerd do: some tools label a reused plain blob gzip. Beyond a limit the reader gets kLimit;
// instead of a clean end it gets kCorrupt when `diff_id` is given and is not the digest of the bytes, or when something
// follows the compressed stream.
Result<std::unique_ptr<ByteSource>> open_layer(std::unique_ptr<ByteSource> blob, std::string_view media_type,
                                               std::optional<Digest> diff_id, const LayerLimits& limits = {});

}  // namespace imagebuild::oci
