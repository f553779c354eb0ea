#include "cli/spool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace imagebuild::cli {
namespace {

// `size` bytes that tell where they stand, a few at a time, then `error` if there is one.
class Numbers final : public ByteSource {
 public:
  Numbers(std::size_t size, std::size_t piece, std::optional<Error> error = std::nullopt)
      : size_(size), piece_(piece), error_(std::move(error)) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    if (at_ == size_ && error_) return *error_;
    const std::size_t count = std::min({buffer.size(), piece_, size_ - at_});
    for (std::size_t i = 0; i < count; ++i) buffer[i] = byte_at(at_ + i);
    at_ += count;
    return count;
  }
  static std::byte byte_at(std::size_t place) { return static_cast<std::byte>(place * 31 + place / 251); }

 private:
  std::size_t size_, piece_, at_ = 0;
  std::optional<Error> error_;
};

// How many bytes came before the end or an error; every one is looked at.
std::size_t count_right_bytes(ByteSource& source, std::size_t buffer_bytes, Status& end) {
  std::vector<std::byte> buffer(buffer_bytes);
  std::size_t place = 0;
  while (true) {
    const Result<std::size_t> count = source.read(buffer);
    if (!count.ok()) end = count.error();
    if (!count.ok() || *count == 0) return place;
    for (std::size_t i = 0; i < *count; ++i) {
      if (buffer[i] != Numbers::byte_at(place + i)) return place + i;
    }
    place += *count;
  }
}

using Opened = Result<std::unique_ptr<ByteSource>>;

TEST(ReadAheadTest, GivesEveryByteInOrder) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{262'144}, std::size_t{3'000'001}}) {
    for (const std::size_t piece : {std::size_t{7'919}, std::size_t{1} << 20}) {
      const auto source =
          read_ahead([=]() -> Opened { return Opened(std::make_unique<Numbers>(size, piece)); }, 600'000);
      Status end = ok();
      EXPECT_EQ(count_right_bytes(*source, 10'007, end), size);
      EXPECT_TRUE(end.ok());
    }
  }
}

TEST(ReadAheadTest, AnErrorComesAfterTheBytesBeforeIt) {
  const Error broken{ErrorCode::kCorrupt, "broken"};
  const auto source =
      read_ahead([&]() -> Opened { return Opened(std::make_unique<Numbers>(300'000, 1'000, broken)); }, 1U << 20);
  Status end = ok();
  EXPECT_EQ(count_right_bytes(*source, 4'096, end), 300'000U);
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(end.error().code, ErrorCode::kCorrupt);
}

TEST(ReadAheadTest, WhatCannotBeOpenedIsAnError) {
  const auto source = read_ahead([]() -> Opened { return Error{ErrorCode::kNotFound, "no such blob"}; }, 1U << 20);
  Status end = ok();
  EXPECT_EQ(count_right_bytes(*source, 16, end), 0U);
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(end.error().code, ErrorCode::kNotFound);
}

TEST(ReadAheadTest, EndsWhenNobodyReadsAnyMore) {
  auto source =
      read_ahead([]() -> Opened { return Opened(std::make_unique<Numbers>(std::size_t{1} << 40, 65'536)); }, 1U << 20);
  std::byte first{};
  ASSERT_TRUE(source->read(std::span(&first, 1)).ok());
  source.reset();  // Would wait for the terabyte.
}

}  // namespace
}  // namespace imagebuild::cli
