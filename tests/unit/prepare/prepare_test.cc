// From a Dockerfile and its contexts to a plan and the context's index, without any image.
#include "builder/prepare/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "base/file.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class PrepareTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::create("prepare-test-");
    ASSERT_TRUE(made.ok());
    temp_.emplace(std::move(*made));
    fs::create_directories(temp_->path() / "context");
    std::ofstream(temp_->path() / "context/a.txt") << "a";
    request_.context = (temp_->path() / "context").string();
    request_.volume = temp_->path() / "volume";
    request_.epoch_s = 0;
  }
  Result<Prepared> prepare(const std::string& dockerfile) {
    request_.dockerfile_text = dockerfile;
    const OpenImage none = [](const std::string& name) -> Result<std::unique_ptr<oci::ImageSource>> {
      return Error{ErrorCode::kNotFound, "no image " + name};
    };
    return builder::prepare(request_, none, processes_);
  }
  std::vector<std::string> warnings(const Prepared& prepared) const {
    std::vector<std::string> texts;
    for (const api::Warning& warning : prepared.plan.warnings) texts.push_back(warning.message);
    return texts;
  }
  // The paths of the context's index.
  std::vector<std::string> context_paths() const {
    std::vector<std::string> paths;
    const auto index = archive::TreeIndex::load(request_.volume / api::volume::kContextIndex);
    if (!index.ok()) return {index.error().message};
    for (const auto& [path, node] : index->nodes()) paths.push_back(path);
    return paths;
  }

  std::optional<TempDir> temp_;
  SystemProcessRunner processes_;
  PrepareRequest request_;
};

TEST_F(PrepareTest, ANamedContextThatNothingUsesIsAWarning) {
  request_.named_contexts = {{"deps", ""}, {"base", "busybox:1.35"}, {"used", ""}};
  const auto prepared = prepare("FROM scratch\nCOPY --from=used . /\n");
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  EXPECT_THAT(warnings(*prepared), Contains(HasSubstr("the build context 'deps' is not used")));
  EXPECT_THAT(warnings(*prepared), Contains(HasSubstr("the build context 'base' is not used")));
  EXPECT_THAT(warnings(*prepared), Not(Contains(HasSubstr("'used'"))));
  ASSERT_EQ(prepared->plan.trees.size(), 1U);
  EXPECT_TRUE(prepared->plan.trees[0].origin == decltype(api::FileTree::origin)(api::NamedContext{"used"}));
  EXPECT_THAT(context_paths(), IsEmpty());
}

TEST_F(PrepareTest, TheSettingsOfRunAreInThePlan) {
  request_.run.hosts = {{"db", "10.0.0.7"}};
  request_.run.shm_bytes = 5;
  const auto prepared = prepare("FROM scratch\nCOPY a.txt /\n");
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  EXPECT_TRUE(prepared->plan.run == request_.run);
  EXPECT_THAT(context_paths(), testing::ElementsAre("a.txt"));
}

TEST_F(PrepareTest, AMountOfTheContextNeedsItsIndex) {
  const auto prepared = prepare("FROM scratch\nRUN --mount=type=bind,target=/src [\"/src/a.txt\"]\n");
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  EXPECT_THAT(context_paths(), testing::ElementsAre("a.txt"));
}

}  // namespace
}  // namespace imagebuild::builder
