#include "builder/stage/content_log.h"

#include <gtest/gtest.h>

#include <ostream>

#include "trees.h"

namespace imagebuild::builder {
namespace {

std::optional<oci::Digest> of(const std::string& content) {
  return oci::Digest::of(content);
}

// A tree of the context and one of a stage, with other content under the same names.
class ContentLogTest : public ::testing::Test {
 protected:
  std::string read(const LoggedView& view, const std::string& path) {
    const auto found = view.lookup(path);
    EXPECT_TRUE(found.ok() && *found) << path;
    auto content = view.open((*found)->node);
    EXPECT_TRUE(content.ok()) << content.error().message;
    auto text = read_all(**content, 1000);
    EXPECT_TRUE(text.ok()) << text.error().message;
    return *text;
  }

  testing::MemoryTree context_{"dir/", "dir/a =one", "b =two", "c @b"};
  testing::MemoryTree exported_{"b =of_the_stage"};
  ContentLog log_;
  LoggedView context_view_{context_.view(), context_.index(), api::FromContext{}, log_};
  LoggedView exported_view_{exported_.view(), exported_.index(), api::FromStage{0}, log_};
};

TEST_F(ContentLogTest, KnowsWhatWasReadToItsEnd) {
  EXPECT_EQ(read(context_view_, "dir/a"), "one");
  EXPECT_EQ(log_.find(api::FromContext{}, "dir/a"), of("one"));
  EXPECT_FALSE(log_.find(api::FromContext{}, "b"));
  EXPECT_FALSE(log_.find(api::FromTree{0}, "dir/a"));
}

TEST_F(ContentLogTest, TellsTreesApart) {
  read(exported_view_, "b");
  EXPECT_FALSE(log_.find(api::FromContext{}, "b"));
  EXPECT_FALSE(log_.find(api::FromStage{1}, "b"));
  read(context_view_, "b");
  EXPECT_EQ(log_.find(api::FromContext{}, "b"), of("two"));
  EXPECT_EQ(log_.find(api::FromStage{0}, "b"), of("of_the_stage"));
  EXPECT_FALSE(log_.is_spoiled());
}

TEST_F(ContentLogTest, KnowsAHardLinkByTheFileThatItShares) {
  EXPECT_EQ(read(context_view_, "c"), "two");
  EXPECT_EQ(log_.find(api::FromContext{}, "b"), of("two"));
  EXPECT_EQ(file_behind(context_.index(), (*context_view_.lookup("c"))->node).path, "b");
}

TEST_F(ContentLogTest, SaysNothingOfWhatWasReadInPart) {
  auto content = context_view_.open((*context_view_.lookup("b"))->node);
  ASSERT_TRUE(content.ok());
  std::array<std::byte, 3> all;
  ASSERT_EQ(*(*content)->read(all), 3U);
  content->reset();
  EXPECT_FALSE(log_.find(api::FromContext{}, "b")) << "the end was not seen";
  EXPECT_FALSE(log_.is_spoiled());
}

TEST_F(ContentLogTest, IsSpoiledByAFileThatWasNotTheSameTwice) {
  log_.note(api::FromContext{}, "b", oci::Digest::of("two"));
  read(context_view_, "b");
  EXPECT_FALSE(log_.is_spoiled());
  log_.note(api::FromContext{}, "b", oci::Digest::of("three"));
  EXPECT_TRUE(log_.is_spoiled());
}

TEST_F(ContentLogTest, IsSpoiledWhereNobodyKnowsWhatWasRead) {
  log_.note(api::FromContext{}, "b", Error{ErrorCode::kInvalidInput, "it changed"});
  EXPECT_TRUE(log_.is_spoiled());
}

TEST_F(ContentLogTest, LetsOthersOpenTheContextButNoOtherTree) {
  std::vector<std::string> opened;
  ContentLog log([&](const archive::Node& file, ContentLog::OnEnd on_end) -> Result<std::unique_ptr<ByteSource>> {
    opened.push_back(file.path);
    on_end(oci::Digest::of("told"));
    return std::unique_ptr<ByteSource>(std::make_unique<StringSource>("told"));
  });
  const LoggedView context(context_.view(), context_.index(), api::FromContext{}, log);
  const LoggedView exported(exported_.view(), exported_.index(), api::FromStage{0}, log);
  EXPECT_EQ(read(context, "c"), "told");
  EXPECT_EQ(read(exported, "b"), "of_the_stage");
  EXPECT_EQ(opened, std::vector<std::string>{"b"});
  EXPECT_EQ(log.find(api::FromContext{}, "b"), of("told"));
}

struct StageRow {
  const char* name;
  bool needs_container;
  decltype(api::Step::action) action;
  bool all;
};
void PrintTo(const StageRow& row, std::ostream* out) {
  *out << row.name;
}
class LogsAllContent : public ::testing::TestWithParam<StageRow> {};

TEST_P(LogsAllContent, OnlyWhereNothingElseReadsIt) {
  api::PlanStage stage;
  stage.needs_container = GetParam().needs_container;
  stage.steps.emplace_back().action = GetParam().action;
  EXPECT_EQ(logs_all_content(stage), GetParam().all);
}

api::CopyStep unpacking() {
  api::CopyStep step;
  step.unpack_archives = true;
  return step;
}
api::CopyStep fetching() {
  api::CopyStep step;
  step.remotes.emplace_back();
  return step;
}
const StageRow kStageRows[] = {{"Copy", false, api::CopyStep{}, true},
                               {"Workdir", false, api::WorkdirStep{}, true},
                               {"CopyInAContainer", true, api::CopyStep{}, false},
                               {"AddOfAFileThatMayBeAnArchive", false, unpacking(), false},
                               {"AddFromElsewhere", false, fetching(), false}};
INSTANTIATE_TEST_SUITE_P(Rows, LogsAllContent, ::testing::ValuesIn(kStageRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace imagebuild::builder
