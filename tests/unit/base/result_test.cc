#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace imagebuild {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return Error{ErrorCode::kInvalidInput, std::to_string(number) + " is odd"};
  return number / 2;
}

Result<int> quarter(int number) {
  ASSIGN_OR_RETURN(const int first, half(number));
  ASSIGN_OR_RETURN(const int second, half(first));
  return second;
}

Status check_even(int number) {
  RETURN_IF_ERROR(half(number));
  return ok();
}

TEST(Result, HoldsAValue) {
  const Result<int> result = half(8);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(static_cast<bool>(result));
  EXPECT_EQ(*result, 4);
  EXPECT_EQ(result.value(), 4);
}

TEST(Result, HoldsAnError) {
  const Result<int> result = half(7);
  ASSERT_FALSE(result.ok());
  EXPECT_FALSE(static_cast<bool>(result));
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(result.error().message, "7 is odd");
}

TEST(Result, AssignOrReturnStopsAtTheFirstError) {
  EXPECT_EQ(*quarter(12), 3);
  EXPECT_EQ(quarter(7).error().message, "7 is odd");
  EXPECT_EQ(quarter(6).error().message, "3 is odd");
}

TEST(Result, ReturnIfErrorPassesSuccess) {
  EXPECT_TRUE(check_even(2).ok());
  EXPECT_EQ(check_even(1).error().message, "1 is odd");
}

TEST(Result, MovesAValueThatCannotBeCopied) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

TEST(Result, InPutsThePlaceBeforeAnErrorOnly) {
  EXPECT_EQ(half(3).in("stage 'app'").error().message, "stage 'app': 3 is odd");
  EXPECT_EQ(half(3).in("stage 'app'").error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(*half(4).in("stage 'app'"), 2);
}

TEST(Result, ArrowReachesTheMembers) {
  Result<std::string> result(std::string("text"));
  EXPECT_EQ(result->size(), 4U);
  result->push_back('s');
  EXPECT_EQ(*result, "texts");
}

TEST(ResultDeathTest, TakingAValueThatIsNotThereEndsTheProcess) {
  const Result<int> result = half(1);
  EXPECT_DEATH((void)result.value(), "");
}

TEST(ResultDeathTest, TakingAnErrorThatIsNotThereEndsTheProcess) {
  const Result<int> result = half(2);
  EXPECT_DEATH((void)result.error(), "");
}

}  // namespace
}  // namespace imagebuild
