// What keeps the reports' memory bounded, and their order.
#include <gtest/gtest.h>

#include "operator/reports.h"

namespace imagebuild::op {
namespace {

const std::string kPath = "/v1/reports/ns/app/uid-1/pod-1";

class ReportsBoundsTest : public testing::Test {
 protected:
  int take(const api::Told& told) { return reports.take(kPath, "Bearer " + reports.sign(kPath), told.json()); }

  int queued = 0;
  Reports reports{[this](const std::string&, const std::string&) { ++queued; }};
};

TEST_F(ReportsBoundsTest, RefusesLateReportsOfABuildThatIsGone) {
  EXPECT_EQ(take({.step = 1}), 204);
  reports.forget("uid-1");
  EXPECT_EQ(take({.step = 2, .done = true}), 404);
  EXPECT_FALSE(reports.find("uid-1", "pod-1"));
  EXPECT_EQ(queued, 1);
  EXPECT_FALSE(reports.tell("uid-1", "pod-1", {.done = true}).ok());
  EXPECT_TRUE(reports.tell("uid-2", "pod-1", {.done = true}).ok());
}

TEST_F(ReportsBoundsTest, RemembersOnlySoManyThatAreGone) {
  reports.forget("uid-1");
  reports.forget("uid-1");
  for (std::size_t i = 0; i + 1 < Reports::kMaxGone; ++i) reports.forget("other-" + std::to_string(i));
  EXPECT_EQ(take({}), 404);
  reports.forget("the one too many");
  EXPECT_EQ(take({}), 204);
}

TEST_F(ReportsBoundsTest, CutsWhatIsTooLongToKeep) {
  api::Told told;
  told.failure.emplace();
  told.failure->message = "the command failed";
  told.failure->log_tail = {std::string(2U << 20, 'x'), "the last line"};
  EXPECT_EQ(take(told), 204);
  const auto heard = reports.find("uid-1", "pod-1");
  ASSERT_TRUE(heard && heard->told.failure);
  EXPECT_LE(heard->told.json().size(), Reports::kMaxToldBytes);
  EXPECT_EQ(heard->told.failure->message, "the command failed");
  EXPECT_EQ(heard->told.failure->log_tail, std::vector<std::string>{"the last line"});
}

TEST_F(ReportsBoundsTest, RefusesWhatCannotBeCut) {
  api::Told told;
  told.image.emplace();
  told.image->reference.assign(Reports::kMaxToldBytes, 'x');
  EXPECT_EQ(take(told), 400);
  EXPECT_FALSE(reports.find("uid-1", "pod-1"));
}

TEST_F(ReportsBoundsTest, ProgressThatComesLateDoesNotUndoLaterProgress) {
  EXPECT_EQ(take({.step = 3}), 204);
  EXPECT_EQ(take({.step = 2}), 204);
  EXPECT_EQ(reports.find("uid-1", "pod-1")->told.step, 3);
  api::Told failed{.step = 1};
  failed.failure.emplace();
  EXPECT_EQ(take(failed), 204);
  EXPECT_TRUE(reports.find("uid-1", "pod-1")->told.failure);
}

}  // namespace
}  // namespace imagebuild::op
