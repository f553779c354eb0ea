#include "ssh/agent_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ssh/agent.h"
#include "unit/ssh/agent_client.h"
#include "unit/ssh/key_files.h"

namespace imagebuild::ssh {
namespace {

using ::testing::HasSubstr;

class AgentServer : public ::testing::Test {
 protected:
  std::unique_ptr<SocketServer> serve(std::vector<PrivateKey> keys, const SocketAccess& access = {}) const {
    auto server = serve_agent(files_.at("agent"), access, std::move(keys));
    EXPECT_TRUE(server.ok()) << server.error().message;
    return std::move(*server);
  }
  std::string socket_variable() const { return "SSH_AUTH_SOCK=" + files_.at("agent").string(); }

  const Bytes kList = Writer().byte(11).take();
  const Bytes kNoKeys = Writer().byte(12).uint32(0).take();
  KeyFiles files_;
};

TEST_F(AgentServer, LetsSshAddListAndSshKeygenSignWithEveryType) {
  std::vector<PrivateKey> keys;
  for (const KeyKind& kind : kEveryKind) {
    keys.push_back(*PrivateKey::parse(files_.make(kind.name, kind.options, "key " + kind.name)));
    std::filesystem::remove(files_.at(kind.name));  // Only the agent has it now.
  }
  const auto server = serve(std::move(keys));
  const std::string listed = files_.run({"ssh-add", "-L"}, {}, {socket_variable()});
  const std::string fingerprints = files_.run({"ssh-add", "-l"}, {}, {socket_variable()});
  for (const KeyKind& kind : kEveryKind) {
    SCOPED_TRACE(kind.name);
    EXPECT_THAT(fingerprints, HasSubstr("key " + kind.name));
    const std::string public_line = files_.read(kind.name + ".pub");
    EXPECT_THAT(listed, HasSubstr(public_line));
    files_.write("data", "signed by " + kind.name);
    files_.write("allowed", "me " + public_line);
    std::filesystem::remove(files_.at("data.sig"));
    files_.run({"ssh-keygen", "-Y", "sign", "-f", kind.name + ".pub", "-n", "file", "data"}, {}, {socket_variable()});
    EXPECT_THAT(files_.run({"ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "me", "-n", "file", "-s", "data.sig"},
                           files_.read("data")),
                HasSubstr("Good \"file\" signature for me"));
  }
}

TEST_F(AgentServer, ServesOthersWhileAClientIsSlow) {
  const auto server = serve({});
  AgentClient slow(server->path()), quick(server->path());
  const Bytes request = framed(kList);
  slow.send({request.begin(), request.begin() + 3});
  EXPECT_EQ(quick.ask(kList), kNoKeys);
  slow.send({request.begin() + 3, request.end()});
  EXPECT_EQ(slow.reply(), kNoKeys);
}

TEST_F(AgentServer, AnswersRequestsThatCameTogetherInTheirOrder) {
  const auto server = serve({});
  AgentClient client(server->path());
  client.send(Writer().string(kList).string(Writer().byte(27).take()).string(kList).take());
  client.end_requests();
  EXPECT_EQ(client.reply(), kNoKeys);
  EXPECT_EQ(client.reply(), refusal());
  EXPECT_EQ(client.reply(), kNoKeys);
  EXPECT_EQ(client.reply(), Bytes());
}

TEST_F(AgentServer, AnswersTheLongestMessage) {
  const auto server = serve({});
  AgentClient client(server->path());
  EXPECT_EQ(client.ask(Bytes(kMaxMessageBytes, std::byte{27})), refusal());
  EXPECT_EQ(client.ask(kList), kNoKeys);
}

TEST_F(AgentServer, HangsUpOnAMessageThatBreaksTheRules) {
  const auto server = serve({});
  for (const std::size_t size : {std::size_t{0}, kMaxMessageBytes + 1}) {
    AgentClient client(server->path());
    client.send(Writer().uint32(size).take());
    EXPECT_EQ(client.reply(), Bytes()) << size;
  }
  EXPECT_EQ(AgentClient(server->path()).ask(kList), kNoKeys);
}

TEST_F(AgentServer, ServesMoreClientsThanAtOnceWhenOthersGo) {
  const auto server = serve({});
  std::vector<AgentClient> first;
  for (int i = 0; i < 64; ++i) EXPECT_EQ(first.emplace_back(server->path()).ask(kList), kNoKeys);
  AgentClient last(server->path());
  last.send(framed(kList));
  first.pop_back();
  EXPECT_EQ(last.reply(), kNoKeys);
}

TEST_F(AgentServer, EndsWithItsClientsAndRemovesTheSocket) {
  auto server = serve({});
  AgentClient client(server->path());
  EXPECT_EQ(client.ask(kList), kNoKeys);
  server.reset();
  EXPECT_EQ(client.reply(), Bytes());
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(files_.at("agent"))));
  EXPECT_EQ(connect_to(files_.at("agent")).error().code, ErrorCode::kNotFound);
}

TEST_F(AgentServer, GivesTheSocketTheModeAskedForWhateverTheMask) {
  const mode_t before = ::umask(0077);
  for (const mode_t mode : {0600U, 0666U}) {
    const auto server = serve({}, {.mode = mode});
    struct stat found {};
    ASSERT_EQ(::stat(server->path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777U, mode);
    EXPECT_EQ(found.st_uid, ::getuid());
  }
  ::umask(before);
}

TEST_F(AgentServer, GivesTheSocketTheOwnerAskedFor) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give files away";
  const auto server = serve({}, {.uid = 12345, .gid = 23456, .mode = 0660});
  struct stat found {};
  ASSERT_EQ(::stat(server->path().c_str(), &found), 0);
  EXPECT_EQ(found.st_uid, 12345U);
  EXPECT_EQ(found.st_gid, 23456U);
  EXPECT_EQ(found.st_mode & 07777U, 0660U);
}

TEST_F(AgentServer, TakesPathsLongerThanASocketsAddress) {
  const auto folder = files_.at(std::string(200, 'f'));
  ASSERT_TRUE(std::filesystem::create_directory(folder));
  {
    const auto server = serve_agent(folder / "agent", {}, {});
    ASSERT_TRUE(server.ok()) << server.error().message;
    EXPECT_EQ(AgentClient(folder / "agent").ask(kList), kNoKeys);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  EXPECT_EQ(serve_agent(files_.at(std::string(120, 'n')), {}, {}).error().code, ErrorCode::kLimit);
}

TEST_F(AgentServer, LeavesWhatIsAtThePathAlone) {
  files_.write("agent", "a file");
  const auto server = serve_agent(files_.at("agent"), {}, {});
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(server.error().message, HasSubstr("in use"));
  EXPECT_EQ(files_.read("agent"), "a file");
}

TEST_F(AgentServer, RefusesMoreKeysThanItCanList) {
  const PrivateKey key = *PrivateKey::parse(files_.make("key", {"-t", "ed25519"}, std::string(1000, 'c')));
  EXPECT_EQ(serve_agent(files_.at("agent"), {}, std::vector<PrivateKey>(250, key)).error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace imagebuild::ssh
