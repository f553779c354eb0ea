// The file format of OpenSSH's own private keys (PROTOCOL.key in its sources), inside its PEM armour.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "ssh/crypto.h"

namespace imagebuild::ssh {

struct OpensshKey {
  Pkey pkey;
  Bytes public_blob;  // As the file says; not yet compared with the key.
  std::string comment;
};

// `bytes` are what the armour holds. kUnsupported for an encrypted key and for types other than ed25519, rsa and
// ecdsa-sha2-nistp256, 384 and 521; kInvalidInput for anything broken.
Result<OpensshKey> parse_openssh_key(std::span<const std::byte> bytes);

// The two errors that other formats need too.
Error encrypted_key();
Error unsupported_key(std::string_view type);

}  // namespace imagebuild::ssh
