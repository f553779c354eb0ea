// COPY and the layers of stages below, in a container's own file system.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "in_container.h"

namespace imagebuild::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;

class CopyInContainer : public InContainer {
 protected:
  void add_context(const std::string& path, const std::string& content) {
    const fs::path file = container().volume() / api::volume::kContextFolder / path;
    fs::create_directories(file.parent_path());
    (void)write_file_atomically(file, content);
    archive::Node node;
    node.path = path;
    node.mode = 0644;
    node.size_bytes = content.size();
    context_.put(node);
    (void)context_.save(container().volume() / api::volume::kContextIndex);
  }
  void add_copy(const std::string& source, const std::string& destination, const std::string& owner = "") {
    api::CopyStep copy;
    copy.from = api::FromContext{};
    copy.sources = {source};
    copy.destination = destination;
    copy.owner = owner;
    container().add_step(copy);
  }

 private:
  archive::TreeIndex context_;
};
INSTANTIATE_TEST_SUITE_P(Kinds, CopyInContainer, ::testing::Values(true, false), kind_of_container);

TEST_P(CopyInContainer, PutsFilesWhereTheNextRunFindsThem) {
  fs::create_directories(container().base() / "usr/lib");
  fs::create_symlink("usr/lib", container().base() / "lib");
  add_context("x", "content");
  add_copy("x", "/lib/x", "app");
  container().add_run("cat /usr/lib/x; stat -c ' %u:%g' /lib/x; test -L /lib");
  const Outcome outcome = container().run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("content 1000:1000"));
  EXPECT_THAT(container().layer(outcome, 0), Contains(Key("usr/lib/x")));
  EXPECT_THAT(container().layer(outcome, 0), Not(Contains(Key("lib"))));
  EXPECT_EQ(outcome.report->layers.size(), 1U);  // The copy is not the RUN's change.
}

TEST_P(CopyInContainer, WorksWithoutKeepingLayers) {
  container().stage().keep_layers = false;
  add_context("x", "content");
  add_copy("x", "/new/folder/x");
  container().add_run("cat /new/folder/x");
  const Outcome outcome = container().run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("content"));
  EXPECT_TRUE(outcome.report->layers.empty());
}

TEST_P(CopyInContainer, AppliesTheLayersOfTheStageBelow) {
  add_context("x", "content");
  add_copy("x", "/below/x");
  container().add_run("rm /etc/group; echo more > /below/y");
  const Outcome parent = container().run();
  ASSERT_EQ(parent.exit_status, 0) << parent.output;
  // The second stage starts in the base image again: the upper folder of the first container is gone.
  for (const char* folder : {"upper", "work"}) {
    fs::remove_all(container().upper().parent_path() / folder);
    fs::create_directory(container().upper().parent_path() / folder);
  }
  api::PlanStage child = container().stage();
  child.name = "child";
  child.base = api::OnStage{0};
  child.steps.clear();
  child.needs = {0};
  container().plan.stages.push_back(child);
  container().add_run("cat /below/x /below/y; test ! -e /etc/group; rm /below/x");
  const Outcome outcome = container().run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("contentmore"));
  const LayerFiles layer = container().layer(outcome, 0);
  EXPECT_THAT(layer, Contains(Key("below/.wh.x")));
  EXPECT_EQ(layer.size(), 2U);
}

TEST_P(CopyInContainer, MakesAPathRealThatWasOnlyAMountPoint) {
  container().runtime_mounts = {"opt/mounted/"};
  add_context("x", "content");
  add_copy("x", "/opt/x");
  container().stage().exports = {"opt"};
  const Outcome outcome = container().run();
  ASSERT_EQ(outcome.exit_status, 0) << outcome.output;
  EXPECT_THAT(container().layer(outcome, 0), Contains(Key("opt")));
  const auto index = archive::TreeIndex::load(container().volume() / "stages/0/exports/export.index");
  ASSERT_TRUE(index.ok());
  EXPECT_NE(index->find("opt/x"), nullptr);
  EXPECT_EQ(index->find("opt/mounted"), nullptr);
}

}  // namespace
}  // namespace imagebuild::testing
