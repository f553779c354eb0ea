#include "oci/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace imagebuild::oci {

namespace {

constexpr std::string_view kPrefix = "sha256:";
constexpr std::size_t kHexDigits = 64;

bool is_lower_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

// Inside a foreign image openssl.cnf may activate only the fips provider, and then nothing could be hashed, or name
// modules to load. It is not read if nobody has read it yet; a library context of our own is safe even if somebody has.
const EVP_MD* sha256() {
  static const EVP_MD* const algorithm = []() -> const EVP_MD* {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    OSSL_LIB_CTX* context = OSSL_LIB_CTX_new();
    if (context == nullptr || OSSL_PROVIDER_load(context, "default") == nullptr) return nullptr;
    return EVP_MD_fetch(context, "SHA256", nullptr);
  }();
  return algorithm;
}

// There is no correct way on without SHA-256, and no input leads here.
void require(bool holds) {
  if (holds) return;
  std::fputs("imagebuild: OpenSSL cannot compute SHA-256\n", stderr);
  std::abort();
}

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Error{ErrorCode::kInvalidInput,
                 "invalid digest '" + std::string(text.substr(0, 100)) + "': " + std::string(why)};
  };
  if (!text.starts_with(kPrefix)) {
    const bool other_algorithm = text.find(':') != std::string_view::npos && !text.starts_with(':');
    return wrong(other_algorithm ? "only sha256 is supported" : "it must be sha256: and 64 hexadecimal digits");
  }
  const std::string_view hex = text.substr(kPrefix.size());
  if (hex.size() != kHexDigits) return wrong("it has " + std::to_string(hex.size()) + " digits instead of 64");
  if (!std::all_of(hex.begin(), hex.end(), is_lower_hex))
    return wrong("only the digits 0-9 and a-f (lower case) are allowed");
  return Digest(std::string(text));
}

Digest Digest::of(std::string_view bytes) {
  Hasher hasher;
  hasher.update(as_bytes(bytes));
  return hasher.finish();
}

struct Hasher::State {
  struct Free {
    void operator()(EVP_MD_CTX* freed) const { EVP_MD_CTX_free(freed); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  require(sha256() != nullptr && state_->context != nullptr);
  require(EVP_DigestInit_ex2(state_->context.get(), sha256(), nullptr) == 1);
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Digest Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned size = 0;
  require(EVP_DigestFinal_ex(state_->context.get(), raw.data(), &size) == 1 && size * 2 == kHexDigits);
  std::string text(kPrefix);
  text.reserve(kPrefix.size() + kHexDigits);
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[raw[i] >> 4];
    text += "0123456789abcdef"[raw[i] & 15];
  }
  return Digest(std::move(text));
}

Status HashingSink::write(std::span<const std::byte> bytes) {
  hasher_.update(bytes);
  size_bytes_ += bytes.size();
  return next_.write(bytes);
}

namespace {

class VerifiedSource final : public ByteSource {
 public:
  VerifiedSource(std::unique_ptr<ByteSource> source, Digest digest, std::uint64_t size_bytes)
      : source_(std::move(source)), expected_(std::move(digest)), size_bytes_(size_bytes), left_(size_bytes) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (ended_) return std::size_t{0};
    if (left_ == 0) {  // Only the blob of no bytes gets here.
      RETURN_IF_ERROR(finish());
      return std::size_t{0};
    }
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_));
    ASSIGN_OR_RETURN(const std::size_t count, source_->read(buffer.first(wanted)));
    if (count == 0) {
      return corrupt("it ends after " + std::to_string(size_bytes_ - left_) + " of " + std::to_string(size_bytes_) +
                     " bytes");
    }
    hasher_.update(buffer.first(count));
    left_ -= count;
    if (left_ == 0) RETURN_IF_ERROR(finish());
    return count;
  }

 private:
  Status finish() {
    std::array<std::byte, 1> probe{};
    ASSIGN_OR_RETURN(const std::size_t more, source_->read(probe));
    if (more != 0) return corrupt("it has more than the " + std::to_string(size_bytes_) + " bytes promised");
    const Digest found = hasher_.finish();
    if (found != expected_) return corrupt("its content has the digest " + found.str());
    ended_ = true;
    return ok();
  }

  Error corrupt(std::string_view why) const {
    return Error{ErrorCode::kCorrupt, "blob " + expected_.str() + " is damaged: " + std::string(why)};
  }

  std::unique_ptr<ByteSource> source_;
  Digest expected_;
  std::uint64_t size_bytes_;
  std::uint64_t left_;
  Hasher hasher_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> verified(std::unique_ptr<ByteSource> source, const Digest& digest,
                                     std::uint64_t size_bytes) {
  return std::make_unique<VerifiedSource>(std::move(source), digest, size_bytes);
}

}  // namespace imagebuild::oci
