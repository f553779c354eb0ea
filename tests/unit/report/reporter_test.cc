#include "builder/report/reporter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <future>
#include <vector>

#include "api/job.h"
#include "base/file.h"
#include "fakes/http_server.h"

namespace imagebuild::builder {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* kUrl = "http://127.0.0.1:1/v1/reports/ns/app/uid/pod";

api::Told told_at(int step) {
  api::Told told;
  told.step = step;
  return told;
}

// A reporter whose operator, clock and files the test holds.
class Telling {
 public:
  Telling() {
    options.url = kUrl;
    options.token = "secret";
    seams.now = [this] { return now; };
    seams.sleep = [this](milliseconds time, const std::stop_token&) {
      slept.push_back(time);
      now += time;
    };
    seams.post = [this](const std::string& json, milliseconds at_most, const std::stop_token&) -> Result<int> {
      posted.push_back(json);
      allowed.push_back(at_most);
      now += post_time;
      const std::size_t at = std::min(posted.size(), answers.size()) - 1;
      if (answers[at] == 0) return Error{ErrorCode::kUnavailable, "cannot connect: Connection refused"};
      return answers[at];
    };
  }
  // A file in the test's folder to write to.
  int open(const char* name) {
    files.push_back(std::move(*open_file(folder.path() / name, O_WRONLY | O_CREAT)));
    return files.back().get();
  }
  std::string content(const char* name) const { return *read_file(folder.path() / name, 1U << 30); }
  std::string make_termination_log(const std::string& text) {
    const auto path = folder.path() / "termination-log";
    EXPECT_TRUE(write_file_atomically(path, text).ok());
    return options.termination_log = path.string();
  }
  void finish(const api::Told& told, bool to_log = false) {
    options.log_fd = open("log");
    options.note_fd = open("notes");
    Reporter(options, seams).finish(told, to_log);
  }

  TempDir folder = std::move(*TempDir::create("reporter-test-"));
  std::vector<UniqueFd> files;
  Reporter::Options options;
  Reporter::Seams seams;
  steady_clock::time_point now{};
  milliseconds post_time{0};
  std::vector<int> answers = {204};  // One a post, the last for ever; 0: no connection.
  std::vector<std::string> posted;
  std::vector<milliseconds> allowed, slept;
};

TEST(Reporter, FinishesInThreeWays) {
  Telling it;
  it.make_termination_log(std::string(9000, 'x'));
  api::Told told = told_at(2);
  told.done = true;
  told.plan_json = R"({"version":1})";
  it.finish(told, true);
  EXPECT_EQ(it.content("termination-log"), told.short_json(4096));
  EXPECT_EQ(it.content("log"), "imagebuild-told: " + told.json() + "\n");
  EXPECT_THAT(it.posted, ElementsAre(told.json()));
  EXPECT_EQ(it.content("notes"), "");
}

TEST(Reporter, WritesTheLogLineOnlyWhenAsked) {
  Telling it;
  it.finish(told_at(0), false);
  EXPECT_EQ(it.content("log"), "");
}

TEST(Reporter, CutsTheTerminationMessageToWhatTheKubeletKeeps) {
  Telling it;
  it.make_termination_log("");
  api::Told told = told_at(0);
  told.failure.emplace();
  told.failure->message = "the last word";
  told.failure->log_tail.assign(20, std::string(1000, 'x'));
  told.plan_json.assign(100'000, 'x');
  it.finish(told);
  const std::string text = it.content("termination-log");
  EXPECT_LE(text.size(), api::job::kMaxTerminationBytes);
  const auto back = api::Told::parse(text);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->failure->message, "the last word");
}

TEST(Reporter, WritesTheTerminationMessageBeforeItWaitsForAnybody) {
  Telling it;
  it.make_termination_log("");
  std::string seen;
  it.seams.post = [&](const std::string&, milliseconds, const std::stop_token&) -> Result<int> {
    seen = it.content("termination-log");
    return 204;
  };
  it.finish(told_at(1));
  EXPECT_EQ(seen, told_at(1).json());
}

TEST(Reporter, LeavesATerminationLogAloneThatIsNoFile) {
  Telling it;
  ASSERT_EQ(::mkfifo((it.folder.path() / "fifo").c_str(), 0600), 0);
  it.options.termination_log = (it.folder.path() / "fifo").string();
  it.finish(told_at(0));
  it.options.termination_log = (it.folder.path() / "missing").string();
  it.finish(told_at(0));
  EXPECT_FALSE(std::filesystem::exists(it.folder.path() / "missing"));
}

TEST(Reporter, TriesTheLastReportAgainAsTheContractSays) {
  const struct {
    const char* name;
    std::vector<int> answers;
    std::size_t posts;
    bool is_taken;
  } rows[] = {
      {"taken", {204}, 1, true},
      {"taken with a body", {200}, 1, true},
      {"busy, then taken", {503, 204}, 2, true},
      {"slow down, then taken", {429, 204}, 2, true},
      {"unreachable, then taken", {0, 0, 204}, 3, true},
      {"wrong token", {401}, 1, false},
      {"gone", {404}, 1, false},
      {"malformed", {400}, 1, false},
      {"too big", {413}, 1, false},
      {"moved", {302}, 1, false},
      {"busy, then refused", {500, 401}, 2, false},
  };
  for (const auto& row : rows) {
    Telling it;
    it.answers = row.answers;
    it.finish(told_at(0));
    EXPECT_THAT(it.posted, SizeIs(row.posts)) << row.name;
    EXPECT_EQ(it.content("notes").empty(), row.is_taken) << row.name << ": " << it.content("notes");
  }
}

TEST(Reporter, WaitsALittleLongerEachTimeAndTenSecondsInAll) {
  Telling it;
  it.answers = {503};
  it.finish(told_at(0));
  using namespace std::chrono_literals;
  EXPECT_THAT(it.slept, ElementsAre(100ms, 200ms, 400ms, 800ms, 1600ms, 2000ms, 2000ms, 2000ms));
  EXPECT_EQ(it.allowed.front(), 10'000ms);
  EXPECT_EQ(it.allowed.back(), 900ms);
  EXPECT_THAT(it.content("notes"), HasSubstr("the operator answered 503"));
}

TEST(Reporter, CountsSlowAttemptsIntoTheTenSeconds) {
  Telling it;
  it.answers = {0};
  it.post_time = milliseconds(6'000);
  it.finish(told_at(0));
  EXPECT_THAT(it.posted, SizeIs(2));
  EXPECT_EQ(it.allowed.back(), milliseconds(3'900));
}

TEST(Reporter, LeavesAReportThatIsTooLongToTheLog) {
  Telling it;
  api::Told told = told_at(0);
  told.plan_json.assign(api::job::kMaxReportBytes, 'x');
  it.finish(told, true);
  EXPECT_THAT(it.posted, SizeIs(0));
  EXPECT_GT(it.content("log").size(), api::job::kMaxReportBytes);
}

TEST(Reporter, SendsNothingWithoutAnAddressItCanReach) {
  for (const char* url : {"", "http://operator:8081/x", "https://10.0.0.1/x"}) {
    Telling it;
    it.options.url = url;
    if (*url == '\0') it.options.token = "";
    it.options.note_fd = it.open("notes");
    Reporter reporter(it.options, it.seams);
    reporter.progress(told_at(0));
    reporter.finish(told_at(1), false);
    EXPECT_THAT(it.posted, SizeIs(0)) << url;
    EXPECT_EQ(it.content("notes").empty(), *url == '\0') << it.content("notes");
  }
}

// An operator that takes a report only when the test lets it.
struct SlowOperator {
  std::promise<void> asked;
  std::promise<void> goes_on;
  std::vector<std::string> posted;
  int first_answer = 204;
  bool was_stopped = false;

  void install(Reporter::Seams& seams, std::promise<void>& second) {
    seams.post = [&](const std::string& json, milliseconds, const std::stop_token&) -> Result<int> {
      posted.push_back(json);
      if (posted.size() == 2) second.set_value();
      if (posted.size() > 1) return 204;
      asked.set_value();
      goes_on.get_future().wait();
      return first_answer;
    };
  }
};

TEST(Reporter, NeverWaitsForProgressAndSendsTheNewestOnly) {
  for (const int first_answer : {204, 503, 401}) {
    Telling it;
    SlowOperator slow;
    slow.first_answer = first_answer;
    std::promise<void> second;
    slow.install(it.seams, second);
    Reporter reporter(it.options, it.seams);
    reporter.progress(told_at(0));
    slow.asked.get_future().wait();
    // The sender hangs in its first post: these return all the same.
    for (int step = 1; step <= 5; ++step) reporter.progress(told_at(step));
    slow.goes_on.set_value();
    second.get_future().wait();
    EXPECT_THAT(slow.posted, ElementsAre(told_at(0).json(), told_at(5).json())) << first_answer;
  }
}

TEST(Reporter, GivesUpProgressForTheEnd) {
  Telling it;
  std::promise<void> asked;
  std::vector<std::string> posted;
  it.seams.post = [&](const std::string& json, milliseconds, const std::stop_token& stop) -> Result<int> {
    posted.push_back(json);
    if (posted.size() > 1) return 204;
    // Hangs until it is told to stop, as http_post_json does.
    std::promise<void> stopped;
    const std::stop_callback on_stop(stop, [&] { stopped.set_value(); });
    asked.set_value();
    stopped.get_future().wait();
    return Error{ErrorCode::kCancelled, "stopped"};
  };
  Reporter reporter(it.options, it.seams);
  reporter.progress(told_at(0));
  asked.get_future().wait();
  reporter.progress(told_at(1));
  reporter.finish(told_at(2), false);
  reporter.progress(told_at(3));
  EXPECT_THAT(posted, ElementsAre(told_at(0).json(), told_at(2).json()));
}

TEST(Reporter, EndsWithoutFinishEvenIfNobodyAnswers) {
  std::promise<void> asked;
  fakes::HttpServer server([&](fakes::Exchange& exchange) {
    asked.set_value();
    exchange.hang();
  });
  Reporter::Options options;
  options.url = server.url() + "/x";
  options.token = "secret";
  Reporter reporter(options);
  reporter.progress(told_at(0));
  asked.get_future().wait();
}

TEST(Reporter, ReachesTheOperatorThatTheEnvironmentNamesAndForgetsIt) {
  std::promise<std::string> seen;
  fakes::HttpServer server([&](fakes::Exchange& exchange) {
    seen.set_value(exchange.headers.find("Authorization").value_or("") + " " + exchange.read_body());
    exchange.respond(204);
  });
  ::setenv(api::job::kReportUrl, (server.url() + "/x").c_str(), 1);
  ::setenv(api::job::kReportToken, "secret", 1);
  const char* token = ::getenv(api::job::kReportToken);
  const auto reporter = Reporter::from_environment();
  EXPECT_EQ(::getenv(api::job::kReportUrl), nullptr);
  EXPECT_EQ(::getenv(api::job::kReportToken), nullptr);
  EXPECT_NE(std::string(token, 6), "secret");
  reporter->finish(told_at(4), false);
  EXPECT_EQ(seen.get_future().get(), "Bearer secret " + told_at(4).json());
}

}  // namespace
}  // namespace imagebuild::builder
