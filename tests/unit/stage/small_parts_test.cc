// The parts that fit into a few rows each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/report.h"
#include "builder/stage/capabilities.h"
#include "builder/stage/exec_failure.h"
#include "builder/stage/layer_entries.h"
#include "builder/stage/log_tail.h"
#include "builder/stage/run_step.h"
#include "trees.h"

namespace imagebuild::builder {
namespace {

using ::testing::ElementsAre;

TEST(LogTail, KeepsTheLastLinesOfBothStreams) {
  LogTail tail;
  for (int i = 0; i < 100; ++i) tail.add(1, std::to_string(i) + "\n");
  tail.add(2, "unfini");
  tail.add(1, "other");
  tail.add(2, "shed");
  const auto lines = tail.lines();
  ASSERT_EQ(lines.size(), api::kLogTailLines);
  EXPECT_EQ(lines[0], "82");
  EXPECT_EQ(lines[18], "other");
  EXPECT_EQ(lines[19], "unfinished");
}

TEST(LogTail, CutsLongLinesAndDropsCarriageReturns) {
  LogTail tail;
  tail.add(1, std::string(100'000, 'x'));
  tail.add(1, "y\nshort\r\n");
  EXPECT_THAT(tail.lines(), ElementsAre(std::string(LogTail::kMaxLineBytes, 'x'), "short"));
}

TEST(RunCapabilities, AreDockersFourteen) {
  EXPECT_EQ(run_capabilities(), 0xa80425fbULL);
}

TEST(RunEnvironment, AddsOnlyWhatIsMissing) {
  api::RunStep step;
  step.env = {"A=1", "HOME=/x"};
  EXPECT_THAT(run_environment(step, "/root"),
              ElementsAre("A=1", "HOME=/x", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  step.env = {"PATH=/p", "HOMES=1"};
  EXPECT_THAT(run_environment(step, "/root"), ElementsAre("PATH=/p", "HOMES=1", "HOME=/root"));
}

TEST(ScriptInterpreter, IsTheFirstWordAfterTheMark) {
  struct Row {
    const char* head;
    std::optional<std::string> wanted;
  };
  const std::vector<Row> rows = {
      {"#!/bin/sh\n", "/bin/sh"},   {"#! /usr/bin/env -S x\n", "/usr/bin/env"},
      {"#!/bin/sh\r\n", "/bin/sh"}, {"#!/bin/sh", "/bin/sh"},
      {"text", std::nullopt},       {"", std::nullopt},
  };
  for (const Row& row : rows) EXPECT_EQ(script_interpreter(row.head), row.wanted) << row.head;
}

TEST(ElfLoader, IsNotReadBeyondTheHead) {
  std::string head(
      "\x7f"
      "ELF\x02\x01",
      6);
  EXPECT_EQ(elf_loader(head), std::nullopt);
  head.resize(64, '\xff');
  EXPECT_EQ(elf_loader(head), std::nullopt);
}

TEST(LinkNames, MakesTheFirstInOrderTheFile) {
  LayerEntries entries;
  for (const char* path : {"z", "a", "m"}) {
    LayerEntry entry;
    entry.node.path = path;
    entry.file_id = 7;
    entries.emplace(path, entry);
  }
  link_names(entries);
  EXPECT_EQ(entries.at("a").node.type, archive::NodeType::kFile);
  EXPECT_EQ(entries.at("m").node.link, "a");
  EXPECT_EQ(entries.at("z").node.link, "a");
}

TEST(AddParents, TakesTheFoldersAsTheRootHasThem) {
  const testing::MemoryTree root({"tmp/ 1777", "tmp/a/ 0700 5:6", "lib ->usr"});
  LayerEntries entries;
  LayerEntry entry;
  entry.node.path = "tmp/a/f";
  entry.node.mode = 0644;
  entries.emplace("tmp/a/f", entry);
  ASSERT_TRUE(add_parents(root.view(), entries).ok());
  EXPECT_THAT(testing::written(entries), ElementsAre("tmp/ 1777 0:0", "tmp/a/ 0700 5:6", "tmp/a/f 0644 0:0"));
}

}  // namespace
}  // namespace imagebuild::builder
