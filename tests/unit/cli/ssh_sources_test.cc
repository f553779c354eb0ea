#include "cli/ssh_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/unique_fd.h"

namespace imagebuild::cli {
namespace {

using ::testing::HasSubstr;

struct SshSources : ::testing::Test {
  SshSources() : folder(*TempDir::create("ssh-sources-")) {
    agent = folder.path() / "agent";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    agent.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    listener = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    text = folder.path() / "text";
    (void)write_file_atomically(text, "no key\n");
  }
  Environment with_agent() const {
    return [this](const std::string& name) {
      return name == "SSH_AUTH_SOCK" ? std::optional(agent.string()) : std::nullopt;
    };
  }
  static Environment without() {
    return [](const std::string&) { return std::optional<std::string>(); };
  }
  TempDir folder;
  std::filesystem::path agent, text;
  UniqueFd listener;
};

TEST_F(SshSources, AnIdAloneIsTheAgentOfTheEnvironment) {
  const auto sources = read_ssh({"default", "git=" + agent.string()}, with_agent());
  ASSERT_TRUE(sources.ok()) << sources.error().message;
  EXPECT_EQ(sources->at("default").socket, agent);
  EXPECT_EQ(sources->at("git").socket, agent);
  EXPECT_TRUE(sources->at("git").keys.empty());
}

TEST_F(SshSources, SayWhatIsWrong) {
  struct Row {
    const char* name;
    std::vector<std::string> texts;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"no agent", {"default"}, "$SSH_AUTH_SOCK, which is not set"},
      {"no id", {"=x"}, "has no id"},
      {"no file", {"default="}, "names no file"},
      {"twice", {"a=" + agent.string(), "a=" + agent.string()}, "id 'a' is given twice"},
      {"both", {"a=" + agent.string() + "," + text.string()}, "either one socket or key files"},
      {"missing", {"a=/nothing/here"}, "/nothing/here"},
      {"no key", {"a=" + text.string()}, "text"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const auto sources = read_ssh(row.texts, without());
    ASSERT_FALSE(sources.ok());
    EXPECT_THAT(sources.error().message, HasSubstr("--ssh"));
    EXPECT_THAT(sources.error().message, HasSubstr(row.message));
  }
}

TEST_F(SshSources, ARequiredOneThatIsMissingIsNamedWithItsLine) {
  api::Plan plan;
  plan.dockerfile = "Dockerfile";
  api::PlanStage stage;
  api::RunStep run;
  api::SshMount mount;
  mount.id = "git";
  run.mounts = {mount};
  api::Step step;
  step.at = {3, 1};
  step.action = run;
  stage.steps = {step};
  plan.stages = {stage};
  EXPECT_TRUE(check_required_ssh(plan, {}).ok());
  mount.required = true;
  run.mounts = {mount};
  plan.stages[0].steps[0].action = run;
  EXPECT_THAT(check_required_ssh(plan, {}).error().message, HasSubstr("Dockerfile:3:1"));
  EXPECT_THAT(check_required_ssh(plan, {}).error().message, HasSubstr("--ssh git"));
  EXPECT_TRUE(check_required_ssh(plan, {{"git", {}}}).ok());
}

}  // namespace
}  // namespace imagebuild::cli
