#include "oci/layer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace imagebuild::oci {

using archive::Compression;

std::string_view layer_media_type(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return media_type::kOciLayer;
    case Compression::kGzip:
      return media_type::kOciLayerGzip;
    case Compression::kZstd:
      return media_type::kOciLayerZstd;
  }
  return media_type::kOciLayer;
}

Result<Compression> layer_compression(std::string_view media_type) {
  constexpr std::string_view kPrefixes[] = {"application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."};
  for (const std::string_view prefix : kPrefixes) {
    if (!media_type.starts_with(prefix)) continue;
    if (media_type.ends_with(".tar")) return Compression::kNone;
    if (media_type.ends_with(".tar+gzip") || media_type.ends_with(".tar.gzip")) return Compression::kGzip;
    if (media_type.ends_with(".tar+zstd") || media_type.ends_with(".tar.zstd")) return Compression::kZstd;
  }
  return Error{ErrorCode::kUnsupported,
               "a layer of the media type '" + std::string(media_type) +
                   "' is not supported, only tar layers, plain or compressed with gzip or zstd"};
}

LayerWriter::LayerWriter(ByteSink& out, Compression compression, unsigned threads)
    : compression_(compression), blob_(out) {
  if (compression != Compression::kNone) compressor_ = archive::compress_to(blob_, compression, threads);
}

Status LayerWriter::write(std::span<const std::byte> bytes) {
  tar_bytes_ += bytes.size();
  if (!compressor_) return blob_.write(bytes);
  tar_hasher_.update(bytes);
  return compressor_->write(bytes);
}

Result<Layer> LayerWriter::finish() {
  if (compressor_) RETURN_IF_ERROR(compressor_->finish());
  Digest digest = blob_.finish();
  Digest diff_id = compressor_ ? tar_hasher_.finish() : digest;
  return Layer{.diff_id = std::move(diff_id),
               .blob = {.media_type = std::string(layer_media_type(compression_)),
                        .digest = std::move(digest),
                        .size_bytes = blob_.size_bytes()},
               .tar_bytes = tar_bytes_};
}

namespace {

constexpr std::size_t kMagicBytes = 4;

// The first bytes, given back before the rest.
class PrefixedSource final : public ByteSource {
 public:
  PrefixedSource(std::string prefix, std::unique_ptr<ByteSource> rest)
      : prefix_(std::move(prefix)), rest_(std::move(rest)) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (given_ == prefix_.size()) return rest_->read(buffer);
    const std::size_t count = std::min(buffer.size(), prefix_.size() - given_);
    std::memcpy(buffer.data(), prefix_.data() + given_, count);
    given_ += count;
    return count;
  }

 private:
  std::string prefix_;
  std::unique_ptr<ByteSource> rest_;
  std::size_t given_ = 0;
};

// At most `size` bytes from the start of `source`; fewer only at its end.
Result<std::string> read_start(ByteSource& source, std::size_t size) {
  std::string start(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    ASSIGN_OR_RETURN(const std::size_t count, source.read(std::as_writable_bytes(std::span(start)).subspan(have)));
    if (count == 0) break;
    have += count;
  }
  start.resize(have);
  return start;
}

// Counts what was taken from the blob and remembers its end.
class CountingSource final : public ByteSource {
 public:
  explicit CountingSource(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (ended_) return std::size_t{0};
    ASSIGN_OR_RETURN(const std::size_t count, source_->read(buffer));
    ended_ = count == 0;
    size_bytes_ += count;
    return count;
  }
  std::uint64_t size_bytes() const { return size_bytes_; }

 private:
  std::unique_ptr<ByteSource> source_;
  std::uint64_t size_bytes_ = 0;
  bool ended_ = false;
};

class LayerSource final : public ByteSource {
 public:
  LayerSource(std::unique_ptr<CountingSource> blob, Compression compression, std::optional<Digest> diff_id,
              const LayerLimits& limits)
      : blob_(*blob), diff_id_(std::move(diff_id)), limits_(limits) {
    tar_ = compression == Compression::kNone ? std::unique_ptr<ByteSource>(std::move(blob))
                                             : archive::decompress(std::move(blob), compression);
  }

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (ended_) return std::size_t{0};
    ASSIGN_OR_RETURN(const std::size_t count, tar_->read(buffer));
    if (count == 0) {
      RETURN_IF_ERROR(check_end());
      ended_ = true;
      return count;
    }
    tar_bytes_ += count;
    RETURN_IF_ERROR(check_limits());
    if (diff_id_) hasher_.update(buffer.first(count));
    return count;
  }

 private:
  Status check_limits() const {
    if (tar_bytes_ > limits_.max_tar_bytes) {
      return Error{ErrorCode::kLimit,
                   "the layer unpacks to more than " + std::to_string(limits_.max_tar_bytes) + " bytes"};
    }
    if (tar_bytes_ > limits_.ratio_counts_from_bytes && tar_bytes_ / limits_.max_ratio > blob_.size_bytes()) {
      return Error{ErrorCode::kLimit, "the layer unpacks to more than " + std::to_string(limits_.max_ratio) +
                                          " times its size and looks like an archive bomb"};
    }
    return ok();
  }

  // A blob's own digest is verified by its last bytes, so they must have been read.
  Status check_end() {
    std::array<std::byte, 1> probe{};
    ASSIGN_OR_RETURN(const std::size_t more, blob_.read(probe));
    if (more != 0) return Error{ErrorCode::kCorrupt, "the layer has bytes after the end of its compressed stream"};
    if (!diff_id_) return ok();
    const Digest found = hasher_.finish();
    if (found == *diff_id_) return ok();
    return Error{ErrorCode::kCorrupt,
                 "the layer unpacks to " + found.str() + ", but the image config promises " + diff_id_->str()};
  }

  CountingSource& blob_;
  std::unique_ptr<ByteSource> tar_;
  std::optional<Digest> diff_id_;
  LayerLimits limits_;
  Hasher hasher_;
  std::uint64_t tar_bytes_ = 0;
  bool ended_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> open_layer(std::unique_ptr<ByteSource> blob, std::string_view media_type,
                                               std::optional<Digest> diff_id, const LayerLimits& limits) {
  ASSIGN_OR_RETURN(Compression compression, layer_compression(media_type));
  if (compression != Compression::kNone) {
    ASSIGN_OR_RETURN(std::string start, read_start(*blob, kMagicBytes));
    compression = archive::detect_compression(as_bytes(start));
    blob = std::make_unique<PrefixedSource>(std::move(start), std::move(blob));
  }
  auto counted = std::make_unique<CountingSource>(std::move(blob));
  return std::unique_ptr<ByteSource>(
      std::make_unique<LayerSource>(std::move(counted), compression, std::move(diff_id), limits));
}

}  // namespace imagebuild::oci
