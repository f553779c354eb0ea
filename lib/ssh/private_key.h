// An SSH private key: read from the text of a file, and used to sign as an SSH agent does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY.

namespace imagebuild::ssh {

inline constexpr std::size_t kMaxKeyFileBytes = 64UL << 10U;

// Flags of a sign request (draft-miller-ssh-agent, section 6.5.1).
inline constexpr std::uint32_t kSignRsaSha256 = 2;
inline constexpr std::uint32_t kSignRsaSha512 = 4;

// A value: copies share the same secret, which is wiped with the last of them. May be used by several threads.
class PrivateKey {
 public:
  // An unencrypted key of type ed25519, RSA (1024 to 16384 bits) or ECDSA over nistp256, 384 or 521, in OpenSSH's
  // format or as PEM ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"), whose halves belong together. `name` becomes
  // the comment of a key that has none; PEM keys never have one. kUnsupported for other types and for encrypted keys,
  // kLimit beyond kMaxKeyFileBytes, kInvalidInput for what is no private key. No error holds any part of the text.
  // The caller wipes `text`.
  static Result<PrivateKey> parse(std::string_view text, std::string_view name = {});

  // "ssh-ed25519", "ssh-rsa" or "ecdsa-sha2-nistp…".
  const std::string& type() const { return type_; }
  // The public half as SSH sends it (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4).
  std::span<const std::byte> public_blob() const { return public_blob_; }
  const std::string& comment() const { return comment_; }

  // The signature as SSH sends it, with its algorithm (RFC 8332 section 3, RFC 5656 section 3.1.2, RFC 8709 section 6).
  // `flags` choose the hash of an RSA key; the signature of one without a flag would need SHA-1 and is kUnsupported, as
  // are flags that are not named above.
  Result<std::vector<std::byte>> sign(std::span<const std::byte> data, std::uint32_t flags) const;

 private:
  explicit PrivateKey(std::shared_ptr<evp_pkey_st> pkey) : pkey_(std::move(pkey)) {}
  Status describe();

  std::shared_ptr<evp_pkey_st> pkey_;
  std::string type_;
  const char* hash_ = nullptr;  // OpenSSL's name of the hash that the key's signatures use, unless flags say another.
  std::vector<std::byte> public_blob_;
  std::string comment_;
};

}  // namespace imagebuild::ssh
