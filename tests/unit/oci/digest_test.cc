#include "oci/digest.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <array>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/file.h"

namespace imagebuild::oci {
namespace {

const std::string kEmpty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string kAbc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Digest, IsTheStandardOne) {
  EXPECT_EQ(Digest::of("").str(), kEmpty);
  EXPECT_EQ(Digest::of("abc").str(), kAbc);
  EXPECT_EQ(Digest::of("abc").hex(), kAbc.substr(7));
}

// What a foreign image may have: a configuration that leaves OpenSSL without SHA-256.
void exit_with_digest_under(const std::string& configuration, bool already_loaded) {
  ::setenv("OPENSSL_CONF", configuration.c_str(), 1);
  if (already_loaded) OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, nullptr);
  std::_Exit(Digest::of("abc").str() == kAbc ? 0 : 1);
}

TEST(DigestDeathTest, DoesNotDependOnTheMachinesOpensslConfiguration) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // A fresh process, in which OpenSSL has not begun.
  const TempDir temp = *TempDir::create("openssl-");
  const std::string path = temp.path() / "openssl.cnf";
  ASSERT_TRUE(
      write_file_atomically(path, "openssl_conf = a\n[a]\nproviders = b\n[b]\nfips = c\n[c]\nactivate = 1\n").ok());
  EXPECT_EXIT(exit_with_digest_under(path, false), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(exit_with_digest_under(path, true), testing::ExitedWithCode(0), "");
}

TEST(Digest, ParsesWhatItPrints) {
  const Result<Digest> digest = Digest::parse(kAbc);
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(*digest, Digest::of("abc"));
}

struct WrongDigest {
  const char* name;
  std::string text;
  const char* message;
};

class WrongDigests : public testing::TestWithParam<WrongDigest> {};

TEST_P(WrongDigests, AreRefusedWithTheReason) {
  const Result<Digest> digest = Digest::parse(GetParam().text);
  ASSERT_FALSE(digest.ok());
  EXPECT_EQ(digest.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(digest.error().message.find(GetParam().message), std::string::npos) << digest.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Table, WrongDigests,
    testing::Values(WrongDigest{"Empty", "", "64 hexadecimal digits"},
                    WrongDigest{"NoAlgorithm", kAbc.substr(7), "64 hexadecimal digits"},
                    WrongDigest{"OtherAlgorithm", "sha512:" + std::string(128, 'a'), "only sha256"},
                    WrongDigest{"Short", kAbc.substr(0, 70), "63 digits"}, WrongDigest{"Long", kAbc + "0", "65 digits"},
                    WrongDigest{"UpperCase", "sha256:" + std::string(64, 'A'), "lower case"},
                    WrongDigest{"Slash", "sha256:" + std::string(63, 'a') + "/", "0-9 and a-f"},
                    WrongDigest{"Path", "sha256:../../../../etc/passwd", "digits"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Hasher, GivesTheSameForAnyPieces) {
  Hasher hasher;
  hasher.update(as_bytes("a"));
  hasher.update({});
  hasher.update(as_bytes("bc"));
  EXPECT_EQ(hasher.finish().str(), kAbc);
}

TEST(Hasher, WorksInManyThreadsAtOnce) {
  std::vector<std::string> results(8);
  {
    std::vector<std::jthread> threads;
    for (std::string& result : results) {
      threads.emplace_back([&result] { result = Digest::of(std::string(100'000, 'x')).str(); });
    }
  }
  for (const std::string& result : results) EXPECT_EQ(result, results.front());
}

TEST(HashingSink, PassesOnAndCounts) {
  StringSink text;
  HashingSink sink(text);
  ASSERT_TRUE(sink.write(as_bytes("ab")).ok());
  ASSERT_TRUE(sink.write(as_bytes("c")).ok());
  EXPECT_EQ(text.text(), "abc");
  EXPECT_EQ(sink.size_bytes(), 3U);
  EXPECT_EQ(sink.finish().str(), kAbc);
}

// Gives at most one byte a call, as a slow connection does.
class OneByteSource final : public ByteSource {
 public:
  explicit OneByteSource(std::string text) : text_(std::move(text)) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override { return text_.read(buffer.first(1)); }

 private:
  StringSource text_;
};

struct VerifiedRow {
  const char* name;
  std::string content;
  std::string promised;
  std::uint64_t promised_bytes;
  const char* message;  // Empty: passes.
};

class Verified : public testing::TestWithParam<VerifiedRow> {};

TEST_P(Verified, EndsCleanlyOnlyWhenSizeAndDigestHold) {
  const VerifiedRow& row = GetParam();
  for (const bool slow : {false, true}) {
    std::unique_ptr<ByteSource> source;
    if (slow) {
      source = std::make_unique<OneByteSource>(row.content);
    } else {
      source = std::make_unique<StringSource>(row.content);
    }
    const std::unique_ptr<ByteSource> checked =
        verified(std::move(source), Digest::of(row.promised), row.promised_bytes);
    const Result<std::string> text = read_all(*checked, 1000);
    if (*row.message == '\0') {
      ASSERT_TRUE(text.ok()) << text.error().message;
      EXPECT_EQ(*text, row.content);
    } else {
      ASSERT_FALSE(text.ok());
      EXPECT_EQ(text.error().code, ErrorCode::kCorrupt);
      EXPECT_NE(text.error().message.find(row.message), std::string::npos) << text.error().message;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Verified,
                         testing::Values(VerifiedRow{"Right", "hello", "hello", 5, ""},
                                         VerifiedRow{"Empty", "", "", 0, ""},
                                         VerifiedRow{"OtherContent", "hellO", "hello", 5, "has the digest"},
                                         VerifiedRow{"TooShort", "hell", "hello", 5, "ends after 4 of 5"},
                                         VerifiedRow{"TooLong", "hello!", "hello", 5, "more than the 5"},
                                         VerifiedRow{"NotEmpty", "x", "", 0, "more than the 0"},
                                         VerifiedRow{"EmptyWithWrongDigest", "", "x", 0, "has the digest"}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Verified, ReportsTheMismatchInsteadOfTheLastBytes) {
  const auto checked = verified(std::make_unique<StringSource>("hellO"), Digest::of("hello"), 5);
  std::array<std::byte, 5> buffer{};
  EXPECT_FALSE(checked->read(buffer).ok());
}

}  // namespace
}  // namespace imagebuild::oci
