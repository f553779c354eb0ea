// What this room shares of OpenSSL: owners that wipe, one library context, and the names of curves.
#pragma once

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "ssh/wire.h"

namespace imagebuild::ssh {

template <auto kFree>
struct FreeWith {
  template <class T>
  void operator()(T* freed) const {
    kFree(freed);
  }
};
using Pkey = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;  // Wipes its private parts.
using Bignum = std::unique_ptr<BIGNUM, FreeWith<BN_clear_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;

// Memory that OpenSSL allocated as secret, wiped at the end.
class SecretBytes {
 public:
  SecretBytes(unsigned char* data, std::size_t size) : data_(data, Wipe{size}) {}
  std::span<const std::byte> bytes() const {
    return std::as_bytes(std::span<const unsigned char>(data_.get(), data_.get_deleter().size));
  }

 private:
  struct Wipe {
    std::size_t size;
    void operator()(unsigned char* freed) const { OPENSSL_secure_clear_free(freed, size); }
  };
  std::unique_ptr<unsigned char, Wipe> data_;
};

inline const unsigned char* raw_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// Lives as long as the process. It has the default provider and no configuration: the openssl.cnf of a foreign image
// may allow nothing, or load modules.
OSSL_LIB_CTX* crypto_context();

// A curve of RFC 5656, section 10.1.
struct Curve {
  std::string_view name;  // In SSH.
  const char* group;      // In OpenSSL.
  const char* hash;       // That its signatures use (section 6.2.1).
  int coordinate_bytes;
};
inline constexpr Curve kCurves[] = {{"nistp256", "prime256v1", "SHA256", 32},
                                    {"nistp384", "secp384r1", "SHA384", 48},
                                    {"nistp521", "secp521r1", "SHA512", 66}};
inline constexpr std::string_view kEcdsaPrefix = "ecdsa-sha2-";
inline constexpr std::string_view kEd25519 = "ssh-ed25519";
inline constexpr std::string_view kRsa = "ssh-rsa";

}  // namespace imagebuild::ssh
