// Feeds bytes to what lib/ssh reads from others: private keys, and the messages of an agent's clients. Besides not
// crashing: a key that was accepted signs, and an answer is a message that can be sent.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ssh/agent.h"
#include "ssh/openssh_key.h"
#include "ssh/private_key.h"

namespace imagebuild::ssh {
namespace {

// Of the seed that is all zeros.
constexpr std::string_view kKnownKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
    "-----END PRIVATE KEY-----\n";

void require(bool holds) {
  if (!holds) std::abort();
}

void check_key(std::string_view text) {
  const Result<PrivateKey> key = PrivateKey::parse(text, "fuzz");
  if (!key.ok()) {
    require(!key.error().message.empty());
    return;
  }
  require(!key->public_blob().empty() && !key->comment().empty());
  require(key->sign(as_bytes("text"), key->type() == "ssh-rsa" ? kSignRsaSha512 : 0).ok());
}

void check_messages(std::span<const std::byte> received) {
  static const std::vector<PrivateKey> keys = {*PrivateKey::parse(kKnownKey)};
  for (;;) {
    const auto message = first_message(received);
    if (!message.ok() || !message->has_value()) return;
    const auto reply = answer(**message, keys);
    require(!reply.empty() && reply.size() <= kMaxMessageBytes);
    require(is_permitted(**message) || reply == refusal());
    received = received.subspan(4 + (*message)->size());
  }
}

void run(std::span<const std::byte> bytes) {
  check_key(as_text(bytes));
  (void)parse_openssh_key(bytes);
  check_messages(bytes);
}

}  // namespace
}  // namespace imagebuild::ssh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  imagebuild::ssh::run(std::as_bytes(std::span<const std::uint8_t>(data, size)));
  return 0;
}
