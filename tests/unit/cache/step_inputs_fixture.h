// A plan and a context whose inputs the tests look at.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "builder/cache/step_inputs.h"
#include "tests/unit/cache/kept_files.h"
#include "tests/unit/cli/sample_plan.h"

namespace imagebuild::builder {

// The sample plan's first stage, with a context of two files.
class StepInputsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(places.volume / api::volume::kContextFolder);
    places.reports.resize(plan.stages.size());
    put_file("main.c", "int main;");
    put_file("README", "read me");
  }
  void put_file(const std::string& path, const std::string& content, std::uint32_t mode = 0644, std::int64_t time = 0) {
    put_text(places.volume / api::volume::kContextFolder / path, content);
    archive::Node node;
    node.path = path;
    node.mode = mode;
    node.size_bytes = content.size();
    node.mtime_s = time;
    put(node);
  }
  void put_link(const std::string& path, const std::string& target) {
    archive::Node node;
    node.path = path;
    node.type = archive::NodeType::kSymlink;
    node.link = target;
    put(node);
  }
  void put_folder(const std::string& path, std::uint32_t mode) {
    archive::Node node;
    node.path = path;
    node.type = archive::NodeType::kDirectory;
    node.mode = mode;
    put(node);
  }
  void put(const archive::Node& node) {
    index.put(node);
    ASSERT_TRUE(index.save(places.volume / api::volume::kContextIndex).ok());
  }
  build::StageInputs inputs(int stage = 0) {
    auto result = stage_inputs(plan, stage, places);
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result.ok() ? std::move(*result) : build::StageInputs{};
  }
  // Of the whole stage.
  std::string key(int stage = 0) {
    const auto key = build::keys_of(inputs(stage)).stage;
    return key ? key->str() : "none";
  }
  api::PlanStage& stage() { return plan.stages[0]; }
  api::CopyStep& copy() { return std::get<api::CopyStep>(stage().steps[0].action); }
  api::RunStep& run() { return std::get<api::RunStep>(stage().steps[1].action); }

  TempDir volume = std::move(*TempDir::create("imagebuild-step-inputs-test-"));
  api::Plan plan = cli::sample_plan();
  archive::TreeIndex index;
  InputPlaces places{volume.path(), {}, "builder", archive::Compression::kGzip};
};

}  // namespace imagebuild::builder
