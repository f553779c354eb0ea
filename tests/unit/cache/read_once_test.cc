// A stage that no cache has: its files are read once, by the layer writer, and its key is of what that read.
#include <gtest/gtest.h>
#include <unistd.h>

#include "api/volume.h"
#include "builder/cache/content_memo.h"
#include "builder/cache/step_inputs.h"
#include "builder/stage/content_log.h"
#include "builder/stage/stage.h"
#include "tests/unit/cache/kept_files.h"
#include "tests/unit/cli/sample_plan.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
namespace volume = api::volume;

// FROM scratch, COPY . /tree, with a context of two files and a hard link.
class ReadOnceTest : public testing::Test {
 protected:
  void SetUp() override {
    plan_.dockerfile = "Dockerfile";
    api::PlanStage stage = cli::stage_on("image", 1, api::Scratch{});
    api::CopyStep copy;
    copy.from = api::FromContext{};
    copy.sources = {""};
    copy.destination = "/tree";
    stage.steps = {cli::step_at(2, "COPY . /tree", copy)};
    stage.keep_layers = true;
    plan_.stages = {stage};
    put("a", "one");
    put("b", "two");
    archive::Node link;
    link.path = "c";
    link.type = archive::NodeType::kHardlink;
    link.link = "b";
    index_.put(link);
    ASSERT_TRUE(index_.save(volume_.path() / volume::kContextIndex).ok());
    ASSERT_EQ(::link((context() / "b").c_str(), (context() / "c").c_str()), 0);
    restart();
  }
  fs::path context() const { return volume_.path() / volume::kContextFolder; }
  void put(const std::string& path, const std::string& content) {
    put_text(context() / path, content);
    archive::Node node;
    node.path = path;
    node.size_bytes = content.size();
    index_.put(node);
  }
  // Content of the same size, in the same inode.
  void overwrite(const std::string& path, const std::string& content) {
    const auto fd = open_file(context() / path, O_WRONLY);
    ASSERT_TRUE(fd.ok());
    ASSERT_EQ(::pwrite(fd->get(), content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
  }
  void restart() {
    auto memo = ContentMemo::open({context(), {}, [this] { return system_clock_now() + ahead_; }, true});
    ASSERT_TRUE(memo.ok());
    memo_ = std::move(*memo);
  }
  api::StageReport run(ContentLog& log) {
    StageJob job;
    job.volume = volume_.path();
    job.contents = &log;
    job.on_event = [this](const api::StageEvent&) {
      if (on_event_) on_event_();
    };
    auto report = compute_stage(plan_, job, {});
    EXPECT_TRUE(report.ok() && !report->failure);
    return report.ok() ? *report : api::StageReport{};
  }
  ContentLog new_log() {
    return ContentLog([this](const archive::Node& file, ContentLog::OnEnd on_end) {
      return memo_->open_content(file, std::move(on_end));
    });
  }
  build::StageInputs inputs(const ContentLog* log) {
    InputPlaces places{volume_.path(), {std::nullopt}, "builder"};
    places.memo = memo_.get();
    places.contents = log;
    auto inputs = stage_inputs(plan_, 0, places);
    EXPECT_TRUE(inputs.ok()) << inputs.error().message;
    return inputs.ok() ? std::move(*inputs) : build::StageInputs{};
  }

  TempDir volume_ = std::move(*TempDir::create("imagebuild-read-once-test-"));
  api::Plan plan_;
  archive::TreeIndex index_;
  std::chrono::system_clock::duration ahead_ = std::chrono::hours(1);
  std::unique_ptr<ContentMemo> memo_;
  std::function<void()> on_event_;
};

TEST_F(ReadOnceTest, ReadsEachFileForTheLayerAlone) {
  ContentLog log = new_log();
  run(log);
  EXPECT_EQ(memo_->files_read(), 2U);
  const build::StageInputs after = inputs(&log);
  EXPECT_EQ(memo_->files_read(), 2U) << "the key read something again";
  EXPECT_FALSE(log.is_spoiled());
  restart();
  EXPECT_EQ(inputs(nullptr), after) << "the key before a stage is another one";
}

TEST_F(ReadOnceTest, ReadsYoungFilesOnceToo) {
  ahead_ = {};
  ContentLog log = new_log();
  run(log);
  inputs(&log);
  EXPECT_EQ(memo_->files_read(), 2U);
  inputs(nullptr);
  EXPECT_EQ(memo_->files_read(), 5U) << "young files are not remembered; a hard link counts for itself";
}

TEST_F(ReadOnceTest, LetsTheMemoLearn) {
  ContentLog log = new_log();
  run(log);
  inputs(nullptr);
  EXPECT_EQ(memo_->files_read(), 2U);
}

TEST_F(ReadOnceTest, HashesNothingThatIsKnown) {
  inputs(nullptr);
  EXPECT_EQ(memo_->files_read(), 2U);
  ContentLog log = new_log();
  run(log);
  EXPECT_EQ(memo_->files_read(), 2U);
  EXPECT_EQ(log.find(api::FromContext{}, "a"), oci::Digest::of("one"));
}

TEST_F(ReadOnceTest, MakesTheKeyOfWhatTheLayerHas) {
  ContentLog log = new_log();
  const api::StageReport before = run(log);
  const build::StageInputs of_layer = inputs(&log);
  overwrite("a", "ONE");
  EXPECT_EQ(inputs(&log), of_layer) << "the file changed after the layer was made";
  EXPECT_NE(inputs(nullptr), of_layer);

  ContentLog next = new_log();
  EXPECT_NE(run(next).layers.at(0).digest, before.layers.at(0).digest);
  EXPECT_EQ(inputs(&next), inputs(nullptr));
}

TEST_F(ReadOnceTest, MakesTheKeyOfWhatTheLayerHasOfAFileThatChangedBeforeItWasReached) {
  const build::StageInputs listed = inputs(nullptr);
  on_event_ = [this] { overwrite("a", "ONE"); };  // When the step begins.
  ContentLog log = new_log();
  run(log);
  EXPECT_NE(inputs(&log), listed) << "so the stage is kept under no key of what it was not made from";
  EXPECT_EQ(log.find(api::FromContext{}, "a"), oci::Digest::of("ONE"));
}

TEST_F(ReadOnceTest, SaysSoWhenAKnownFileChangesWhileItIsRead) {
  inputs(nullptr);
  const archive::Node& file = *index_.find("a");
  std::optional<Result<oci::Digest>> told;
  auto content = memo_->open_content(file, [&](Result<oci::Digest> digest) { told = std::move(digest); });
  ASSERT_TRUE(content.ok());
  std::array<std::byte, 2> part;
  ASSERT_EQ(*(*content)->read(part), 2U);
  EXPECT_FALSE(told);
  overwrite("a", "ONE");
  ASSERT_TRUE(read_all(**content, 100).ok());
  ASSERT_TRUE(told);
  EXPECT_FALSE(told->ok());
}

TEST_F(ReadOnceTest, RefusesAFileOfAnotherSize) {
  put_text(context() / "a", "longer");
  const auto content = memo_->open_content(*index_.find("a"), [](const Result<oci::Digest>&) { FAIL(); });
  ASSERT_FALSE(content.ok());
  EXPECT_EQ(content.error().code, ErrorCode::kInvalidInput);
}

TEST_F(ReadOnceTest, HasAnOutlineWithoutFiles) {
  InputPlaces places{volume_.path(), {std::nullopt}, "builder"};
  const auto outline = stage_outline(plan_, 0, places);
  ASSERT_TRUE(outline.ok());
  build::StageInputs expected = inputs(nullptr);
  EXPECT_GT(std::erase_if(expected.steps.at(0).inputs,
                          [](const build::KeyInput& input) { return input.kind == build::InputKind::kFile; }),
            0U);
  EXPECT_EQ(*outline, expected);
  fs::remove_all(volume_.path() / volume::kContextIndex);
  EXPECT_TRUE(stage_outline(plan_, 0, places).ok()) << "it reads nothing";
}

}  // namespace
}  // namespace imagebuild::builder
