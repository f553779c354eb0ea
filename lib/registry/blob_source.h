// A blob's bytes from one server, continued with a Range request when the connection breaks.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>

#include "base/stream.h"
#include "oci/digest.h"
#include "registry/wire.h"

namespace imagebuild::registry {

class BlobSource final : public ByteSource {
 public:
  // `wire` is kept alive by `owner`. The bytes are not verified here.
  static Result<std::unique_ptr<ByteSource>> open(std::shared_ptr<void> owner, Wire& wire, Target target,
                                                  const oci::Digest& digest, std::stop_token stop);
  Result<std::size_t> read(std::span<std::byte> buffer) override;

 private:
  BlobSource(std::shared_ptr<void> owner, Wire& wire, Target target, const oci::Digest& digest, std::stop_token stop)
      : owner_(std::move(owner)),
        wire_(wire),
        target_(std::move(target)),
        digest_(digest),
        retrier_(wire.retrier(target_, stop)),
        stop_(std::move(stop)) {}
  Status connect();  // Asks for the rest from offset_ on, with retries.
  Status connect_once();
  Status skip(std::uint64_t count);

  std::shared_ptr<void> owner_;
  Wire& wire_;
  Target target_;
  oci::Digest digest_;
  http::Retrier retrier_;
  std::stop_token stop_;
  std::unique_ptr<ByteSource> body_;
  std::uint64_t offset_ = 0;
  std::uint64_t progress_ = 0;                     // Bytes since the last failure.
  std::optional<std::chrono::milliseconds> wish_;  // How long the server asked to wait after the last failure.
};

}  // namespace imagebuild::registry
