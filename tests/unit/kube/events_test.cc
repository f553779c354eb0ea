#include "kube/events.h"

#include "unit/kube/api_fixture.h"

namespace imagebuild::kube {
namespace {

using namespace std::chrono_literals;

class EventsTest : public ApiFixture {
 protected:
  static Event event(const std::string& reason = "StageStarted", const std::string& note = "stage 'app' started") {
    return {.regarding = {{"apiVersion", "imagebuild.dev/v1alpha1"},
                          {"kind", "ImageBuild"},
                          {"namespace", "ns"},
                          {"name", "hello"},
                          {"uid", "u-1"}},
            .type = EventType::kNormal,
            .reason = reason,
            .action = "Build",
            .note = note};
  }
  EventOptions event_options() {
    return {.controller = "imagebuild.dev/operator", .instance = "operator-0", .now = [this] { return now; }};
  }
  WallTime now{std::chrono::seconds(1'700'000'000)};
  Client client{transport, options()};
  EventRecorder recorder{client, event_options()};
};

TEST_F(EventsTest, WritesWhatTheApiWants) {
  recorder.record(event());
  EXPECT_TRUE(api.all(events()).empty()) << "recording must not wait for the network";
  recorder.flush();
  const auto written = api.all(events(), "ns");
  ASSERT_EQ(written.size(), 1U);
  const Json& it = written[0];
  EXPECT_TRUE(key_of(it).name.starts_with("hello."));
  EXPECT_EQ(text_at(it, {"eventTime"}), "2023-11-14T22:13:20.000000Z");
  EXPECT_EQ(text_at(it, {"reportingController"}), "imagebuild.dev/operator");
  EXPECT_EQ(text_at(it, {"reportingInstance"}), "operator-0");
  EXPECT_EQ(text_at(it, {"reason"}), "StageStarted");
  EXPECT_EQ(text_at(it, {"action"}), "Build");
  EXPECT_EQ(text_at(it, {"type"}), "Normal");
  EXPECT_EQ(text_at(it, {"note"}), "stage 'app' started");
  EXPECT_EQ(text_at(it, {"regarding", "uid"}), "u-1");
}

TEST_F(EventsTest, MakesASeriesOfRepeats) {
  for (int i = 0; i < 3; ++i) {
    recorder.record(event());
    recorder.flush();
    now += 60s;
  }
  const auto written = api.all(events());
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(number_at(written[0], {"series", "count"}), 3);
  EXPECT_EQ(text_at(written[0], {"series", "lastObservedTime"}), "2023-11-14T22:15:20.000000Z");
}

TEST_F(EventsTest, BeginsAnewWhenARepeatIsLateOrDiffers) {
  recorder.record(event());
  recorder.flush();
  now += 361s;
  recorder.record(event());
  recorder.record(event("StageFailed"));
  recorder.record(event("StageFailed", "another note"));
  recorder.flush();
  EXPECT_EQ(api.all(events()).size(), 4U);
}

TEST_F(EventsTest, BeginsAnewWhenTheServerForgotTheSeries) {
  recorder.record(event());
  recorder.flush();
  ASSERT_TRUE(api.remove(events(), key_of(api.all(events())[0])));
  recorder.record(event());
  recorder.flush();
  EXPECT_EQ(api.all(events()).size(), 1U);
}

TEST_F(EventsTest, BoundsWhatOneObjectMayWrite) {
  for (int i = 0; i < 30; ++i) recorder.record(event("R" + std::to_string(i)));
  recorder.flush();
  EXPECT_EQ(api.all(events()).size(), 25U);
  EXPECT_EQ(recorder.dropped(), 5U);
  Event other = event();
  other.regarding["uid"] = "u-2";
  recorder.record(other);
  now += 300s;
  recorder.record(event("Late"));
  recorder.record(event("TooMany"));
  recorder.flush();
  EXPECT_EQ(api.all(events()).size(), 27U);
  EXPECT_EQ(recorder.dropped(), 6U);
}

TEST_F(EventsTest, DropsTheOldestWhenNobodySends) {
  EventOptions small = event_options();
  small.max_queued = 2;
  EventRecorder crowded(client, small);
  for (const char* reason : {"A", "B", "C"}) crowded.record(event(reason));
  crowded.flush();
  EXPECT_EQ(crowded.dropped(), 1U);
  const auto written = api.all(events());
  ASSERT_EQ(written.size(), 2U);
  EXPECT_NE(text_at(written[0], {"reason"}), "A");
}

TEST_F(EventsTest, FallsBackToTheCoreApi) {
  api.miss_group("events.k8s.io");
  recorder.record(event());
  recorder.flush();
  now += 10s;
  recorder.record(event());
  recorder.record(event("StageFailed"));
  recorder.flush();
  const auto written = api.all(core_events());
  ASSERT_EQ(written.size(), 2U);
  EXPECT_EQ(number_at(written[0], {"count"}), 2);
  EXPECT_EQ(text_at(written[0], {"involvedObject", "name"}), "hello");
  EXPECT_EQ(text_at(written[0], {"message"}), "stage 'app' started");
  EXPECT_EQ(text_at(written[0], {"lastTimestamp"}), "2023-11-14T22:13:30Z");
  EXPECT_EQ(api.count("POST", "events.k8s.io"), 1) << "it asks only once";
}

TEST_F(EventsTest, CutsLongNotesBetweenCharacters) {
  recorder.record(event("Long", std::string(1020, 'x') + "äöü"));
  recorder.flush();
  const std::string note = text_at(api.all(events()).at(0), {"note"});
  EXPECT_LE(note.size(), 1024U);
  EXPECT_TRUE(note.ends_with("x...")) << note.substr(note.size() - 8);
}

TEST_F(EventsTest, CountsWhatTheServerRefuses) {
  api.inject({.method = "POST", .times = 2, .status = 403, .reason = "Forbidden"});
  recorder.record(event());
  recorder.flush();
  EXPECT_EQ(recorder.dropped(), 1U);
}

TEST_F(EventsTest, SendsOnAThreadOfItsOwn) {
  recorder.start();
  recorder.record(event());
  EXPECT_TRUE(api.wait_for_count("POST", "events", 1));
  recorder.stop();
  EXPECT_EQ(api.all(events()).size(), 1U);
}

TEST(ReferenceTo, NamesAnObject) {
  const Json reference = reference_to({{"apiVersion", "v1"},
                                       {"kind", "Pod"},
                                       {"metadata", {{"name", "p"}, {"namespace", "ns"}, {"uid", "u"}}},
                                       {"spec", {{"x", 1}}}});
  EXPECT_EQ(reference, (Json{{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", "p"}, {"namespace", "ns"}, {"uid", "u"}}));
}

}  // namespace
}  // namespace imagebuild::kube
