#include "ssh/forward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssh/agent.h"
#include "ssh/agent_server.h"
#include "unit/ssh/agent_client.h"
#include "unit/ssh/key_files.h"

namespace imagebuild::ssh {
namespace {

using ::testing::HasSubstr;

// An agent that gives every request back, so that it is seen which came; it hangs up on one that says so.
class Echo final : public Session {
 public:
  using Session::Session;
  bool advance() override {
    while (const auto request = client().take()) {
      if (as_text(*request) == kHangUp) return false;
      client().put(*request);
    }
    return !client().gone();
  }
  static constexpr std::string_view kHangUp = "\x0b hang up";
};

class Forward : public ::testing::Test {
 protected:
  void SetUp() override {
    upstream_ = *SocketServer::start(files_.at("user"), {},
                                     [](UniqueFd client) { return std::make_unique<Echo>(std::move(client)); });
    lent_ = *forward_agent(files_.at("lent"), {}, files_.at("user"));
  }
  Bytes message(std::string_view text) const { return Writer().raw(as_bytes(text)).take(); }

  const Bytes kList = message("\x0b list");
  const Bytes kSign = message("\x0d sign");
  const Bytes kRemoveAll = message("\x13");
  KeyFiles files_;
  std::unique_ptr<SocketServer> upstream_, lent_;
};

TEST_F(Forward, LetsSshKeygenSignWithTheUsersAgent) {
  const PrivateKey key = *PrivateKey::parse(files_.make("key", {"-t", "ed25519"}));
  std::filesystem::remove(files_.at("key"));
  const auto agent = serve_agent(files_.at("agent"), {}, {key});
  const auto lent = forward_agent(files_.at("lent-agent"), {.mode = 0666}, files_.at("agent"));
  ASSERT_TRUE(agent.ok() && lent.ok());
  const std::vector<std::string> environment = {"SSH_AUTH_SOCK=" + files_.at("lent-agent").string()};
  EXPECT_EQ(files_.run({"ssh-add", "-L"}, {}, environment), files_.read("key.pub"));
  files_.run({"ssh-add", "-T", "key.pub"}, {}, environment);
}

TEST_F(Forward, PassesOnOnlyWhatListsAndSigns) {
  AgentClient client(lent_->path());
  EXPECT_EQ(client.ask(kList), kList);
  EXPECT_EQ(client.ask(kRemoveAll), refusal());
  EXPECT_EQ(client.ask(message("\x1b session-bind@openssh.com")), refusal());
  EXPECT_EQ(client.ask(kSign), kSign);
}

TEST_F(Forward, KeepsTheOrderOfRequestsThatCameTogether) {
  AgentClient client(lent_->path());
  client.send(Writer().string(kSign).string(kRemoveAll).string(kList).take());
  client.end_requests();
  EXPECT_EQ(client.reply(), kSign);
  EXPECT_EQ(client.reply(), refusal());
  EXPECT_EQ(client.reply(), kList);
  EXPECT_EQ(client.reply(), Bytes());
}

TEST_F(Forward, PassesOnTheLongestMessages) {
  Bytes longest(kMaxMessageBytes, std::byte{'x'});
  longest[0] = std::byte{13};
  AgentClient client(lent_->path());
  EXPECT_EQ(client.ask(longest), longest);
  EXPECT_EQ(client.ask(kList), kList);
}

TEST_F(Forward, HangsUpWhenTheAgentDoes) {
  AgentClient unlucky(lent_->path()), other(lent_->path());
  EXPECT_EQ(other.ask(kList), kList);
  EXPECT_EQ(unlucky.ask(message(Echo::kHangUp)), Bytes());
  EXPECT_EQ(other.ask(kList), kList);
}

TEST_F(Forward, OutlivesTheUsersAgent) {
  AgentClient idle(lent_->path());
  EXPECT_EQ(idle.ask(kList), kList);
  upstream_.reset();
  EXPECT_EQ(idle.reply(), Bytes());
  EXPECT_EQ(AgentClient(lent_->path()).reply(), Bytes());
}

TEST_F(Forward, SaysWhenThereIsNoAgent) {
  files_.write("file", "");
  for (const std::string name : {"nothing", "file"}) {
    const auto lent = forward_agent(files_.at("other"), {}, files_.at(name));
    ASSERT_FALSE(lent.ok());
    EXPECT_EQ(lent.error().code, ErrorCode::kNotFound);
    EXPECT_THAT(lent.error().message, HasSubstr("SSH agent: nobody listens on"));
  }
}

}  // namespace
}  // namespace imagebuild::ssh
