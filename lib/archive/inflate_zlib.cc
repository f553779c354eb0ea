#include <zlib.h>

#include <algorithm>

#include "archive/inflate.h"

namespace imagebuild::archive {

namespace {

class ZlibInflater final : public Inflater {
 public:
  ZlibInflater() { ready_ = ::inflateInit2(&stream_, -MAX_WBITS) == Z_OK; }
  ~ZlibInflater() override {
    if (ready_) ::inflateEnd(&stream_);
  }
  ZlibInflater(const ZlibInflater&) = delete;
  ZlibInflater& operator=(const ZlibInflater&) = delete;

  Status begin() override {
    if (ready_ && ::inflateReset(&stream_) == Z_OK) return ok();
    return Error{ErrorCode::kInternal, "not enough memory to unpack gzip"};
  }

  Result<Progress> inflate(std::span<const std::byte> in, std::span<std::byte> out) override {
    constexpr std::size_t kMost = 1U << 30;
    in = in.first(std::min(in.size(), kMost));
    out = out.first(std::min(out.size(), kMost));
    // zlib does not write to its input; the const is only missing from its type.
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) return Error{ErrorCode::kInternal, "not enough memory to unpack gzip"};
    if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END) {
      return Error{ErrorCode::kCorrupt, "broken gzip data: invalid deflate blocks"};
    }
    return Progress{in.size() - stream_.avail_in, out.size() - stream_.avail_out, result == Z_STREAM_END};
  }

  std::span<const std::byte> beyond() const override { return {}; }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

MakeInflater chosen = zlib_inflater;

}  // namespace

std::unique_ptr<Inflater> zlib_inflater() {
  return std::make_unique<ZlibInflater>();
}

void inflate_with(MakeInflater make) {
  chosen = make;
}

std::unique_ptr<Inflater> make_inflater() {
  return chosen();
}

}  // namespace imagebuild::archive
