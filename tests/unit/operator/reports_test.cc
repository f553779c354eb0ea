#include "operator/reports.h"

#include <gtest/gtest.h>

#include <vector>

#include "unit/operator/pods_sample.h"

namespace imagebuild::op {
namespace {

const std::string kPath = "/v1/reports/ns/app/uid-1/app-prepare-1";

class ReportsTest : public testing::Test {
 protected:
  std::string bearer(const std::string& path = kPath) const { return "Bearer " + reports.sign(path); }

  std::vector<std::string> told;
  Reports reports{[this](const std::string& ns, const std::string& build) { told.push_back(ns + "/" + build); }};
};

TEST_F(ReportsTest, KeepsTheNewestAndSaysSo) {
  EXPECT_EQ(reports.take(kPath, bearer(), api::Told{.step = 0}.json()), 204);
  EXPECT_EQ(reports.take(kPath, bearer(), api::Told{.step = 2}.json()), 204);
  ASSERT_TRUE(reports.find("uid-1", "app-prepare-1"));
  EXPECT_EQ(reports.find("uid-1", "app-prepare-1")->told.step, 2);
  EXPECT_EQ(told, (std::vector<std::string>{"ns/app", "ns/app"}));
  EXPECT_FALSE(reports.find("uid-1", "pod-2"));
  EXPECT_FALSE(reports.find("uid-2", "app-prepare-1"));
}

TEST_F(ReportsTest, RefusesEveryTokenButTheOneOfThePath) {
  const std::string body = api::Told{.done = true}.json();
  for (const std::string& token :
       {std::string(), std::string("Bearer "), reports.sign(kPath), "Basic " + reports.sign(kPath),
        bearer("/v1/reports/ns/app/uid-1/pod-2"), bearer() + "0", "Bearer " + Reports(nullptr).sign(kPath)}) {
    EXPECT_EQ(reports.take(kPath, token, body), 401) << token;
  }
  EXPECT_FALSE(reports.find("uid-1", "app-prepare-1"));
  EXPECT_TRUE(told.empty());
}

TEST_F(ReportsTest, KnowsNoOtherPath) {
  for (const std::string path : {"/v1/reports/", "/v1/reports/ns/app/uid-1", "/v1/reports/ns/app/uid-1/",
                                 "/v1/reports//app/uid-1/pod", "/v1/reports/ns/app/uid-1/pod/more", "/metrics"}) {
    EXPECT_EQ(reports.take(path, bearer(path), api::Told{}.json()), 404) << path;
  }
}

TEST_F(ReportsTest, RefusesWhatIsNoReport) {
  EXPECT_EQ(reports.take(kPath, bearer(), "{}"), 400);
  api::Told with_broken_plan{.done = true};
  with_broken_plan.plan_json = "{}";
  EXPECT_EQ(reports.take(kPath, bearer(), with_broken_plan.json()), 400);
  EXPECT_FALSE(reports.find("uid-1", "app-prepare-1"));
}

TEST_F(ReportsTest, ProgressThatComesLateDoesNotUndoTheEnd) {
  api::Told done{.step = 4, .done = true};
  done.plan_json = sample_plan().json();
  EXPECT_EQ(reports.take(kPath, bearer(), done.json()), 204);
  EXPECT_EQ(reports.take(kPath, bearer(), api::Told{.step = 3}.json()), 204);
  const auto heard = reports.find("uid-1", "app-prepare-1");
  ASSERT_TRUE(heard);
  EXPECT_TRUE(heard->told.done);
  ASSERT_TRUE(heard->plan);
  EXPECT_EQ(*heard->plan, sample_plan());
  EXPECT_EQ(heard->told.plan_json, "");
}

TEST_F(ReportsTest, TakesAPlanFromPreparePodsOnly) {
  const std::string path = "/v1/reports/ns/app/uid-1/app-s1-1";
  api::Told done{.step = 4, .done = true};
  done.plan_json = sample_plan().json();
  EXPECT_EQ(reports.take(path, bearer(path), done.json()), 204);
  ASSERT_TRUE(reports.find("uid-1", "app-s1-1"));
  EXPECT_FALSE(reports.find("uid-1", "app-s1-1")->plan);
}

TEST_F(ReportsTest, ForgetsABuildAsAWhole) {
  EXPECT_EQ(reports.take(kPath, bearer(), api::Told{}.json()), 204);
  reports.forget("uid-1");
  EXPECT_FALSE(reports.find("uid-1", "app-prepare-1"));
}

}  // namespace
}  // namespace imagebuild::op
