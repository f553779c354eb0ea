// RUN --mount, --network and limits inside a container: as real mounts where the container may mount, and as what
// stands in for them where it may not.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <csignal>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "in_container.h"

namespace imagebuild::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class MountsInContainer : public InContainer {
 protected:
  void fill() override {
    add_context("app/main.c", "int main;");
    add_context("app/deep/er/file", "deep");
    add_context("top", "top");
  }
  void add_context(const std::string& path, const std::string& content) {
    const fs::path file = container().volume() / api::volume::kContextFolder / path;
    fs::create_directories(file.parent_path());
    (void)write_file_atomically(file, content);
    for (std::string folder = fs::path(path).parent_path(); !folder.empty(); folder = fs::path(folder).parent_path()) {
      archive::Node node;
      node.path = folder;
      node.type = archive::NodeType::kDirectory;
      node.mode = 0755;
      node.uid = 1000;
      context_.put(node);
    }
    archive::Node node;
    node.path = path;
    node.mode = 0640;
    node.uid = 1000;
    node.size_bytes = content.size();
    context_.put(node);
    (void)context_.save(container().volume() / api::volume::kContextIndex);
  }

  static api::BindMount bind(const std::string& source, const std::string& target, bool writable = false) {
    return {api::FromContext{}, source, target, writable};
  }
  api::CacheMount cache(const std::string& id, const std::string& target) {
    api::CacheMount mount;
    mount.id = id;
    mount.target = target;
    return mount;
  }
  // Call it when all steps are there.
  void make_caches() {
    const auto ids = api::cache_ids(container().plan, static_cast<int>(container().plan.stages.size()) - 1);
    for (std::size_t i = 0; i < ids.size(); ++i) fs::create_directories(cache_folder(i));
  }
  fs::path cache_folder(std::size_t number) {
    return container().volume() / api::volume::kCaches / std::to_string(number);
  }
  void add_run(const std::string& line, std::vector<api::Mount> mounts,
               const std::function<void(api::RunStep&)>& change = {}) {
    container().add_run(line, [&](api::RunStep& run) {
      run.mounts = mounts;
      if (change) change(run);
    });
  }
  std::string message(const Outcome& outcome) {
    return outcome.report && outcome.report->failure ? outcome.report->failure->message : outcome.output;
  }
  std::vector<std::string> paths(const Outcome& outcome, int step) {
    std::vector<std::string> all;
    for (const auto& [path, file] : container().layer(outcome, step)) all.push_back(path);
    return all;
  }
  // Runs it; every step succeeds and none but those named has a layer.
  Outcome run_expecting_layers(const std::vector<int>& steps) {
    make_caches();
    Outcome outcome = container().run();
    EXPECT_EQ(outcome.exit_status, 0) << outcome.output << message(outcome);
    std::vector<int> with_layers;
    if (outcome.report) {
      for (const api::LayerReport& layer : outcome.report->layers) with_layers.push_back(layer.step);
    }
    EXPECT_EQ(with_layers, steps) << outcome.output;
    EXPECT_FALSE(fs::exists(container().volume() / "stages/0/scratch"));
    EXPECT_FALSE(fs::exists(container().upper() / ".imagebuild-aside"));
    return outcome;
  }

 private:
  archive::TreeIndex context_;
};
INSTANTIATE_TEST_SUITE_P(Kinds, MountsInContainer, ::testing::Values(true, false), kind_of_container);

// What only a container with CAP_SYS_ADMIN can do.
class RealMounts : public MountsInContainer {};
INSTANTIATE_TEST_SUITE_P(Admin, RealMounts, ::testing::Values(true));
class StandIns : public MountsInContainer {};
INSTANTIATE_TEST_SUITE_P(NoAdmin, StandIns, ::testing::Values(false));

TEST_P(MountsInContainer, ShowAFolderOfTheContextWithoutATrace) {
  add_run("cat /src/main.c /src/deep/er/file; stat -c ' %a %u' /src/main.c", {bind("app", "/src")});
  add_run("test ! -e /src && test ! -e /.imagebuild-aside", {});
  const Outcome outcome = run_expecting_layers({});
  EXPECT_THAT(outcome.output, HasSubstr("int main;deep 640 0\n"));
}

TEST_P(MountsInContainer, ShowTheWholeContextLessWhatTheIndexLeavesOut) {
  (void)write_file_atomically(container().volume() / api::volume::kContextFolder / "ignored", "secret");
  add_run("cd /ctx && find . -type f | busybox sort; test ! -e ignored", {bind("", "/ctx")});
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("./app/deep/er/file\n./app/main.c\n./top\n"));
}

TEST_P(MountsInContainer, ShowASingleFileAlsoOverOneThatIsThere) {
  container().add("etc/config", "old");
  add_run("cat /etc/config /new/file", {bind("top", "/etc/config"), bind("app/main.c", "/new/file")});
  add_run("cat /etc/config; test ! -e /new", {});
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("topint main;old"));
}

TEST_P(MountsInContainer, HideWhatIsThereForTheTimeOfTheCommand) {
  container().add("srv/data/old", "old");
  container().add("srv/data/sub/older", "older", 0600);
  add_run("ls /srv/data; echo x > /made", {bind("app", "/srv/data")});
  add_run("find /srv/data | busybox sort; stat -c %a /srv/data/sub/older", {});
  const Outcome outcome = run_expecting_layers({0});
  EXPECT_THAT(outcome.output, HasSubstr("deep\nmain.c\n"));
  EXPECT_THAT(outcome.output, HasSubstr("/srv/data\n/srv/data/old\n/srv/data/sub\n/srv/data/sub/older\n600\n"));
  EXPECT_THAT(paths(outcome, 0), ElementsAre("made"));
}

TEST_P(MountsInContainer, HideWhatAnEarlierStepMade) {
  container().add_run("mkdir -p /srv/data && echo mine > /srv/data/file && ln /srv/data/file /srv/data/name");
  add_run("test ! -e /srv/data/file && rm -rf /srv/data/* || true", {bind("app", "/srv/data", true)});
  add_run("cat /srv/data/file; stat -c %h /srv/data/name", {});
  EXPECT_THAT(run_expecting_layers({0}).output, HasSubstr("mine\n2\n"));
}

TEST_P(RealMounts, OfTheContextCannotBeWritten) {
  add_run("! echo x > /src/new 2>/dev/null && ! rm /src/main.c 2>/dev/null && echo refused", {bind("app", "/src")});
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("refused"));
}

TEST_P(MountsInContainer, DropWhatIsWrittenIntoAWritableOne) {
  add_run("echo x > /src/new; rm -r /src/deep; echo y > /src/main.c; ls /src", {bind("app", "/src", true)});
  add_run("ls /src; cat /src/main.c", {bind("app", "/src", true)});
  const Outcome outcome = run_expecting_layers({});
  EXPECT_THAT(outcome.output, HasSubstr("main.c\nnew\ndeep\nmain.c\nint main;"));
}

TEST_P(MountsInContainer, KeepACacheBetweenSteps) {
  add_run("echo kept > /var/cache/x/file; echo real > /real", {cache("x", "/var/cache/x")});
  add_run("cat /elsewhere/file; stat -c '%a %u:%g' -L /elsewhere", {cache("x", "/elsewhere")});
  const Outcome outcome = run_expecting_layers({0});
  EXPECT_THAT(outcome.output, HasSubstr("kept\n755 0:0\n"));
  EXPECT_THAT(paths(outcome, 0), ElementsAre("real"));
  EXPECT_TRUE(fs::exists(cache_folder(0) / "0/file"));
}

TEST_P(MountsInContainer, GiveANewCacheItsOwnerAndModeAndEachItsOwnCopy) {
  api::CacheMount mine = cache("x", "/c");
  mine.uid = 1000;
  mine.gid = 2000;
  mine.mode = 0700;
  add_run("stat -c '%a %u:%g' -L /c; echo theirs > /c/file", {mine}, [](api::RunStep& run) { run.user = "app"; });
  add_run("test ! -e /c/file", {cache("x", "/c")});
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("700 1000:2000\n"));
}

TEST_P(MountsInContainer, BeginACacheWithATree) {
  api::CacheMount seeded = cache("x", "/c");
  seeded.from = api::FromContext{};
  seeded.source = "app";
  add_run("cat /c/main.c; echo more > /c/main.c", {seeded});
  add_run("cat /c/main.c", {seeded});
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("int main;more\n"));
}

TEST_P(MountsInContainer, RefuseOrDropWhatIsWrittenIntoAReadOnlyCache) {
  api::CacheMount read_only = cache("x", "/c");
  read_only.read_only = true;
  add_run("echo one > /c/file", {cache("x", "/c")});
  add_run("cat /c/file; echo two > /c/file || true", {read_only});
  add_run("cat /c/file", {cache("x", "/c")});
  EXPECT_THAT(run_expecting_layers({}).output, Not(HasSubstr("two\n")));
}

TEST_P(MountsInContainer, TakeAnotherCopyOfAPrivateCacheThatIsInUse) {
  api::CacheMount mine = cache("x", "/c");
  mine.sharing = api::CacheSharing::kPrivate;
  add_run("echo x > /c/file", {mine});
  fs::create_directories(cache_folder(0) / "0");
  const UniqueFd held(::open((cache_folder(0) / "0.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(held.get(), LOCK_EX | LOCK_NB), 0);
  run_expecting_layers({});
  EXPECT_TRUE(fs::exists(cache_folder(0) / "1/file"));
  EXPECT_FALSE(fs::exists(cache_folder(0) / "0/file"));
}

TEST_P(MountsInContainer, WaitForALockedCacheAndSaySo) {
  api::CacheMount mine = cache("x", "/c");
  mine.sharing = api::CacheSharing::kLocked;
  add_run("echo x > /c/file", {mine});
  fs::create_directories(cache_folder(0));
  const UniqueFd held(::open((cache_folder(0) / "0.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(held.get(), LOCK_EX | LOCK_NB), 0);
  container().on_event = [&](const api::StageEvent& event, pid_t) {
    const auto* output = std::get_if<api::StepOutput>(&event);
    if (output != nullptr && output->data.find("waiting for the cache 'x'") != std::string::npos) {
      ::flock(held.get(), LOCK_UN);
    }
  };
  const Outcome outcome = run_expecting_layers({});
  EXPECT_THAT(outcome.output, HasSubstr("waiting for the cache 'x', which another step has for itself\n"));
  EXPECT_TRUE(fs::exists(cache_folder(0) / "0/file"));
}

TEST_P(MountsInContainer, StopWaitingForALockedCache) {
  api::CacheMount mine = cache("x", "/c");
  mine.sharing = api::CacheSharing::kLocked;
  add_run("true", {mine});
  make_caches();
  const UniqueFd held(::open((cache_folder(0) / "0.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(held.get(), LOCK_EX | LOCK_NB), 0);
  container().on_event = [&](const api::StageEvent& event, pid_t pid) {
    if (std::holds_alternative<api::StepOutput>(event)) ::kill(pid, SIGTERM);
  };
  const Outcome outcome = container().run();
  EXPECT_EQ(outcome.exit_status, 3) << outcome.output;
}

TEST_P(MountsInContainer, ForgetAHalfMadeCopyOfACache) {
  api::CacheMount seeded = cache("x", "/c");
  add_run("ls -A /c; echo done", {seeded});
  make_caches();
  fs::create_directories(cache_folder(0) / "new/half");
  EXPECT_THAT(run_expecting_layers({}).output, Not(HasSubstr("half")));
  EXPECT_FALSE(fs::exists(cache_folder(0) / "new"));
}

TEST_P(MountsInContainer, GiveAnEmptyFolderInMemory) {
  container().add("tmp/old", "old");
  add_run("ls -A /tmp; stat -c %a /tmp; echo x > /tmp/new; echo y > /scratch/new",
          {api::TmpfsMount{"/scratch", 0}, api::TmpfsMount{"/tmp", 0}});
  add_run("ls -A /tmp; stat -c %a /tmp; test ! -e /scratch", {});
  EXPECT_THAT(run_expecting_layers({}).output, ::testing::Eq("1777\nold\n1777\n"));
}

TEST_P(RealMounts, LimitTheSizeOfATmpfs) {
  add_run("! dd if=/bin/busybox of=/scratch/file bs=4k count=64 2>/dev/null && echo full",
          {api::TmpfsMount{"/scratch", 65536}});
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("full"));
}

TEST_P(StandIns, SayOnceThatASizeHasNoLimit) {
  add_run("true", {api::TmpfsMount{"/scratch", 65536}});
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("its size has no limit\n"));
}

TEST_P(MountsInContainer, PutOneMountBelowAnother) {
  add_run("cat /src/main.c; echo x > /src/node_modules/file; ls /src",
          {bind("app", "/src"), cache("modules", "/src/node_modules")});
  add_run("ls /src; cat /again/file", {cache("modules", "/again"), bind("app", "/src")});
  const Outcome outcome = run_expecting_layers({});
  EXPECT_THAT(outcome.output, HasSubstr("int main;deep\nmain.c\nnode_modules\ndeep\nmain.c\nx\n"));
}

TEST_P(MountsInContainer, FollowLinksToTheTarget) {
  fs::create_directories(container().base() / "usr/lib");
  fs::create_symlink("usr/lib", container().base() / "lib");
  add_run("cat /usr/lib/app/main.c; test -L /lib", {bind("app", "/lib/app")});
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("int main;"));
}

TEST_P(MountsInContainer, MayBeTheWorkingFolder) {
  add_run("pwd; cat main.c", {bind("app", "/src")}, [](api::RunStep& run) { run.working_dir = "/src"; });
  add_run("pwd", {cache("x", "/c")}, [](api::RunStep& run) { run.working_dir = "/c/made/here"; });
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("/src\nint main;"));
}

TEST_P(MountsInContainer, KeepTheirPlaceWhateverTheCommandDoesThere) {
  container().add("srv/a/old", "old");
  container().add("srv/b/old", "old");
  container().add("srv/c/old", "old");
  add_run(
      "rm -rf /srv/a 2>/dev/null; rm -rf /srv/b 2>/dev/null; mkdir -p /srv/b; echo x > /srv/b/mine;"
      "rm -rf /srv/c 2>/dev/null; ln -s /etc /srv/c 2>/dev/null; true",
      {bind("app", "/srv/a", true), cache("x", "/srv/b"), api::TmpfsMount{"/srv/c", 0}});
  add_run("cat /srv/a/old /srv/b/old /srv/c/old; ls /srv", {});
  const Outcome outcome = run_expecting_layers({});
  EXPECT_THAT(outcome.output, HasSubstr("oldoldolda\nb\nc\n"));
}

TEST_P(MountsInContainer, KeepTheLayerThatTheCommandHasWithoutThem) {
  const char* const line =
      "mkdir -p /srv/out && echo x > /srv/out/file && chmod 600 /srv/keep && rm /srv/gone && touch /opt/new";
  for (const char* path : {"srv/keep", "srv/gone", "opt/there", "opt/data/x"}) container().add(path, "content");
  container().add_run(line);
  const Outcome plain = container().run();
  ASSERT_EQ(plain.exit_status, 0) << plain.output;
  const std::string wanted = plain.report->layers.at(0).diff_id;
  for (const char* folder : {"upper", "work"}) {
    fs::remove_all(container().upper().parent_path() / folder);
    fs::create_directory(container().upper().parent_path() / folder);
  }
  container().stage().steps.clear();
  api::SecretMount secret;
  secret.id = "token";
  secret.target = "/opt/token";
  fs::create_directories(container().volume() / "secrets");
  (void)write_file_atomically(container().volume() / "secrets/0", "hunter2");
  add_run(line,
          {cache("a", "/new/cache"), bind("app", "/opt/data"), bind("top", "/opt/there"), bind("", "/srv/context"),
           api::TmpfsMount{"/srv/tmp", 0}},
          [&](api::RunStep& run) { run.secrets = {secret}; });
  const Outcome mounted = run_expecting_layers({0});
  EXPECT_EQ(mounted.report->layers.at(0).diff_id, wanted) << ::testing::PrintToString(paths(mounted, 0));
}

TEST_P(MountsInContainer, AreTakenBackWhenTheCommandFails) {
  container().add("srv/data/old", "old");
  add_run("exit 3", {bind("app", "/srv/data"), cache("x", "/new/c")});
  make_caches();
  const Outcome outcome = container().run();
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(message(outcome), HasSubstr("exit code 3"));
  EXPECT_FALSE(fs::exists(container().upper() / "new"));
  EXPECT_FALSE(fs::exists(container().upper() / ".imagebuild-aside"));
  EXPECT_FALSE(fs::exists(container().upper() / "srv/data/main.c"));
}

TEST_P(MountsInContainer, SayWhatIsWrongWithThem) {
  struct Row {
    const char* name;
    api::Mount mount;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"no source", bind("ap", "/src"), "the bind mount of '/src': '/ap' is not in the build context"},
      {"a folder over a file", bind("app", "/etc/passwd"), "a folder cannot be mounted over the file"},
      {"a file over a folder", bind("top", "/etc"), "a file cannot be mounted over the folder"},
      {"our own folder", api::TmpfsMount{"/.imagebuild/x", 0}, "'/.imagebuild"},
      {"the root", api::TmpfsMount{"/", 0}, "root folder"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Container fresh;
    fresh.has_admin = GetParam();
    fresh.add_busybox();
    fs::copy(container().volume() / "context", fresh.volume() / "context", fs::copy_options::recursive);
    fresh.add_run("true", [&](api::RunStep& run) { run.mounts = {row.mount}; });
    const Outcome outcome = fresh.run();
    EXPECT_EQ(outcome.exit_status, 1) << outcome.output;
    EXPECT_THAT(message(outcome), HasSubstr(row.message));
    ASSERT_TRUE(outcome.report && outcome.report->failure);
    EXPECT_EQ(outcome.report->failure->at.line, 2);
  }
}

TEST_P(StandIns, CannotHideWhatTheRuntimeHasMounted) {
  add_run("true", {api::TmpfsMount{"/etc", 0}});
  const Outcome outcome = container().run();
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(message(outcome), HasSubstr("has something mounted at '/etc/hosts'"));
}

TEST_P(RealMounts, CoverWhatTheRuntimeHasMounted) {
  add_run("ls -A /etc; echo end", {api::TmpfsMount{"/etc", 0}});
  EXPECT_THAT(run_expecting_layers({}).output, ::testing::Eq("end\n"));
}

TEST_P(MountsInContainer, OfSecretsMayHideAFileOfTheImage) {
  container().add("etc/token", "public");
  api::SecretMount secret;
  secret.id = "token";
  secret.target = "/etc/token";
  container().add_run("cat /etc/token; echo; echo x > /etc/token", [&](api::RunStep& run) { run.secrets = {secret}; });
  container().add_run("cat /etc/token");
  fs::create_directories(container().volume() / "secrets");
  (void)write_file_atomically(container().volume() / "secrets/0", "hunter2");
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("hunter2\npublic"));
}

TEST_P(MountsInContainer, GiveNoAgentThatIsNotThereUnlessItIsRequired) {
  api::SshMount agent;
  agent.id = "default";
  agent.target = "/run/buildkit/ssh_agent.0";
  add_run("test ! -e /run; echo $SSH_AUTH_SOCK", {agent});
  EXPECT_THAT(run_expecting_layers({}).output, HasSubstr("/run/buildkit/ssh_agent.0\n"));
  container().stage().steps.clear();
  agent.required = true;
  add_run("true", {agent});
  const Outcome outcome = container().run();
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(message(outcome), HasSubstr("pass it with --ssh default"));
}

TEST_P(MountsInContainer, CutTheNetworkOffOrSayWhyNot) {
  add_run("cat /proc/net/dev; echo end", {}, [](api::RunStep& run) { run.network = api::Network::kNone; });
  const Outcome outcome = container().run();
  if (outcome.exit_status == 1) {
    EXPECT_FALSE(GetParam());
    EXPECT_THAT(message(outcome), HasSubstr("RUN --network=none"));
    return;
  }
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output << message(outcome);
  EXPECT_THAT(outcome.output, HasSubstr("lo:"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("eth")));
}

TEST_P(MountsInContainer, LimitTheResourcesOfARun) {
  container().plan.run.ulimits = {{"nofile", 64, 128}, {"core", 0, 0}};
  container().add_run("ulimit -n; ulimit -Hn; ulimit -c");
  EXPECT_THAT(run_expecting_layers({}).output, ::testing::Eq("64\n128\n0\n"));
}

}  // namespace
}  // namespace imagebuild::testing
