// RUN inside a container: design section 6, "Running a stage: the traps".
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "in_container.h"

namespace imagebuild::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;

class RunInContainer : public InContainer {
 protected:
  Outcome run() { return container().run(); }
  std::string message(const Outcome& outcome) {
    return outcome.report && outcome.report->failure ? outcome.report->failure->message : "";
  }
};

// What only a container with CAP_SYS_ADMIN can do.
class RunWhereItMayMount : public RunInContainer {};
INSTANTIATE_TEST_SUITE_P(Admin, RunWhereItMayMount, ::testing::Values(true));
INSTANTIATE_TEST_SUITE_P(Kinds, RunInContainer, ::testing::Values(true, false), kind_of_container);

TEST_P(RunInContainer, GivesOnlyTheEnvironmentOfTheStep) {
  container().add_run("env", [](api::RunStep& run) { run.env = {"A=1"}; });
  const Outcome outcome = run();
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("A=1\n"));
  EXPECT_THAT(outcome.output, HasSubstr("HOME=/root\n"));
  EXPECT_THAT(outcome.output, HasSubstr("PATH=/usr/local/sbin:"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("KUBERNETES")));
  EXPECT_THAT(outcome.output, Not(HasSubstr("POD_NAME")));
}

TEST_P(RunInContainer, KeepsOnlyWhatTheStepChanged) {
  container().add("srv/old", "old");
  container().add("srv/gone", "gone");
  container().add_run("echo new > /srv/new; rm /srv/gone; chmod 600 /srv/old");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  const LayerFiles layer = container().layer(outcome, 0);
  std::vector<std::string> paths;
  for (const auto& [path, file] : layer) paths.push_back(path);
  EXPECT_THAT(paths, ::testing::ElementsAre("srv", "srv/.wh.gone", "srv/new", "srv/old"));
  EXPECT_EQ(layer.at("srv/new").content, "new\n");
  EXPECT_EQ(layer.at("srv/old").node.mode, 0600U);
  EXPECT_EQ(layer.at("srv/new").node.mtime_s, 1'700'000'000);
}

TEST_P(RunInContainer, HasNoLayerForAStepThatChangedNothing) {
  container().add_run("true");
  container().add_run("cat /etc/passwd > /dev/null; echo x > /dev/shm/x");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_TRUE(outcome.report->layers.empty());
}

TEST_P(RunInContainer, LeavesTheRuntimesMountsAndMountPointsOut) {
  container().add_run("mkdir /made; ls -a / /etc /dev");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  const LayerFiles layer = container().layer(outcome, 0);
  EXPECT_THAT(layer, Contains(Key("made")));
  EXPECT_EQ(layer.size(), 1U);
}

TEST_P(RunWhereItMayMount, KeepsTheBaseFileUnderARuntimeMountInAnExport) {
  container().add("etc/hosts", "127.0.0.1 base\n");
  container().add_run("true");
  container().stage().exports = {""};
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  const auto index = archive::TreeIndex::load(container().volume() / "stages/0/exports/export.index");
  ASSERT_TRUE(index.ok());
  ASSERT_NE(index->find("etc/hosts"), nullptr);
  EXPECT_EQ(index->find("etc/hosts")->size_bytes, 15U);
  EXPECT_EQ(index->find("etc/resolv.conf"), nullptr);
  EXPECT_EQ(index->find("proc"), nullptr);
  EXPECT_EQ(index->find("dev"), nullptr);
  EXPECT_EQ(index->find(".imagebuild"), nullptr);
}

TEST_P(RunInContainer, MakesAPhantomFolderRealWhenSomethingIsPutIntoIt) {
  container().runtime_mounts = {"opt/mounted/"};
  container().add_run("echo x > /opt/file");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  const LayerFiles layer = container().layer(outcome, 0);
  EXPECT_THAT(layer, Contains(Key("opt")));
  EXPECT_THAT(layer, Contains(Key("opt/file")));
  EXPECT_THAT(layer, Not(Contains(Key("opt/mounted"))));
}

TEST_P(RunInContainer, CountsTheContentOfAnImageVolume) {
  container().plan.images[0].config_json =
      R"({"architecture":"amd64","os":"linux","config":{"Volumes":{"/data":{}}},"rootfs":{"type":"layers","diff_ids":[]}})";
  std::filesystem::create_directories(container().base() / "data");
  container().runtime_mounts = {"data/"};
  container().add_run("echo x > /data/file");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(container().layer(outcome, 0), Contains(Key("data/file")));
}

TEST_P(RunInContainer, SeesAFileRewrittenWithTheSameSizeAndTime) {
  container().add("srv/file", "aaaa");
  ::timespec times[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
  ::utimensat(AT_FDCWD, (container().base() / "srv/file").c_str(), times, 0);
  container().add_run("echo -n bbbb > /srv/file; touch -d @1600000000 /srv/file");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  const LayerFiles layer = container().layer(outcome, 0);
  ASSERT_THAT(layer, Contains(Key("srv/file")));
  EXPECT_EQ(layer.at("srv/file").content, "bbbb");
}

TEST_P(RunInContainer, RunsAsTheNamedUserWithItsGroupsAndHome) {
  container().add_run("id; pwd; env", [](api::RunStep& run) {
    run.user = "app";
    run.working_dir = "/home/app/work";
  });
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)"));
  EXPECT_THAT(outcome.output, HasSubstr("/home/app/work\n"));
  EXPECT_THAT(outcome.output, HasSubstr("HOME=/home/app\n"));
  const LayerFiles layer = container().layer(outcome, 0);
  ASSERT_THAT(layer, Contains(Key("home/app/work")));
  EXPECT_EQ(layer.at("home/app/work").node.mode, 0755U);
}

TEST_P(RunInContainer, HasAtMostDockersCapabilities) {
  container().add_run("grep -E 'Cap(Eff|Bnd|Inh|Amb)' /proc/self/status");
  const Outcome outcome = run();
  EXPECT_THAT(outcome.output, HasSubstr("CapEff:\t00000000a80425fb"));
  EXPECT_THAT(outcome.output, HasSubstr("CapBnd:\t00000000a80425fb"));
  EXPECT_THAT(outcome.output, HasSubstr("CapInh:\t0000000000000000"));
  EXPECT_THAT(outcome.output, HasSubstr("CapAmb:\t0000000000000000"));
}

TEST_P(RunWhereItMayMount, HidesTheArtifactVolume) {
  container().add_run("ls -A /.imagebuild; ls /proc/self/fd");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_EQ(outcome.output, "0\n1\n2\n3\n");  // 3 is ls's own.
}

TEST_P(RunInContainer, EndsBackgroundProcessesAndReapsOrphans) {
  container().add_run("(setsid sleep 1000 &) ; sleep 1000 & echo started");
  container().add_run("(true &); ps -o pid,stat,args; test $(ps -o args | grep -c '[s]leep 1000') = 0");
  const Outcome outcome = run();
  EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("started"));
}

TEST_P(RunInContainer, ReportsTheExitCodeTheLineAndTheLastOutput) {
  container().add_run("true");
  container().add_run("seq 1 30; echo broken >&2; exit 42");
  const Outcome outcome = run();
  EXPECT_EQ(outcome.exit_status, 1);
  ASSERT_TRUE(outcome.report && outcome.report->failure);
  const api::Failure& failure = *outcome.report->failure;
  EXPECT_EQ(failure.exit_code, 42);
  EXPECT_EQ(failure.step, 1);
  EXPECT_EQ(failure.at.line, 3);
  EXPECT_EQ(failure.code, "Failed");
  EXPECT_EQ(failure.log_tail.size(), api::kLogTailLines);
  EXPECT_THAT(failure.log_tail, Contains("30"));
  EXPECT_THAT(failure.log_tail, Contains("broken"));
}

TEST_P(RunInContainer, StopsARunOnSigterm) {
  container().add_run("trap 'echo stopping; exit 0' TERM; echo ready; sleep 1000 & wait");
  container().on_event = [](const api::StageEvent& event, pid_t pid) {
    const auto* output = std::get_if<api::StepOutput>(&event);
    if (output != nullptr && output->data.find("ready") != std::string::npos) ::kill(pid, SIGTERM);
  };
  const Outcome outcome = run();
  EXPECT_EQ(outcome.exit_status, 3);
  EXPECT_THAT(outcome.output, HasSubstr("stopping"));
  ASSERT_TRUE(outcome.report && outcome.report->failure);
  EXPECT_EQ(outcome.report->failure->code, "Cancelled");
}

TEST_P(RunInContainer, KillsARunOnTheSecondSigterm) {
  container().add_run("trap 'echo deaf' TERM; echo ready; while true; do sleep 1000 & wait; done");
  container().on_event = [](const api::StageEvent& event, pid_t pid) {
    const auto* output = std::get_if<api::StepOutput>(&event);
    if (output == nullptr) return;
    if (output->data.find("ready") != std::string::npos || output->data.find("deaf") != std::string::npos) {
      ::kill(pid, SIGTERM);
    }
  };
  const Outcome outcome = run();
  EXPECT_EQ(outcome.exit_status, 3);
  ASSERT_TRUE(outcome.report && outcome.report->failure);
  EXPECT_EQ(outcome.report->failure->code, "Cancelled");
}

TEST_P(RunInContainer, EndsWithWhoeverReadsItsReport) {
  container().add_run("sleep 1000");
  container().close_report_after_first_event = true;
  const Outcome outcome = run();
  EXPECT_EQ(outcome.exit_status, 3);
}

TEST_P(RunInContainer, ShowsASecretToItsRunAndLeavesNoTrace) {
  container().add("srv/file", "x");
  api::SecretMount secret;
  secret.id = "token";
  secret.target = "/run/secrets/deep/token";
  secret.env = "TOKEN";
  secret.mode = 0440;
  secret.gid = 1000;
  container().add_run("cat /run/secrets/deep/token; echo; stat -c '%a %u:%g' /run/secrets/deep/token; echo $TOKEN",
                      [&](api::RunStep& run) { run.secrets = {secret}; });
  container().add_run("test ! -e /run/secrets && test -z \"$TOKEN\"");
  std::filesystem::create_directories(container().volume() / "secrets");
  (void)write_file_atomically(container().volume() / "secrets/0", "hunter2");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output << message(outcome);
  EXPECT_THAT(outcome.output, HasSubstr("hunter2\n440 0:1000\nhunter2\n"));
  EXPECT_TRUE(outcome.report->layers.empty());
  EXPECT_THAT(outcome.report->json(), Not(HasSubstr("hunter2")));
}

TEST_P(RunInContainer, NamesTheFlagOfARequiredSecretThatIsMissing) {
  api::SecretMount secret;
  secret.id = "token";
  secret.target = "/run/secrets/token";
  secret.required = true;
  container().add_run("true", [&](api::RunStep& run) { run.secrets = {secret}; });
  const Outcome outcome = run();
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(message(outcome), HasSubstr("--secret id=token"));
}

TEST_P(RunInContainer, RunsAScriptFromTheDockerfileOutsideTheLayer) {
  container().add_run("", [](api::RunStep& run) {
    run.argv = {"script", "argument"};
    run.script = api::InlineFile{"script", "#!/bin/busybox sh\necho from script $1\necho x > /made\n"};
  });
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output << message(outcome);
  EXPECT_THAT(outcome.output, HasSubstr("from script argument"));
  const LayerFiles layer = container().layer(outcome, 0);
  EXPECT_EQ(layer.size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(container().volume() / "stages/0/script"));
}

TEST_P(RunInContainer, SaysWhyAProgramCannotBeStarted) {
  struct Row {
    const char* name;
    std::vector<std::string> argv;
    int exit_code;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"no such program", {"nothing-here"}, 127, "the image has no program 'nothing-here' in its PATH"},
      {"no interpreter", {"/opt/script"}, 127, "'/opt/script' is a script for '/bin/bash'"},
      {"not executable", {"/opt/plain"}, 126, "may not be run by this user"},
      {"no format", {"/opt/text"}, 126, "is not a program"},
      {"other machine", {"/opt/arm"}, 126, "is a program for arm64"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Container fresh;
    fresh.has_admin = GetParam();
    fresh.add_busybox();
    fresh.add("opt/script", "#!/bin/bash\n", 0755);
    fresh.add("opt/plain", "x", 0644);
    fresh.add("opt/text", "just text\n", 0755);
    std::string arm(
        "\x7f"
        "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0",
        24);
    arm.resize(64);
    fresh.add("opt/arm", arm, 0755);
    fresh.add_run("", [&](api::RunStep& run) { run.argv = row.argv; });
    const Outcome outcome = fresh.run();
    EXPECT_EQ(outcome.exit_status, 1);
    EXPECT_THAT(message(outcome), HasSubstr(row.message));
    EXPECT_EQ(outcome.report->failure->exit_code, row.exit_code);
  }
}

TEST_P(RunInContainer, WorksInAnImageWithoutAnything) {
  Container empty;
  empty.has_admin = GetParam();
  empty.has_proc = false;
  empty.plan.stages[0].base = api::Scratch{};
  empty.plan.images.clear();
  empty.add_run("true");
  const Outcome outcome = empty.run();
  EXPECT_EQ(outcome.exit_status, 1) << outcome.output;
  EXPECT_THAT(message(outcome), HasSubstr("the image has no /bin/sh"));
}

TEST_P(RunInContainer, PrintsForPeopleWithoutAReportDescriptor) {
  container().writes_report_fd = false;
  container().add_run("echo hello");
  const Outcome outcome = run();
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_THAT(outcome.output, HasSubstr("[app 1/1] step 1\nhello\n"));
}

TEST_P(RunInContainer, KeepsLinksDevicesAndCapabilities) {
  container().add_run("cd /srv; echo a > a; ln a b; ln -s a c; mknod fifo p");
  std::filesystem::create_directories(container().base() / "srv");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  const LayerFiles layer = container().layer(outcome, 0);
  EXPECT_EQ(layer.at("srv/b").node.type, archive::NodeType::kHardlink);
  EXPECT_EQ(layer.at("srv/b").node.link, "srv/a");
  EXPECT_EQ(layer.at("srv/c").node.link, "a");
  EXPECT_EQ(layer.at("srv/fifo").node.type, archive::NodeType::kFifo);
}

TEST_P(RunInContainer, GivesTheSameLayerEachTime) {
  std::vector<std::string> digests;
  for (int i = 0; i < 2; ++i) {
    Container fresh;
    fresh.has_admin = GetParam();
    fresh.add_busybox();
    fresh.add_run(
        "mkdir -p /srv/x; for i in $(seq 1 50); do echo $i > /srv/x/$i; done; rm /bin/ps; ln /srv/x/1 /srv/l");
    const Outcome outcome = fresh.run();
    ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
    digests.push_back(outcome.report->layers.at(0).digest);
  }
  EXPECT_EQ(digests[0], digests[1]);
}

TEST_P(RunInContainer, KeepsNoLayerWhereNobodyBuildsOnTheStage) {
  container().stage().keep_layers = false;
  container().stage().exports = {"srv/out"};
  container().add_run("mkdir -p /srv/out; echo x > /srv/out/x");
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_TRUE(outcome.report->layers.empty());
  EXPECT_EQ(outcome.report->export_bytes, 2U);
  EXPECT_GT(outcome.report->root_bytes, 1'000'000U);
}

}  // namespace
}  // namespace imagebuild::testing
