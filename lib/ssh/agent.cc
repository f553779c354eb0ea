#include "ssh/agent.h"

#include <algorithm>

#include "ssh/wire.h"

namespace imagebuild::ssh {
namespace {

// draft-miller-ssh-agent, section 8.1.
constexpr std::uint8_t kFailure = 5;
constexpr std::uint8_t kRequestIdentities = 11;
constexpr std::uint8_t kIdentitiesAnswer = 12;
constexpr std::uint8_t kSignRequest = 13;
constexpr std::uint8_t kSignResponse = 14;

Bytes sign(Reader& in, std::span<const PrivateKey> keys) {
  const auto blob = in.string();
  const auto data = in.string();
  const std::uint32_t flags = in.uint32();
  if (!in.at_end()) return refusal();
  const auto key = std::ranges::find_if(
      keys, [&](const PrivateKey& candidate) { return std::ranges::equal(candidate.public_blob(), blob); });
  if (key == keys.end()) return refusal();
  const Result<Bytes> signature = key->sign(data, flags);
  return signature.ok() ? Writer().byte(kSignResponse).string(*signature).take() : refusal();
}

}  // namespace

Result<std::optional<std::span<const std::byte>>> first_message(std::span<const std::byte> received) {
  Reader in(received);
  const std::size_t size = in.uint32();
  if (!in.good()) return std::optional<std::span<const std::byte>>();
  if (size == 0) return Error{ErrorCode::kInvalidInput, "a message of the SSH agent protocol is empty"};
  if (size > kMaxMessageBytes)
    return Error{ErrorCode::kLimit, "a message of the SSH agent protocol is longer than 256 KiB"};
  const auto message = in.raw(size);
  return in.good() ? std::optional(message) : std::nullopt;
}

bool is_permitted(std::span<const std::byte> request) {
  const std::uint8_t type = Reader(request).byte();
  return type == kRequestIdentities || type == kSignRequest;
}

Bytes refusal() {
  return Writer().byte(kFailure).take();
}

Bytes identities(std::span<const PrivateKey> keys) {
  Writer out;
  out.byte(kIdentitiesAnswer).uint32(keys.size());
  for (const PrivateKey& key : keys) out.string(key.public_blob()).text(key.comment());
  return out.take();
}

Bytes answer(std::span<const std::byte> request, std::span<const PrivateKey> keys) {
  Reader in(request);
  const std::uint8_t type = in.byte();
  if (type == kRequestIdentities && in.at_end()) return identities(keys);
  if (type == kSignRequest) return sign(in, keys);
  return refusal();
}

}  // namespace imagebuild::ssh
