// Keyed digests, for tokens that only their maker can make and check.
#pragma once

#include <string>
#include <string_view>

namespace imagebuild::oci {

// HMAC-SHA256 (RFC 2104), as 64 lower-case hexadecimal digits.
std::string hmac_sha256_hex(std::string_view key, std::string_view message);
// Whether two secrets are the same, in a time that does not tell where they differ.
bool same_secret(std::string_view a, std::string_view b);
// Bytes that nobody can guess. The process ends when the machine has none.
std::string random_bytes(std::size_t count);

}  // namespace imagebuild::oci
