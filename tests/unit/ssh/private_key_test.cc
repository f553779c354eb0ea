#include "ssh/private_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssh/openssh_key.h"
#include "unit/ssh/key_files.h"

namespace imagebuild::ssh {
namespace {

using ::testing::HasSubstr;

// "ssh-ed25519 AAAA…", without the comment.
std::string public_line(const PrivateKey& key) {
  return key.type() + " " + base64(key.public_blob());
}

TEST(PrivateKey, ReadsEveryTypeInEveryFormatOfSshKeygen) {
  const KeyFiles files;
  for (const KeyKind& kind : kEveryKind) {
    for (const std::string format : {"RFC4716", "PEM", "PKCS8"}) {  // The first is OpenSSH's own.
      if (kind.name == "ed25519" && format != "RFC4716") continue;  // Which ssh-keygen 9.2 does not write.
      SCOPED_TRACE(kind.name + " as " + format);
      std::vector<std::string> options = kind.options;
      options.insert(options.end(), {"-m", format});
      const Result<PrivateKey> key = PrivateKey::parse(files.make(kind.name + format, options, "me@here"), "from id");
      ASSERT_TRUE(key.ok()) << key.error().message;
      EXPECT_EQ(public_line(*key) + " me@here\n", files.read(kind.name + format + ".pub"));
      EXPECT_EQ(key->comment(), format == "RFC4716" ? "me@here" : "from id");
    }
  }
}

TEST(PrivateKey, ReadsWhatOpensslWrites) {
  const KeyFiles files;
  const std::pair<std::string, std::vector<std::string>> rows[] = {
      {"PKCS#8 RSA", {"openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}},
      {"PKCS#8 EC", {"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}},
      {"traditional RSA", {"openssl", "genrsa", "-traditional", "2048"}},
      {"EC after its parameters", {"openssl", "ecparam", "-name", "prime256v1", "-genkey"}},
      {"EC with a compressed point",
       {"openssl", "ecparam", "-name", "secp521r1", "-genkey", "-conv_form", "compressed"}},
  };
  for (const auto& [name, argv] : rows) {
    SCOPED_TRACE(name);
    const std::string text = files.run(argv);
    files.write("key", text);
    const Result<PrivateKey> key = PrivateKey::parse(text);
    ASSERT_TRUE(key.ok()) << key.error().message;
    EXPECT_EQ(public_line(*key) + "\n", files.run({"ssh-keygen", "-y", "-f", "key"}));
    EXPECT_EQ(key->comment(), "");
  }
}

// RFC 8032's arithmetic gives this public half for the seed that is all zeros.
TEST(PrivateKey, ReadsEd25519AsPkcs8) {
  const Result<PrivateKey> key = PrivateKey::parse(
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
      "-----END PRIVATE KEY-----\n");
  ASSERT_TRUE(key.ok()) << key.error().message;
  EXPECT_EQ(public_line(*key), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop");
}

TEST(PrivateKey, ForgivesLineEndsAndTheMissingLastOne) {
  const KeyFiles files;
  const std::string text = files.make("key", {"-t", "ed25519"});
  std::string windows;
  for (const char c : text) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_TRUE(PrivateKey::parse(windows).ok());
  EXPECT_TRUE(PrivateKey::parse(text.substr(0, text.size() - 1)).ok());
}

// An "OpenSSH" key of a type that has no further fields here.
std::string of_type(std::string_view type) {
  const Bytes secret = Writer().uint32(7).uint32(7).text(type).take();
  return in_openssh_armour(Writer()
                               .raw(as_bytes(std::string_view("openssh-key-v1\0", 15)))
                               .text("none")
                               .text("none")
                               .text("")
                               .uint32(1)
                               .text("public")
                               .string(Writer().raw(secret).raw(Bytes(8 - secret.size() % 8)).take())
                               .take());
}

TEST(PrivateKey, SaysWhatIsWrong) {
  const KeyFiles files;
  const auto pem = [&](std::vector<std::string> argv) { return files.run(argv); };
  const std::string good = files.make("good", {"-t", "ed25519"});
  Bytes swapped = armoured_content(good);
  swapped[93] ^= std::byte{1};  // The last byte of the public half that stands before the secret part.
  const struct {
    std::string name, text;
    ErrorCode code;
    std::string says;
  } rows[] = {
      {"encrypted, OpenSSH", files.make("a", {"-t", "ed25519"}, "c", "secret"), ErrorCode::kUnsupported,
       "without a pass"},
      {"encrypted, PEM", files.make("b", {"-t", "rsa", "-m", "PEM"}, "c", "secret"), ErrorCode::kUnsupported,
       "encrypted"},
      {"encrypted, PKCS#8", files.make("d", {"-t", "ecdsa", "-m", "PKCS8"}, "c", "secret"), ErrorCode::kUnsupported,
       "or the socket of an SSH agent"},
      {"DSA, OpenSSH", files.make("e", {"-t", "dsa"}), ErrorCode::kUnsupported, "'ssh-dss' are not supported"},
      {"DSA, PEM", files.make("f", {"-t", "dsa", "-m", "PEM"}), ErrorCode::kUnsupported, "'ssh-dss' are not supported"},
      {"DSA, PKCS#8", files.make("g", {"-t", "dsa", "-m", "PKCS8"}), ErrorCode::kUnsupported,
       "'DSA' are not supported"},
      {"Ed448", pem({"openssl", "genpkey", "-algorithm", "ED448"}), ErrorCode::kUnsupported,
       "'ED448' are not supported"},
      {"RSA-PSS", pem({"openssl", "genpkey", "-algorithm", "RSA-PSS"}), ErrorCode::kUnsupported, "'RSA-PSS' are not"},
      {"another curve", pem({"openssl", "ecparam", "-name", "secp256k1", "-genkey"}), ErrorCode::kUnsupported,
       "another curve"},
      {"a short RSA key", pem({"openssl", "genrsa", "512"}), ErrorCode::kUnsupported, "has 512 bits"},
      {"a token's key", of_type("sk-ssh-ed25519@openssh.com"), ErrorCode::kUnsupported,
       "'sk-ssh-ed25519@openssh.com' are"},
      {"an unprintable type", of_type("a\nb"), ErrorCode::kUnsupported, "'?' are"},
      {"a public key", files.read("good.pub"), ErrorCode::kInvalidInput, "this is a public key"},
      {"a public key as PEM", pem({"ssh-keygen", "-e", "-m", "PKCS8", "-f", "b.pub"}), ErrorCode::kInvalidInput,
       "this is a public key"},
      {"PuTTY's format", "PuTTY-User-Key-File-3: ssh-ed25519\n", ErrorCode::kUnsupported, "PuTTY"},
      {"nothing", "", ErrorCode::kInvalidInput, "not a whole private key"},
      {"half of it", good.substr(0, good.size() / 2), ErrorCode::kInvalidInput, "not a whole private key"},
      {"another PEM block", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ErrorCode::kUnsupported,
       "'CERTIFICATE' is not a private key"},
      {"damaged PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ErrorCode::kInvalidInput,
       "damaged"},
      {"halves of two keys", in_openssh_armour(swapped), ErrorCode::kInvalidInput, "does not belong to it"},
      {"too large", std::string(kMaxKeyFileBytes + 1, 'A'), ErrorCode::kLimit, "larger than 64 KiB"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const Result<PrivateKey> key = PrivateKey::parse(row.text);
    ASSERT_FALSE(key.ok());
    EXPECT_EQ(key.error().code, row.code) << key.error().message;
    EXPECT_THAT(key.error().message, HasSubstr(row.says));
  }
}

TEST(PrivateKey, BoundsItsComment) {
  const KeyFiles files;
  const std::string text = files.make("key", {"-t", "ed25519"}, "");
  EXPECT_TRUE(PrivateKey::parse(text, std::string(1024, 'c')).ok());
  EXPECT_EQ(PrivateKey::parse(text, std::string(1025, 'c')).error().code, ErrorCode::kLimit);
}

TEST(PrivateKey, TakesNoPartOfAnOpensshKeyForAll) {
  const KeyFiles files;
  for (const KeyKind& kind : kEveryKind) {
    const Bytes whole = armoured_content(files.make(kind.name, kind.options));
    ASSERT_TRUE(parse_openssh_key(whole).ok()) << kind.name;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(parse_openssh_key(std::span(whole).first(size)).ok()) << kind.name << " " << size;
    }
  }
}

TEST(PrivateKey, SignsWithTheHashThatTheFlagsName) {
  const KeyFiles files;
  const PrivateKey rsa = *PrivateKey::parse(files.make("rsa", {"-t", "rsa", "-b", "1024"}));
  files.write("public.pem", files.run({"ssh-keygen", "-e", "-m", "PKCS8", "-f", "rsa.pub"}));
  files.write("data", "text");
  const struct {
    std::uint32_t flags;
    std::string algorithm, digest;
  } rows[] = {{kSignRsaSha256, "rsa-sha2-256", "-sha256"},
              {kSignRsaSha512, "rsa-sha2-512", "-sha512"},
              {kSignRsaSha256 | kSignRsaSha512, "rsa-sha2-256", "-sha256"}};  // As OpenSSH's agent chooses.
  for (const auto& row : rows) {
    const Result<Bytes> signature = rsa.sign(as_bytes("text"), row.flags);
    ASSERT_TRUE(signature.ok()) << row.flags;
    Reader in(*signature);
    EXPECT_EQ(in.text(), row.algorithm);
    files.write("signature", in.text());
    EXPECT_TRUE(in.at_end());
    files.run({"openssl", "dgst", row.digest, "-verify", "public.pem", "-signature", "signature", "data"});
  }
}

TEST(PrivateKey, RefusesSha1AndUnknownFlags) {
  const KeyFiles files;
  const PrivateKey rsa = *PrivateKey::parse(files.make("rsa", {"-t", "rsa", "-b", "1024"}));
  const PrivateKey ed25519 = *PrivateKey::parse(files.make("ed25519", {"-t", "ed25519"}));
  EXPECT_EQ(rsa.sign({}, 0).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(rsa.sign({}, kSignRsaSha256 | 8).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(ed25519.sign({}, 1).error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(ed25519.sign({}, 0).ok());
  EXPECT_TRUE(ed25519.sign({}, kSignRsaSha512).ok());  // Says nothing about other types.
}

TEST(PrivateKey, IsAValue) {
  const KeyFiles files;
  Result<PrivateKey> first = PrivateKey::parse(files.make("key", {"-t", "ed25519"}));
  const PrivateKey copy = *first;
  const Bytes before = *first->sign(as_bytes("a"), 0);
  first = Error{};
  EXPECT_EQ(*copy.sign(as_bytes("a"), 0), before);
}

}  // namespace
}  // namespace imagebuild::ssh
