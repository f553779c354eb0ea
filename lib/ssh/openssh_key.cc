#include "ssh/openssh_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include <algorithm>

namespace imagebuild::ssh {
namespace {

constexpr std::string_view kMagic("openssh-key-v1\0", 15);
constexpr std::size_t kBlockBytes = 8;  // Of the cipher "none".

using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>>;
using BignumContext = std::unique_ptr<BN_CTX, FreeWith<BN_CTX_free>>;

// A number as the values of SSH have it (mpint); none are negative here. OpenSSL wipes copies of "secure" ones.
Bignum number(Reader& in) {
  const auto bytes = in.string();
  if (!bytes.empty() && (bytes[0] & std::byte{0x80}) != std::byte{0}) return nullptr;
  Bignum value(BN_secure_new());
  return BN_bin2bn(raw_of(bytes), static_cast<int>(bytes.size()), value.get()) == nullptr ? nullptr : std::move(value);
}

Pkey from_params(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(crypto_context(), type, nullptr));
  EVP_PKEY* pkey = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
  if (EVP_PKEY_fromdata(context.get(), &pkey, EVP_PKEY_KEYPAIR, params.get()) != 1) return nullptr;
  return Pkey(pkey);
}

Pkey read_ed25519(Reader& in) {
  in.string();  // The public half again.
  const auto seed_and_public = in.string();
  if (seed_and_public.size() != 64) return nullptr;
  return Pkey(EVP_PKEY_new_raw_private_key_ex(crypto_context(), "ED25519", nullptr, raw_of(seed_and_public), 32));
}

// d mod (prime - 1), which the file leaves out.
Bignum exponent_for(const BIGNUM* d, const BIGNUM* prime) {
  Bignum less(BN_dup(prime));
  Bignum exponent(BN_secure_new());
  const BignumContext scratch(BN_CTX_secure_new());
  if (!less || !exponent || !scratch || BN_num_bits(prime) < 2 || BN_sub_word(less.get(), 1) != 1) return nullptr;
  BN_set_flags(less.get(), BN_FLG_CONSTTIME);
  return BN_mod(exponent.get(), d, less.get(), scratch.get()) == 1 ? std::move(exponent) : nullptr;
}

Pkey read_rsa(Reader& in) {
  const Bignum n = number(in), e = number(in), d = number(in), iqmp = number(in), p = number(in), q = number(in);
  if (!in.good() || !n || !e || !d || !iqmp || !p || !q) return nullptr;
  const Bignum dmp1 = exponent_for(d.get(), p.get()), dmq1 = exponent_for(d.get(), q.get());
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!dmp1 || !dmq1 || !builder) return nullptr;
  const std::pair<const char*, const Bignum&> named[] = {{OSSL_PKEY_PARAM_RSA_N, n},
                                                         {OSSL_PKEY_PARAM_RSA_E, e},
                                                         {OSSL_PKEY_PARAM_RSA_D, d},
                                                         {OSSL_PKEY_PARAM_RSA_FACTOR1, p},
                                                         {OSSL_PKEY_PARAM_RSA_FACTOR2, q},
                                                         {OSSL_PKEY_PARAM_RSA_EXPONENT1, dmp1},
                                                         {OSSL_PKEY_PARAM_RSA_EXPONENT2, dmq1},
                                                         {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, iqmp}};
  for (const auto& [name, value] : named) {
    if (OSSL_PARAM_BLD_push_BN(builder.get(), name, value.get()) != 1) return nullptr;
  }
  return from_params("RSA", builder.get());
}

Pkey read_ecdsa(Reader& in, const Curve& curve) {
  const bool same_curve = in.text() == curve.name;
  const auto point = in.string();
  const Bignum secret = number(in);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!in.good() || !same_curve || !secret || !builder) return nullptr;
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret.get()) != 1) {
    return nullptr;
  }
  return from_params("EC", builder.get());
}

bool is_padding(std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (std::to_integer<std::size_t>(bytes[i]) != i + 1) return false;
  }
  return bytes.size() < kBlockBytes;
}

Error broken() {
  ERR_clear_error();
  return Error{ErrorCode::kInvalidInput, "the private key is damaged or not complete"};
}

// The part that a passphrase would hide.
Result<OpensshKey> parse_secret_part(std::span<const std::byte> bytes) {
  Reader in(bytes);
  const std::uint32_t check = in.uint32();
  if (in.uint32() != check || bytes.size() % kBlockBytes != 0) return broken();
  const std::string_view type = in.text();
  if (!in.good()) return broken();
  OpensshKey key;
  if (type == kEd25519) {
    key.pkey = read_ed25519(in);
  } else if (type == kRsa) {
    key.pkey = read_rsa(in);
  } else {
    const auto curve = std::ranges::find_if(kCurves, [&](const Curve& candidate) {
      return type.starts_with(kEcdsaPrefix) && type.substr(kEcdsaPrefix.size()) == candidate.name;
    });
    if (curve == std::end(kCurves)) return unsupported_key(type);
    key.pkey = read_ecdsa(in, *curve);
  }
  key.comment = in.text();
  if (!key.pkey || !in.good() || !is_padding(in.rest())) return broken();
  return key;
}

}  // namespace

Error encrypted_key() {
  return Error{ErrorCode::kUnsupported,
               "the private key is encrypted; give a key without a passphrase, or the socket of an SSH agent"};
}

Error unsupported_key(std::string_view type) {
  const bool printable = std::ranges::all_of(type, [](char c) { return c >= ' ' && c <= '~'; });
  return Error{ErrorCode::kUnsupported, "private keys of type '" +
                                            std::string(printable ? type.substr(0, 64) : std::string_view("?")) +
                                            "' are not supported; give an ed25519, RSA or ECDSA key, or the socket of "
                                            "an SSH agent"};
}

Result<OpensshKey> parse_openssh_key(std::span<const std::byte> bytes) {
  Reader in(bytes);
  if (as_text(in.raw(kMagic.size())) != kMagic) return broken();
  const std::string_view cipher = in.text(), derivation = in.text();
  in.string();  // What the derivation needs.
  const std::uint32_t keys = in.uint32();
  const auto public_blob = in.string();
  const auto secret = in.string();
  if (!in.good()) return broken();
  if (cipher != "none" || derivation != "none") return encrypted_key();
  if (keys != 1 || !in.at_end()) return broken();
  ASSIGN_OR_RETURN(OpensshKey key, parse_secret_part(secret));
  key.public_blob.assign(public_blob.begin(), public_blob.end());
  return key;
}

}  // namespace imagebuild::ssh
