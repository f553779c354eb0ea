// What COPY and ADD put, as rows of lines in the notation of MemoryTree.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "archive/compress.h"
#include "archive/tar_writer.h"
#include "base/stream.h"
#include "builder/stage/copy.h"
#include "trees.h"

namespace imagebuild::builder {

struct CopyRow {
  const char* name;
  std::vector<std::string> source;
  std::vector<std::string> root;
  api::CopyStep step;
  std::vector<std::string> layer;  // What it puts…
  const char* error = nullptr;     // …or what it says.
};

// COPY from the build context.
inline api::CopyStep copy(std::vector<std::string> sources, const std::string& destination, bool folder = false) {
  api::CopyStep step;
  step.from = api::FromContext{};
  step.sources = std::move(sources);
  step.destination = destination;
  step.destination_is_folder = folder;
  return step;
}

// A tar with these lines in their order.
inline std::string tar_of(const std::vector<std::string>& lines,
                          archive::Compression compression = archive::Compression::kNone) {
  StringSink sink;
  const auto compressor = archive::compress_to(sink, compression, 1);
  archive::TarWriter tar(*compressor);
  for (const std::string& line : lines) {
    testing::MemoryTree one({line});
    const archive::Node node = one.index().nodes().begin()->second;
    StringSource content(node.content.value_or(""));
    (void)tar.add(node, &content);
  }
  (void)tar.finish();
  (void)compressor->finish();
  return sink.text();
}

inline void expect_copies(const std::vector<CopyRow>& rows) {
  for (const CopyRow& row : rows) {
    SCOPED_TRACE(row.name);
    const testing::MemoryTree source(row.source);
    const testing::MemoryTree root(row.root);
    const CopyPlaces places{source.view(), "the build context", root.view(), 2000, "/nowhere"};
    const auto layer = plan_copy(row.step, places);
    if (row.error != nullptr) {
      ASSERT_FALSE(layer.ok()) << ::testing::PrintToString(testing::written(*layer));
      EXPECT_THAT(layer.error().message, ::testing::HasSubstr(row.error));
      EXPECT_EQ(layer.error().exit_status(), kExitFailed);
      continue;
    }
    ASSERT_TRUE(layer.ok()) << layer.error().message;
    EXPECT_THAT(testing::written(*layer), ::testing::ElementsAreArray(row.layer));
  }
}

}  // namespace imagebuild::builder
