#include "ssh/private_key.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "ssh/crypto.h"
#include "ssh/openssh_key.h"

namespace imagebuild::ssh {

OSSL_LIB_CTX* crypto_context() {
  static OSSL_LIB_CTX* const context = []() -> OSSL_LIB_CTX* {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    OSSL_LIB_CTX* made = OSSL_LIB_CTX_new();
    if (made != nullptr && OSSL_PROVIDER_load(made, "default") != nullptr) return made;
    std::fputs("imagebuild: OpenSSL has no default provider\n", stderr);
    std::abort();
  }();
  return context;
}

namespace {

constexpr std::size_t kMaxCommentBytes = 1024;
constexpr int kMinRsaBits = 1024, kMaxRsaBits = 16384;  // As OpenSSH.

Error wrong(ErrorCode code, std::string message) {
  ERR_clear_error();
  return Error{code, std::move(message)};
}

// ------------------------------------------------------------------------------------------------------- the PEM
// armour
struct PemBlock {
  std::string name;  // What follows BEGIN.
  bool encrypted;
  SecretBytes content;
};

// The first block of `text` that is not the parameters which "openssl ecparam -genkey" writes before a key.
Result<PemBlock> read_pem(std::string_view text) {
  const std::unique_ptr<BIO, FreeWith<BIO_free>> in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  for (;;) {
    char *name = nullptr, *header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (PEM_read_bio_ex(in.get(), &name, &header, &data, &size, PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) != 1) {
      if (text.starts_with("PuTTY-"))
        return wrong(ErrorCode::kUnsupported, "keys of PuTTY are not supported; export it in OpenSSH's format");
      if (text.starts_with("ssh-") || text.starts_with("ecdsa-"))
        return wrong(ErrorCode::kInvalidInput, "this is a public key; give the private key");
      return wrong(
          ErrorCode::kInvalidInput,
          "this is not a whole private key: it must go from '-----BEGIN ... PRIVATE KEY-----' to its END line");
    }
    PemBlock block{name, std::string_view(header).find("ENCRYPTED") != std::string_view::npos,
                   SecretBytes(data, static_cast<std::size_t>(size))};
    OPENSSL_secure_free(name);
    OPENSSL_secure_free(header);
    if (block.name != "EC PARAMETERS") return block;
  }
}

Result<OpensshKey> parse_block(const PemBlock& block) {
  const auto content = block.content.bytes();
  if (block.name == "OPENSSH PRIVATE KEY") return parse_openssh_key(content);
  if (block.encrypted || block.name == "ENCRYPTED PRIVATE KEY") return encrypted_key();
  if (block.name == "PRIVATE KEY" || block.name == "RSA PRIVATE KEY" || block.name == "EC PRIVATE KEY") {
    const unsigned char* at = raw_of(content);
    Pkey pkey(d2i_AutoPrivateKey_ex(nullptr, &at, static_cast<long>(content.size()), crypto_context(), nullptr));
    if (!pkey) return wrong(ErrorCode::kInvalidInput, "the private key is damaged, or of a type that is not supported");
    return OpensshKey{.pkey = std::move(pkey)};
  }
  if (block.name == "DSA PRIVATE KEY") return unsupported_key("ssh-dss");
  if (block.name.ends_with("PUBLIC KEY"))
    return wrong(ErrorCode::kInvalidInput, "this is a public key; give the private key");
  return wrong(ErrorCode::kUnsupported, "a PEM block '" + block.name.substr(0, 64) + "' is not a private key");
}

// ------------------------------------------------------------------------------------------------------ the public
// half
Bignum parameter(const EVP_PKEY* pkey, const char* name) {
  BIGNUM* value = nullptr;
  return EVP_PKEY_get_bn_param(pkey, name, &value) == 1 ? Bignum(value) : nullptr;
}

// An mpint; what OpenSSL calls MPI is the same.
void put_number(Writer& out, const BIGNUM* value) {
  Bytes bytes(static_cast<std::size_t>(BN_bn2mpi(value, nullptr)));
  BN_bn2mpi(value, reinterpret_cast<unsigned char*>(bytes.data()));
  out.raw(bytes);
}

void put_coordinate(Writer& out, const BIGNUM* value, int size_bytes) {
  Bytes bytes(static_cast<std::size_t>(size_bytes));
  BN_bn2binpad(value, reinterpret_cast<unsigned char*>(bytes.data()), size_bytes);
  out.raw(bytes);
}

// The curve of an EC key if SSH has it.
const Curve* curve_of(const EVP_PKEY* pkey) {
  std::array<char, 64> group{};
  std::size_t size = 0;
  if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(), &size) != 1) {
    return nullptr;
  }
  const auto found = std::ranges::find(kCurves, std::string_view(group.data(), size), &Curve::group);
  return found == std::end(kCurves) ? nullptr : &*found;
}

// ---------------------------------------------------------------------------------------------------------------
// signing What OpenSSL makes; empty when it cannot. Ed25519 has no hash of its own (null).
Bytes raw_signature(EVP_PKEY* pkey, const char* hash, std::span<const std::byte> data) {
  const DigestContext context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (!context || EVP_DigestSignInit_ex(context.get(), nullptr, hash, crypto_context(), nullptr, pkey, nullptr) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, raw_of(data), data.size()) != 1) {
    return {};
  }
  Bytes signature(size);
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  if (EVP_DigestSign(context.get(), out, &size, raw_of(data), data.size()) != 1) return {};
  signature.resize(size);
  return signature;
}

// Whether the public half accepts what the private half signs: a damaged key is found now, not by a server.
bool halves_belong_together(EVP_PKEY* pkey, const char* hash) {
  const auto data = as_bytes("imagebuild");
  const Bytes signature = raw_signature(pkey, hash, data);
  const DigestContext context(EVP_MD_CTX_new());
  return !signature.empty() && context &&
         EVP_DigestVerifyInit_ex(context.get(), nullptr, hash, crypto_context(), nullptr, pkey, nullptr) == 1 &&
         EVP_DigestVerify(context.get(), raw_of(signature), signature.size(), raw_of(data), data.size()) == 1;
}

// ECDSA's two numbers, out of OpenSSL's DER; empty when they are not there.
Bytes ecdsa_numbers(const Bytes& der) {
  const unsigned char* at = raw_of(der);
  const std::unique_ptr<ECDSA_SIG, FreeWith<ECDSA_SIG_free>> pair(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!pair) return {};
  Writer out;
  put_number(out, ECDSA_SIG_get0_r(pair.get()));
  put_number(out, ECDSA_SIG_get0_s(pair.get()));
  return out.take();
}

}  // namespace

// Fills in type, hash and public half from the key itself.
Status PrivateKey::describe() {
  EVP_PKEY* const pkey = pkey_.get();
  Writer blob;
  if (EVP_PKEY_is_a(pkey, "ED25519")) {
    type_ = kEd25519;
    std::array<std::byte, 32> half{};
    std::size_t size = half.size();
    EVP_PKEY_get_raw_public_key(pkey, reinterpret_cast<unsigned char*>(half.data()), &size);
    blob.text(type_).string(half);
  } else if (EVP_PKEY_is_a(pkey, "RSA")) {
    if (const int bits = EVP_PKEY_get_bits(pkey); bits < kMinRsaBits || bits > kMaxRsaBits)
      return wrong(ErrorCode::kUnsupported,
                   "the RSA key has " + std::to_string(bits) + " bits; it must have 1024 to 16384");
    type_ = kRsa;
    hash_ = "SHA256";
    const Bignum e = parameter(pkey, OSSL_PKEY_PARAM_RSA_E), n = parameter(pkey, OSSL_PKEY_PARAM_RSA_N);
    if (!e || !n) return wrong(ErrorCode::kInvalidInput, "the private key is not complete");
    blob.text(type_);
    put_number(blob, e.get());
    put_number(blob, n.get());
  } else if (EVP_PKEY_is_a(pkey, "EC")) {
    const Curve* const curve = curve_of(pkey);
    if (curve == nullptr) return unsupported_key("EC with another curve than nistp256, nistp384 or nistp521");
    type_ = std::string(kEcdsaPrefix) + std::string(curve->name);
    hash_ = curve->hash;
    const Bignum x = parameter(pkey, OSSL_PKEY_PARAM_EC_PUB_X), y = parameter(pkey, OSSL_PKEY_PARAM_EC_PUB_Y);
    if (!x || !y) return wrong(ErrorCode::kInvalidInput, "the private key is not complete");
    Writer point;
    point.byte(4);  // Not compressed (SEC 1, section 2.3.3).
    put_coordinate(point, x.get(), curve->coordinate_bytes);
    put_coordinate(point, y.get(), curve->coordinate_bytes);
    blob.text(type_).text(curve->name).string(point.take());
  } else {
    const char* const name = EVP_PKEY_get0_type_name(pkey);
    return unsupported_key(name == nullptr ? "?" : name);
  }
  public_blob_ = blob.take();
  return ok();
}

Result<PrivateKey> PrivateKey::parse(std::string_view text, std::string_view name) {
  if (text.size() > kMaxKeyFileBytes)
    return Error{ErrorCode::kLimit, "this is not a private key: it is larger than 64 KiB"};
  ASSIGN_OR_RETURN(const PemBlock block, read_pem(text));
  ASSIGN_OR_RETURN(OpensshKey parsed, parse_block(block));
  PrivateKey key(std::move(parsed.pkey));
  RETURN_IF_ERROR(key.describe());
  const bool same_public = parsed.public_blob.empty() || parsed.public_blob == key.public_blob_;
  if (!same_public || !halves_belong_together(key.pkey_.get(), key.hash_))
    return wrong(ErrorCode::kInvalidInput, "the private key is damaged: its public half does not belong to it");
  key.comment_ = parsed.comment.empty() ? name : parsed.comment;
  if (key.comment_.size() > kMaxCommentBytes)
    return Error{ErrorCode::kLimit,
                 "the private key's comment is longer than 1024 bytes; change it with 'ssh-keygen -c'"};
  return key;
}

Result<std::vector<std::byte>> PrivateKey::sign(std::span<const std::byte> data, std::uint32_t flags) const {
  if ((flags & ~(kSignRsaSha256 | kSignRsaSha512)) != 0)
    return Error{ErrorCode::kUnsupported, "signatures with the flags " + std::to_string(flags) + " are not supported"};
  std::string algorithm = type_;
  const char* hash = hash_;
  if (type_ == kRsa) {
    if (flags == 0) return Error{ErrorCode::kUnsupported, "signatures with RSA and SHA-1 (ssh-rsa) are not supported"};
    const bool sha256 = (flags & kSignRsaSha256) != 0;
    algorithm = sha256 ? "rsa-sha2-256" : "rsa-sha2-512";
    hash = sha256 ? "SHA256" : "SHA512";
  }
  Bytes signature = raw_signature(pkey_.get(), hash, data);
  if (type_.starts_with(kEcdsaPrefix)) signature = ecdsa_numbers(signature);
  if (signature.empty()) return wrong(ErrorCode::kInternal, "OpenSSL could not sign");
  return Writer().text(algorithm).string(signature).take();
}

}  // namespace imagebuild::ssh
