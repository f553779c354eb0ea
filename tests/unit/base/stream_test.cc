#include "base/stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/file.h"

namespace imagebuild {
namespace {

class FailingSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte>) override { return Error{ErrorCode::kExhausted, "full"}; }
};

class FailingSource final : public ByteSource {
 public:
  Result<std::size_t> read(std::span<std::byte>) override { return Error{ErrorCode::kUnavailable, "gone"}; }
};

TEST(Stream, CopiesEverythingAndCounts) {
  const std::string text(300'000, 'x');
  StringSource source(text + "end");
  StringSink sink;
  const Result<std::uint64_t> count = copy_stream(source, sink);
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(*count, text.size() + 3);
  EXPECT_EQ(sink.text(), text + "end");
}

TEST(Stream, CopyingNothingIsFine) {
  StringSource source("");
  StringSink sink;
  EXPECT_EQ(*copy_stream(source, sink), 0U);
}

TEST(Stream, CopyPassesTheErrorsOfBothEnds) {
  StringSource text("text");
  FailingSink full;
  EXPECT_EQ(copy_stream(text, full).error().code, ErrorCode::kExhausted);
  FailingSource gone;
  StringSink sink;
  EXPECT_EQ(copy_stream(gone, sink).error().code, ErrorCode::kUnavailable);
}

TEST(Stream, ReadAllTakesExactlyTheLimit) {
  StringSource source("12345");
  EXPECT_EQ(*read_all(source, 5), "12345");
}

TEST(Stream, ReadAllRefusesOneByteMore) {
  StringSource source("123456");
  EXPECT_EQ(read_all(source, 5).error().code, ErrorCode::kLimit);
}

TEST(Stream, SourceFillsSmallBuffersPieceByPiece) {
  StringSource source("abcde");
  std::array<std::byte, 2> buffer{};
  EXPECT_EQ(*source.read(buffer), 2U);
  EXPECT_EQ(*source.read(buffer), 2U);
  EXPECT_EQ(*source.read(buffer), 1U);
  EXPECT_EQ(*source.read(buffer), 0U);
  EXPECT_EQ(*source.read(buffer), 0U);
}

class FileStream : public testing::Test {
 protected:
  void SetUp() override {
    Result<TempDir> made = TempDir::create("stream-test-");
    ASSERT_TRUE(made.ok());
    dir_.emplace(std::move(*made));
    path_ = dir_->path() / "file";
    ASSERT_TRUE(write_file_atomically(path_, "0123456789").ok());
  }
  std::string read_part(std::uint64_t offset, std::uint64_t size) {
    FileSource source(std::move(*open_file(path_, O_RDONLY)), offset, size);
    return *read_all(source, 100);
  }
  std::optional<TempDir> dir_;
  std::filesystem::path path_;
};

TEST_F(FileStream, ReadsTheWholeFile) {
  EXPECT_EQ(read_part(0, UINT64_MAX), "0123456789");
}
TEST_F(FileStream, ReadsAPart) {
  EXPECT_EQ(read_part(3, 4), "3456");
}
TEST_F(FileStream, EndsAtTheEndOfTheFile) {
  EXPECT_EQ(read_part(8, 50), "89");
}
TEST_F(FileStream, ReadsNothingBehindTheEnd) {
  EXPECT_EQ(read_part(50, 4), "");
}

TEST_F(FileStream, SourcesOfOneDescriptorDoNotDisturbEachOther) {
  const UniqueFd fd = std::move(*open_file(path_, O_RDONLY));
  FileSource first(UniqueFd(::dup(fd.get())), 0, 5);
  FileSource second(UniqueFd(::dup(fd.get())), 5);
  std::array<std::byte, 1> byte{};
  ASSERT_TRUE(first.read(byte).ok());
  EXPECT_EQ(*read_all(second, 100), "56789");
  EXPECT_EQ(*read_all(first, 100), "1234");
}

TEST_F(FileStream, SinkWritesEverything) {
  const std::string text(200'000, 'y');
  {
    FileSink sink(std::move(*open_file(path_, O_WRONLY | O_TRUNC)));
    ASSERT_TRUE(sink.write(as_bytes(text)).ok());
    ASSERT_TRUE(sink.write(as_bytes("!")).ok());
  }
  EXPECT_EQ(*read_file(path_, 1'000'000), text + "!");
}

TEST_F(FileStream, SinkReportsWhatTheSystemSays) {
  FileSink sink(std::move(*open_file(path_, O_RDONLY)));
  EXPECT_FALSE(sink.write(as_bytes("x")).ok());
}

TEST_F(FileStream, SinkReportsAFullDevice) {
  Result<UniqueFd> full = open_file("/dev/full", O_WRONLY);
  ASSERT_TRUE(full.ok());
  FileSink sink(std::move(*full));
  EXPECT_EQ(sink.write(as_bytes("x")).error().code, ErrorCode::kExhausted);
}

}  // namespace
}  // namespace imagebuild
