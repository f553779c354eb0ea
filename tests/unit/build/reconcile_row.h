#pragma once

// A row of the tables that test decide(): a story, what the next decision does after it, and what Ready then says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "unit/build/reconcile_world.h"

namespace imagebuild::build {

using Words = std::vector<std::string>;
using W = World;

// What happens, what the next decision does (events aside), and what Ready then says.
struct Row {
  const char* name;
  std::function<void(W&)> story;
  Words does;
  const char* ready;
};

// Expects what the row says, and that deciding again from the same objects says the same and tells nothing twice.
inline void expect_decision(const Row& row) {
  World world;
  row.story(world);
  world.decide();
  EXPECT_EQ(world.does(), row.does);
  EXPECT_EQ(world.ready(), row.ready);
  const std::string status = api::status_json(world.status());
  world.decide();
  EXPECT_EQ(api::status_json(world.status()), status);
  EXPECT_THAT(world.events(), testing::IsEmpty());
}

inline const auto kRowName = [](const auto& row) { return std::string(row.param.name); };

}  // namespace imagebuild::build
