// What imagebuild-stage tells the operator when nobody reads its events: as in a pod.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "api/job.h"
#include "api/told.h"
#include "base/process.h"
#include "container.h"
#include "fakes/http_server.h"

namespace imagebuild::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPath = "/v1/reports/ns/app/uid/app-stage-0";

// The operator's end: keeps what it is told, in order.
class Operator {
 public:
  std::vector<std::string> environment() const {
    return {"IMAGEBUILD_REPORT_URL=" + server_.url() + kPath, "IMAGEBUILD_REPORT_TOKEN=s3cret-token"};
  }
  std::vector<api::Told> told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }

 private:
  void take(fakes::Exchange& exchange) {
    const auto told = api::Told::parse(exchange.read_body());
    const bool is_right = exchange.method == "POST" && exchange.path == kPath &&
                          exchange.headers.find("Authorization") == "Bearer s3cret-token" && told.ok();
    if (is_right) {
      const std::lock_guard lock(mutex_);
      told_.push_back(*told);
    }
    exchange.respond(is_right ? 204 : 400);
  }
  std::mutex mutex_;
  std::vector<api::Told> told_;
  fakes::HttpServer server_{[this](fakes::Exchange& exchange) { take(exchange); }};
};

class TellInContainer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = why_no_containers()) GTEST_SKIP() << *why;
    container_.emplace();
    container_->has_admin = false;
    container_->writes_report_fd = false;
    container_->add_busybox();
    container_->environment = operator_.environment();
    container_->runtime_mounts = {"dev/termination-log"};
  }
  Container& container() { return *container_; }
  std::string termination_message() const {
    return *read_file(container_->volume().parent_path() / "runtime-file", 1U << 20);
  }
  Operator operator_;
  std::optional<Container> container_;
};

TEST_F(TellInContainer, ItsStepsAndItsEnd) {
  container().add_run("echo one");
  container().add_run("if grep -q s3cret-token /proc/1/environ; then echo the token is seen; fi; echo two");
  const Outcome outcome = container().run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("one\n"));
  EXPECT_THAT(outcome.output, HasSubstr("two\n"));
  EXPECT_THAT(outcome.output, ::testing::Not(HasSubstr("the token is seen")));
  const auto told = operator_.told();
  ASSERT_FALSE(told.empty());
  EXPECT_TRUE(told.back().done);
  EXPECT_EQ(told.back().step, 1);
  EXPECT_FALSE(told.back().failure);
  for (std::size_t i = 0; i + 1 < told.size(); ++i) EXPECT_FALSE(told[i].done);
  EXPECT_EQ(termination_message(), told.back().json());
}

TEST_F(TellInContainer, WhichStepFailedAndHow) {
  container().add_run("echo broken; exit 42");
  const Outcome outcome = container().run();
  EXPECT_EQ(outcome.exit_status, 1);
  const auto told = operator_.told();
  ASSERT_FALSE(told.empty());
  ASSERT_TRUE(told.back().failure);
  EXPECT_FALSE(told.back().done);
  EXPECT_EQ(told.back().failure->code, "Failed");
  EXPECT_EQ(told.back().failure->exit_code, 42);
  EXPECT_EQ(told.back().failure->step, 0);
  EXPECT_THAT(told.back().failure->log_tail, ::testing::ElementsAre("broken"));
  EXPECT_EQ(termination_message(), told.back().json());
}

TEST_F(TellInContainer, NothingAboutAnEndThatSomebodyElseWanted) {
  container().add_run("trap 'exit 0' TERM; kill -TERM 1; while true; do sleep 0.01; done");
  const Outcome outcome = container().run();
  EXPECT_EQ(outcome.exit_status, 143) << outcome.output;
  for (const api::Told& told : operator_.told()) EXPECT_TRUE(!told.done && !told.failure);
  EXPECT_EQ(termination_message(), "made by the runtime\n");
}

TEST_F(TellInContainer, TheNewAttemptAloneWhenAFormerOneLeftThings) {
  const auto folder = container().volume() / "stages/0";
  std::filesystem::create_directories(folder / "layers");
  ASSERT_TRUE(write_file_atomically(folder / "report.json", R"({"version":1,"stage":"app"})").ok());
  ASSERT_TRUE(write_file_atomically(folder / "layers/7.tar.gz", "half a layer").ok());
  ASSERT_TRUE(write_file_atomically(folder / ".report.json.abc", "half a report").ok());
  container().add_run("exit 1");
  const Outcome outcome = container().run();
  EXPECT_EQ(outcome.exit_status, 1);
  ASSERT_TRUE(outcome.report);
  EXPECT_TRUE(outcome.report->failure);
  EXPECT_FALSE(std::filesystem::exists(folder / "layers/7.tar.gz"));
  EXPECT_FALSE(std::filesystem::exists(folder / ".report.json.abc"));
}

// What goes wrong before there is a stage; needs no container.
TEST(Tell, WhyItCannotStart) {
  const TempDir volume = std::move(*TempDir::create("tell-test-"));
  const struct {
    const char* name;
    const char* plan;  // Null: none.
    int exit_status;
    const char* code;
    const char* message;
  } rows[] = {
      {"no plan", nullptr, 3, "Internal", "plan.json"},
      {"no JSON", "{", 3, "Corrupt", "plan"},
  };
  for (const auto& row : rows) {
    if (row.plan != nullptr) {
      ASSERT_TRUE(write_file_atomically(volume.path() / "plan.json", row.plan).ok());
    }
    Operator the_operator;
    SystemProcessRunner runner;
    ProcessSpec spec;
    spec.argv = {IMAGEBUILD_STAGE_PROGRAM, "--volume", volume.path().string(), "--stage", "0"};
    spec.environment = the_operator.environment();
    const auto result = runner.run(spec);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->exit_status, row.exit_status) << row.name;
    EXPECT_THAT(result->stderr_text, HasSubstr(row.message)) << row.name;
    const auto told = the_operator.told();
    ASSERT_EQ(told.size(), 1U) << row.name;
    ASSERT_TRUE(told[0].failure) << row.name;
    EXPECT_EQ(told[0].failure->code, row.code);
    EXPECT_THAT(told[0].failure->message, HasSubstr(row.message)) << row.name;
  }
}

}  // namespace
}  // namespace imagebuild::testing
