// A spec that can be built, and what validate() must say of one that was changed.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/validate.h"

namespace imagebuild::api {

inline ImageBuildSpec good_spec() {
  ImageBuildSpec spec;
  spec.source.git = GitSource{.url = "https://git.example/team/app.git", .revision = "main"};
  spec.output.image = "registry.example/team/app:1.0";
  return spec;
}

// The only problem is of `field`, and its message is as it says; with an empty field there is none.
inline void expect_problem(const ImageBuildSpec& spec, const std::string& field,
                           const testing::Matcher<const std::string&>& message) {
  const std::vector<Problem> problems = validate(spec);
  if (field.empty()) {
    EXPECT_TRUE(problems.empty()) << problems_text(problems);
    return;
  }
  ASSERT_EQ(problems.size(), 1U) << problems_text(problems);
  EXPECT_EQ(problems[0].field, field);
  EXPECT_THAT(problems[0].message, message);
}

}  // namespace imagebuild::api
