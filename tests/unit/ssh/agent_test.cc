#include "ssh/agent.h"

#include <gtest/gtest.h>

#include "unit/ssh/key_files.h"

namespace imagebuild::ssh {
namespace {

class Agent : public ::testing::Test {
 protected:
  Bytes sign_request(std::span<const std::byte> blob, std::uint32_t flags = 0) const {
    return Writer().byte(13).string(blob).text("data").uint32(flags).take();
  }
  const Bytes kFailure{std::byte{5}};
  KeyFiles files_;
  std::vector<PrivateKey> keys_ = {*PrivateKey::parse(files_.make("a", {"-t", "ed25519"}, "first")),
                                   *PrivateKey::parse(files_.make("b", {"-t", "rsa", "-b", "1024"}, ""))};
};

TEST_F(Agent, ListsItsKeysInTheirOrder) {
  const Bytes reply = answer(Writer().byte(11).take(), keys_);
  Reader in(reply);
  EXPECT_EQ(in.byte(), 12);
  EXPECT_EQ(in.uint32(), 2U);
  for (const PrivateKey& key : keys_) {
    EXPECT_EQ(as_text(in.string()), as_text(key.public_blob()));
    EXPECT_EQ(in.text(), key.comment());
  }
  EXPECT_TRUE(in.at_end());
}

TEST_F(Agent, WithoutKeysListsNone) {
  EXPECT_EQ(answer(Writer().byte(11).take(), {}), Writer().byte(12).uint32(0).take());
}

TEST_F(Agent, SignsWithTheKeyThatIsNamed) {
  for (const PrivateKey& key : keys_) {
    const std::uint32_t flags = key.type() == "ssh-rsa" ? kSignRsaSha512 : 0;
    const Bytes reply = answer(sign_request(key.public_blob(), flags), keys_);
    const Bytes expected = Writer().byte(14).string(*key.sign(as_bytes("data"), flags)).take();
    EXPECT_EQ(reply, expected) << key.type();  // Both types sign the same every time.
  }
}

TEST_F(Agent, RefusesEverythingElse) {
  const Bytes blob(keys_[0].public_blob().begin(), keys_[0].public_blob().end());
  Bytes foreign = blob;
  foreign.back() ^= std::byte{1};
  const std::pair<std::string, Bytes> rows[] = {
      {"an empty message", {}},
      {"a list with something behind", Writer().byte(11).byte(0).take()},
      {"a signature of another key", sign_request(foreign)},
      {"a signature with SHA-1", sign_request(keys_[1].public_blob())},
      {"a signature with unknown flags", sign_request(blob, 16)},
      {"a signature without flags", Writer().byte(13).string(blob).text("data").take()},
      {"a signature with something behind", Writer().raw(sign_request(blob)).byte(0).take()},
      {"a key that is longer than the message", Writer().byte(13).uint32(0xffffffff).raw(blob).take()},
      {"adding a key", Writer().byte(17).text("ssh-ed25519").take()},
      {"removing all keys", Writer().byte(19).take()},
      {"locking", Writer().byte(22).text("passphrase").take()},
      {"an extension", Writer().byte(27).text("session-bind@openssh.com").take()},
      {"a list of the first protocol", Writer().byte(1).take()},
      {"an answer", Writer().byte(12).uint32(0).take()},
  };
  for (const auto& [name, request] : rows) EXPECT_EQ(answer(request, keys_), kFailure) << name;
}

TEST(FirstMessage, IsFoundOnlyWhenItIsWhole) {
  const Bytes two = Writer().text("first").text("second").take();
  for (std::size_t size = 0; size < two.size(); ++size) {
    const auto message = first_message(std::span(two).first(size));
    ASSERT_TRUE(message.ok());
    ASSERT_EQ(message->has_value(), size >= 9) << size;
    if (message->has_value()) {
      EXPECT_EQ(as_text(**message), "first");
    }
  }
}

TEST(FirstMessage, IsNeitherEmptyNorTooLong) {
  EXPECT_EQ(first_message(Writer().uint32(0).take()).error().code, ErrorCode::kInvalidInput);
  EXPECT_TRUE(first_message(Writer().uint32(kMaxMessageBytes).take()).ok());
  EXPECT_EQ(first_message(Writer().uint32(kMaxMessageBytes + 1).take()).error().code, ErrorCode::kLimit);
}

TEST(IsPermitted, OnlyToLookAndToSign) {
  for (unsigned type = 0; type < 256; ++type) {
    const Bytes request = Writer().byte(static_cast<std::uint8_t>(type)).take();
    EXPECT_EQ(is_permitted(request), type == 11 || type == 13) << type;
  }
  EXPECT_FALSE(is_permitted({}));
}

}  // namespace
}  // namespace imagebuild::ssh
