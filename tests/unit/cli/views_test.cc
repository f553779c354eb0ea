#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/json_view.h"
#include "cli/plain_view.h"
#include "cli/step_label.h"
#include "cli/tty_view.h"
#include "tests/unit/cli/sample_plan.h"
#include "tests/unit/cli/screen.h"

namespace imagebuild::cli {
namespace {

using api::StepDone;
using api::StepOutput;
using api::StepStarted;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using Outcome = StageEnded::Outcome;

struct TimedEvent {
  int at_ms;
  Event event;
};

// A build of the sample plan: one job, both stages.
std::vector<TimedEvent> good_build(const api::Plan& plan) {
  return {{0, JobStarted{0, "[internal] load"}},
          {100, JobDone{0}},
          {100, PlanSolved{&plan}},
          {100, JobStarted{1, from_label(plan, 0)}},
          {150, JobProgress{1, 20'000'000, 40'000'000}},
          {200, JobDone{1}},
          {200, StageStarted{0}},
          {200, StageProgress{0, StepStarted{0}}},
          {300, StageProgress{0, StepDone{0, 10}}},
          {300, StageProgress{0, StepStarted{1}}},
          {712, StageProgress{0, StepOutput{1, 1, "gcc -o app\nlinking"}}},
          {900, StageProgress{0, StepOutput{1, 2, "warning: \x1b[2Jbad\n"}}},
          {1100, StageProgress{0, StepDone{1, 20}}},
          {1100, StageProgress{0, StepStarted{2}}},
          {1100, StageProgress{0, StepDone{2, 0}}},
          {1100, StageEnded{0, Outcome::kDone}},
          {1100, JobStarted{2, "push app"}},
          {1200, Warning{"mind the gap"}},
          {1500, JobDone{2, true}}};
}

void show_all(View& view, const std::vector<TimedEvent>& events) {
  for (const TimedEvent& it : events) view.show(it.event, milliseconds(it.at_ms));
}

TEST(PlainViewTest, NumbersTheWorkAndItsOutput) {
  const api::Plan plan = sample_plan();
  std::string text;
  PlainView view([&](std::string_view piece) { text += piece; });
  show_all(view, good_build(plan));
  view.finish(milliseconds(1500));
  EXPECT_EQ(text, R"(#1 [internal] load
#1 DONE 0.1s

#2 [build 1/3] FROM docker.io/library/gcc:12@sha256:aaaaaaaaaaaa
#2 20.0 MB / 40.0 MB
#2 DONE 0.1s

#3 [build 2/3] COPY . /src
#3 DONE 0.1s

#4 [build 3/3] RUN make
#4 0.412 gcc -o app
#4 0.600 warning: bad
#4 0.800 linking
#4 DONE 0.8s

#5 push app

WARNING: mind the gap
#5 CACHED

)");
}

TEST(PlainViewTest, NamesTheStepsOfAStageThatWasNotRun) {
  const api::Plan plan = sample_plan();
  std::string text;
  PlainView view([&](std::string_view piece) { text += piece; });
  show_all(view, {{0, PlanSolved{&plan}}, {0, StageCached{0}}});
  EXPECT_EQ(text, "#1 [build 2/3] COPY . /src\n#1 CACHED\n\n#2 [build 3/3] RUN make\n#2 CACHED\n");
}

TEST(PlainViewTest, SaysWhyAStageIsBuiltAgainAndWhichOfItsStepsAreNot) {
  const api::Plan plan = sample_plan();
  std::string text;
  PlainView view([&](std::string_view piece) { text += piece; });
  show_all(view, {{0, PlanSolved{&plan}},
                  {0, StageStarted{0, "src/main.c changed"}},
                  {0, StageProgress{0, StepStarted{0}}},
                  {0, StageProgress{0, StepDone{0, 20, true}}},
                  {0, StageProgress{0, StepStarted{1}}},
                  {100, StageProgress{0, StepDone{1, 20}}}});
  EXPECT_EQ(text, R"(#1 [build] is built again: src/main.c changed

#2 [build 2/3] COPY . /src
#2 CACHED

#3 [build 3/3] RUN make
#3 DONE 0.1s
)");
}

TEST(PlainViewTest, SaysWhichStepFailedAndWhichWasGivenUp) {
  const api::Plan plan = sample_plan();
  std::string text;
  PlainView view([&](std::string_view piece) { text += piece; });
  show_all(view, {{0, PlanSolved{&plan}},
                  {0, StageProgress{0, StepStarted{1}}},
                  {0, StageProgress{1, StepStarted{0}}},
                  {10, JobStarted{0, "pull"}},
                  {1000, StageEnded{0, Outcome::kFailed}},
                  {1000, StageEnded{1, Outcome::kStopped}},
                  {1000, JobFailed{0, ""}},
                  {1000, JobFailed{0, "no such host"}}});
  EXPECT_THAT(text, HasSubstr("#1 ERROR 1.0s\n"));
  EXPECT_THAT(text, HasSubstr("#2 CANCELED 1.0s\n"));
  EXPECT_THAT(text, HasSubstr("#3 CANCELED\n#3 ERROR: no such host\n"));
}

TEST(JsonViewTest, WritesOneDocumentedObjectALine) {
  const api::Plan plan = sample_plan();
  std::string text;
  JsonView view([&](std::string_view piece) { text += piece; });
  show_all(view, {{0, JobStarted{0, "load"}},
                  {100, JobDone{0}},
                  {100, PlanSolved{&plan}},
                  {200, StageStarted{0}},
                  {200, StageProgress{0, StepStarted{1}}},
                  {712, StageProgress{0, StepOutput{1, 2, "a\xff\n"}}},
                  {900, StageProgress{0, StepDone{1, 20}}},
                  {900, StageEnded{0, Outcome::kFailed}},
                  {900, JobProgress{1, 5, 10}},
                  {900, JobFailed{1, "gone"}},
                  {950, Warning{"w"}},
                  {960, StageCached{1}},
                  {1000, BuildFailed{Error{ErrorCode::kUnavailable, "down"}, std::nullopt}}});
  EXPECT_EQ(text, R"({"time":0.0,"event":"jobStarted","job":0,"name":"load"}
{"time":0.1,"event":"jobDone","job":0,"cached":false}
{"time":0.1,"event":"planSolved","stages":[{"name":"build","steps":3,"needs":[]},{"name":"1","steps":2,"needs":["build"]}],"target":"1"}
{"time":0.2,"event":"stageStarted","stage":"build"}
{"time":0.2,"event":"stepStarted","stage":"build","step":1,"line":3,"text":"RUN make"}
{"time":0.712,"event":"stepOutput","stage":"build","step":1,"stream":2,"data":"a)"
                  "\xef\xbf\xbd"
                  R"(\n"}
{"time":0.9,"event":"stepDone","stage":"build","step":1,"layerBytes":20,"cached":false}
{"time":0.9,"event":"stageEnded","stage":"build","outcome":"failed"}
{"time":0.9,"event":"jobProgress","job":1,"doneBytes":5,"totalBytes":10}
{"time":0.9,"event":"jobFailed","job":1,"message":"gone"}
{"time":0.95,"event":"warning","text":"w"}
{"time":0.96,"event":"stageCached","stage":"1"}
{"time":1.0,"event":"failed","code":"Unavailable","message":"down"}
)");
}

// A terminal of a fixed size, and the view that draws on it.
struct Terminal {
  explicit Terminal(std::size_t width, std::size_t height)
      : size{width, height},
        screen(width, height),
        view([this](std::string_view text) { screen.write(text); }, [this] { return size; }, TtyStyle{false}) {}
  TerminalSize size;
  Screen screen;
  TtyView view;
};

TEST(TtyViewTest, RedrawsWhatRunsBelowWhatIsDone) {
  const api::Plan plan = sample_plan();
  Terminal terminal(60, 24);
  const std::vector<TimedEvent> events = good_build(plan);
  for (const TimedEvent& it : events) {
    if (it.at_ms > 900) break;
    terminal.view.show(it.event, milliseconds(it.at_ms));
    terminal.view.tick(milliseconds(it.at_ms));
  }
  EXPECT_EQ(terminal.screen.text(), R"( => [internal] load                                    0.1s
 => [build 1/3] FROM docker.io/library/gcc:12@sha256:… 0.1s
 => [build 2/3] COPY . /src                            0.1s
[+] Building 0.9s (1/3)
 => [build 3/3] RUN make                               0.6s
 => => gcc -o app
 => => warning: bad
 => => linking
)");
  EXPECT_FALSE(terminal.screen.cursor_is_visible());
  for (const TimedEvent& it : events) {
    if (it.at_ms > 900) terminal.view.show(it.event, milliseconds(it.at_ms));
  }
  terminal.view.finish(milliseconds(1500));
  EXPECT_EQ(terminal.screen.text(), R"( => [internal] load                                    0.1s
 => [build 1/3] FROM docker.io/library/gcc:12@sha256:… 0.1s
 => [build 2/3] COPY . /src                            0.1s
 => [build 3/3] RUN make                               0.8s
WARNING: mind the gap
 => CACHED push app                                    0.4s
[+] Building 1.5s (2/3)
)");
  EXPECT_TRUE(terminal.screen.cursor_is_visible());
}

api::Plan plan_of(int stages) {
  api::Plan plan;
  for (int i = 0; i < stages; ++i) {
    plan.stages.push_back(stage_on("s" + std::to_string(i), i + 1, api::Scratch{}));
    plan.stages.back().steps = {step_at(i + 1, "RUN work", api::RunStep{})};
  }
  return plan;
}

TEST(TtyViewTest, NeverDrawsMoreThanTheTerminalHolds) {
  const api::Plan plan = plan_of(40);
  Terminal terminal(60, 24);
  terminal.view.show(PlanSolved{&plan}, milliseconds(0));
  for (int stage = 0; stage < 40; ++stage) {
    terminal.view.show(StageProgress{stage, StepStarted{0}}, milliseconds(0));
    terminal.view.show(StageProgress{stage, StepOutput{0, 1, "a\nb\nc\n"}}, milliseconds(0));
    terminal.view.tick(milliseconds(100 * stage));
    EXPECT_EQ(terminal.screen.scrolled_rows(), 0) << "after " << stage;
  }
  EXPECT_THAT(terminal.screen.text(), HasSubstr("and 19 more at work\n"));
  for (int stage = 0; stage < 40; ++stage) {
    terminal.view.show(StageProgress{stage, StepDone{0, 0}}, milliseconds(5000));
    terminal.view.show(StageEnded{stage, Outcome::kDone}, milliseconds(5000));
  }
  terminal.view.finish(milliseconds(5000));
  EXPECT_THAT(terminal.screen.everything(), HasSubstr(" => [s0 1/1] RUN work"));
  EXPECT_THAT(terminal.screen.everything(), HasSubstr("[+] Building 5.0s (40/40)\n"));
  EXPECT_THAT(terminal.screen.everything(), Not(HasSubstr("more at work")));
}

TEST(TtyViewTest, SurvivesANarrowerTerminal) {
  const api::Plan plan = plan_of(2);
  Terminal terminal(60, 24);
  terminal.view.show(PlanSolved{&plan}, milliseconds(0));
  terminal.view.show(StageProgress{0, StepStarted{0}}, milliseconds(0));
  terminal.view.tick(milliseconds(100));
  terminal.size.width = 30;
  terminal.screen.resize(30);
  terminal.view.tick(milliseconds(200));
  terminal.view.show(StageProgress{0, StepDone{0, 0}}, milliseconds(300));
  terminal.view.finish(milliseconds(300));
  EXPECT_EQ(terminal.screen.text(), " => [s0 1/1] RUN work    0.3s\n[+] Building 0.3s (1/2)\n");
}

TEST(TtyViewTest, EventsAloneWriteNothing) {
  int writes = 0;
  const api::Plan plan = plan_of(1);
  TtyView view([&](std::string_view) { ++writes; }, [] { return TerminalSize{}; }, TtyStyle{});
  view.show(PlanSolved{&plan}, milliseconds(0));
  view.show(StageProgress{0, StepStarted{0}}, milliseconds(0));
  for (int i = 0; i < 1000; ++i) view.show(StageProgress{0, StepOutput{0, 1, "line\n"}}, milliseconds(i));
  EXPECT_EQ(writes, 0);
  view.tick(milliseconds(1000));
  EXPECT_EQ(writes, 1);
}

TEST(StepLabelTest, CountsFromAndShownSteps) {
  const api::Plan plan = sample_plan();
  EXPECT_EQ(step_label(plan, 0, 1), "[build 3/3] RUN make");
  EXPECT_EQ(step_label(plan, 1, 0), "[stage-1 2/2] COPY --from=build /src/app /app");
  api::Plan alone = plan_of(1);
  alone.stages[0].name = "0";
  EXPECT_EQ(step_label(alone, 0, 0), "[1/1] RUN work");
}

TEST(StepLabelTest, WritesSizesAndTimesForPeople) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1.0 kB");
  EXPECT_EQ(bytes_text(999'960), "1.0 MB");
  EXPECT_EQ(bytes_text(23'140'000), "23.1 MB");
  EXPECT_EQ(bytes_text(UINT64_MAX), "18446744.1 TB");
  EXPECT_EQ(seconds_text(milliseconds(12'345)), "12.3s");
}

}  // namespace
}  // namespace imagebuild::cli
