#include "base/byte_channel.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

namespace imagebuild {
namespace {

std::string pattern_text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 31 % 23);
  return text;
}

struct Row {
  const char* name;
  std::size_t capacity;
  std::size_t total;
  std::size_t piece;
};

class Channel : public testing::TestWithParam<Row> {};

TEST_P(Channel, DeliversEveryByteInOrder) {
  const std::string text = pattern_text(GetParam().total);
  ByteChannel::Ends ends = ByteChannel::create(GetParam().capacity);
  std::jthread writer([&, end = std::move(ends.writer)] {
    for (std::size_t at = 0; at < text.size(); at += GetParam().piece) {
      if (!end->write(as_bytes(text).subspan(at, std::min(GetParam().piece, text.size() - at))).ok()) return;
    }
    end->close();
  });
  const Result<std::string> received = read_all(*ends.reader, text.size() + 1);
  ASSERT_TRUE(received.ok()) << received.error().message;
  EXPECT_TRUE(*received == text);
}

INSTANTIATE_TEST_SUITE_P(All, Channel,
                         testing::Values(Row{"OneByteCapacity", 1, 5'000, 7},
                                         Row{"PiecesLargerThanTheRing", 64, 100'000, 1'000},
                                         Row{"OddSizesWrapAround", 37, 50'000, 11},
                                         Row{"RingLargerThanAll", 1 << 20, 1'000, 10},
                                         Row{"OneLargeWrite", 4'096, 3 << 20, 3 << 20}, Row{"Nothing", 16, 0, 1},
                                         Row{"CapacityZeroIsOne", 0, 100, 100}),
                         [](const auto& param) { return param.param.name; });

TEST(ByteChannelTest, EndComesAfterClose) {
  ByteChannel::Ends ends = ByteChannel::create(8);
  ASSERT_TRUE(ends.writer->write(as_bytes("abc")).ok());
  ends.writer->close();
  std::array<std::byte, 8> buffer{};
  EXPECT_EQ(*ends.reader->read(buffer), 3U);
  EXPECT_EQ(*ends.reader->read(buffer), 0U);
  EXPECT_EQ(*ends.reader->read(buffer), 0U);
}

TEST(ByteChannelTest, ErrorComesAfterTheLastByte) {
  ByteChannel::Ends ends = ByteChannel::create(8);
  ASSERT_TRUE(ends.writer->write(as_bytes("abc")).ok());
  ends.writer->close(Error{ErrorCode::kCorrupt, "digest mismatch"});
  std::array<std::byte, 2> buffer{};
  EXPECT_EQ(*ends.reader->read(buffer), 2U);
  EXPECT_EQ(*ends.reader->read(buffer), 1U);
  const Result<std::size_t> last = ends.reader->read(buffer);
  ASSERT_FALSE(last.ok());
  EXPECT_EQ(last.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(last.error().message, "digest mismatch");
}

TEST(ByteChannelTest, AWriterThatDisappearsIsNoEnd) {
  ByteChannel::Ends ends = ByteChannel::create(8);
  ASSERT_TRUE(ends.writer->write(as_bytes("abc")).ok());
  ends.writer.reset();
  EXPECT_EQ(read_all(*ends.reader, 100).error().code, ErrorCode::kCancelled);
}

TEST(ByteChannelTest, TheFirstCloseCounts) {
  ByteChannel::Ends ends = ByteChannel::create(8);
  ends.writer->close();
  ends.writer->close(Error{ErrorCode::kCorrupt, "late"});
  ends.writer.reset();
  EXPECT_EQ(*read_all(*ends.reader, 100), "");
}

TEST(ByteChannelTest, WritingAfterCloseIsAnError) {
  ByteChannel::Ends ends = ByteChannel::create(8);
  ends.writer->close();
  EXPECT_EQ(ends.writer->write(as_bytes("x")).error().code, ErrorCode::kInternal);
}

TEST(ByteChannelTest, WriterLearnsThatTheReaderIsGone) {
  ByteChannel::Ends ends = ByteChannel::create(8);
  ends.reader.reset();
  EXPECT_EQ(ends.writer->write(as_bytes("x")).error().code, ErrorCode::kCancelled);
}

TEST(ByteChannelTest, WaitingWriterIsWokenWhenTheReaderGoes) {
  ByteChannel::Ends ends = ByteChannel::create(4);
  Status written = ok();
  {
    std::jthread writer([&] { written = ends.writer->write(as_bytes("more than fits")); });
    std::array<std::byte, 1> buffer{};
    EXPECT_EQ(*ends.reader->read(buffer), 1U);
    ends.reader.reset();
  }
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::kCancelled);
}

TEST(ByteChannelTest, WaitingReaderIsWokenByClose) {
  ByteChannel::Ends ends = ByteChannel::create(4);
  Result<std::size_t> got(std::size_t{99});
  {
    std::jthread reader([&] {
      std::array<std::byte, 4> buffer{};
      got = ends.reader->read(buffer);
    });
    ends.writer->close();
  }
  EXPECT_EQ(*got, 0U);
}

TEST(ByteChannelTest, HoldsNoMoreThanItsCapacity) {
  ByteChannel::Ends ends = ByteChannel::create(10);
  std::jthread writer([end = std::move(ends.writer)] {
    const std::string text(1'000, 'x');
    if (end->write(as_bytes(text)).ok()) end->close();
  });
  std::vector<std::byte> buffer(1'000);
  std::size_t total = 0;
  while (true) {
    const Result<std::size_t> count = ends.reader->read(buffer);
    ASSERT_TRUE(count.ok());
    if (*count == 0) break;
    EXPECT_LE(*count, 10U);
    total += *count;
  }
  EXPECT_EQ(total, 1'000U);
}

}  // namespace
}  // namespace imagebuild
