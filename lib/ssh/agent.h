// The SSH agent protocol (draft-miller-ssh-agent) without I/O: which keys there are, and signing with one.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "ssh/private_key.h"

namespace imagebuild::ssh {

// Of a message without its length; OpenSSH has the same bound.
inline constexpr std::size_t kMaxMessageBytes = 256UL << 10U;

// The first message in `received`, without the four bytes of its length; nothing while it is not whole. kInvalidInput
// for an empty one, kLimit for one that says to be longer than kMaxMessageBytes.
Result<std::optional<std::span<const std::byte>>> first_message(std::span<const std::byte> received);

// Whether the request does no more than look at keys or sign: those of a build may not change or lock an agent.
bool is_permitted(std::span<const std::byte> request);

// The message that says no.
std::vector<std::byte> refusal();

// The answer to one request, both without their length. Whatever is not REQUEST_IDENTITIES or a SIGN_REQUEST for one of
// `keys` is refused, extensions too.
std::vector<std::byte> answer(std::span<const std::byte> request, std::span<const PrivateKey> keys);

// What answer() says to a request for the list of keys.
std::vector<std::byte> identities(std::span<const PrivateKey> keys);

}  // namespace imagebuild::ssh
