#include "archive/compress.h"

#include <algorithm>

#include "unit/archive/fixtures.h"

namespace imagebuild::archive {
namespace {

constexpr std::size_t kMiB = 1U << 20;

std::string compressed(std::string_view text, Compression kind, unsigned threads, std::size_t piece = 100'000) {
  StringSink out;
  const std::unique_ptr<CompressingSink> sink = compress_to(out, kind, threads);
  for (std::size_t at = 0; at < text.size(); at += piece) {
    EXPECT_TRUE(sink->write(as_bytes(text.substr(at, piece))).ok());
  }
  EXPECT_TRUE(sink->finish().ok());
  return std::move(out.text());
}

Result<std::string> unpacked(std::string text, Compression kind, std::uint64_t max_bytes = UINT64_MAX,
                             std::size_t piece = 70'000) {
  const auto source = decompress(std::make_unique<DripSource>(std::move(text), piece), kind, max_bytes);
  return read_all(*source, UINT64_MAX);
}

struct SizeCase {
  const char* name;
  std::size_t size;
};
const SizeCase kSizes[] = {{"Empty", 0},
                           {"OneByte", 1},
                           {"OneBlockLessOne", kMiB - 1},
                           {"OneBlock", kMiB},
                           {"OneBlockAndOne", kMiB + 1},
                           {"ManyBlocks", 9 * kMiB + 12'345}};

class CompressSizes : public testing::TestWithParam<std::tuple<SizeCase, Compression>> {};

TEST_P(CompressSizes, ComesBackAndDoesNotDependOnThreadsOrPieces) {
  const auto& [size, kind] = GetParam();
  const std::string text = mixed_bytes(size.size);
  const std::string one = compressed(text, kind, 1);
  EXPECT_EQ(detect_compression(as_bytes(one)), kind);
  for (const unsigned threads : {2U, 3U, 8U}) {
    EXPECT_TRUE(compressed(text, kind, threads, 65'537 * threads) == one) << threads << " threads";
  }
  const Result<std::string> back = unpacked(one, kind);
  ASSERT_OK(back);
  EXPECT_TRUE(*back == text);
}

INSTANTIATE_TEST_SUITE_P(All, CompressSizes,
                         testing::Combine(testing::ValuesIn(kSizes),
                                          testing::Values(Compression::kGzip, Compression::kZstd)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) +
                                  (std::get<1>(test.param) == Compression::kGzip ? "Gzip" : "Zstd");
                         });

TEST(Compress, OtherProgramsUnpackIt) {
  const Result<TempDir> folder = TempDir::create("archive-test-");
  ASSERT_OK(folder);
  const std::string dir = folder->path().string();
  const std::string text = mixed_bytes(3 * kMiB + 7);
  write_text(folder->path() / "text", text);
  write_text(folder->path() / "text.gz", compressed(text, Compression::kGzip, 2));
  write_text(folder->path() / "empty.gz", compressed("", Compression::kGzip, 2));
  const ShellResult gzip =
      shell("gzip -dc " + dir + "/text.gz | cmp - " + dir + "/text && gzip -t " + dir + "/empty.gz");
  EXPECT_TRUE(gzip.ok) << gzip.output;
  const ShellResult python = shell(
      "python3 -c 'import gzip,sys; d=sys.argv[1]; "
      "assert gzip.open(d+\"/text.gz\").read()==open(d+\"/text\",\"rb\").read()' " +
      dir);
  EXPECT_TRUE(python.ok) << python.output;
}

TEST(Decompress, ReadsMembersInARowAndZeroPadding) {
  const std::string hello = compressed("hello\n", Compression::kGzip, 1);
  Result<std::string> two = unpacked(hello + hello, Compression::kGzip, UINT64_MAX, 1);
  ASSERT_OK(two);
  EXPECT_EQ(*two, "hello\nhello\n");
  Result<std::string> padded = unpacked(hello + std::string(700, '\0'), Compression::kGzip, UINT64_MAX, 100);
  ASSERT_OK(padded);
  EXPECT_EQ(*padded, "hello\n");
  const std::string frame = compressed("hello\n", Compression::kZstd, 1);
  Result<std::string> frames = unpacked(frame + frame, Compression::kZstd, UINT64_MAX, 1);
  ASSERT_OK(frames);
  EXPECT_EQ(*frames, "hello\nhello\n");
}

TEST(Decompress, EveryCutIsCorrupt) {
  for (const Compression kind : {Compression::kGzip, Compression::kZstd}) {
    const std::string whole = compressed(mixed_bytes(2000), kind, 1);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Result<std::string> cut = unpacked(whole.substr(0, size), kind);
      ASSERT_FALSE(cut.ok()) << size;
      EXPECT_EQ(cut.error().code, ErrorCode::kCorrupt) << size;
    }
  }
}

TEST(Decompress, GarbageIsCorrupt) {
  const std::string gzip = compressed("hello\n", Compression::kGzip, 1);
  std::string flipped = gzip;
  flipped[flipped.size() - 8] = static_cast<char>(flipped[flipped.size() - 8] ^ 1);  // The checksum.
  const std::string zstd = compressed("hello\n", Compression::kZstd, 1);
  const struct {
    const char* name;
    std::string bytes;
    Compression kind;
  } cases[] = {
      {"text behind gzip", gzip + "x", Compression::kGzip},
      {"text behind the padding", gzip + std::string(600, '\0') + "x", Compression::kGzip},
      {"wrong checksum", flipped, Compression::kGzip},
      {"not gzip", "hello", Compression::kGzip},
      {"not zstd", "hello", Compression::kZstd},
      {"text behind zstd", zstd + "hello", Compression::kZstd},
  };
  for (const auto& test : cases) {
    const Result<std::string> result = unpacked(test.bytes, test.kind, UINT64_MAX, 100);
    ASSERT_FALSE(result.ok()) << test.name;
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt) << test.name;
  }
}

TEST(Decompress, MoreThanTheBoundIsALimit) {
  const std::string zeros(8 * kMiB, '\0');
  for (const Compression kind : {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    const std::string bomb = compressed(zeros, kind, 2);
    const Result<std::string> exact = unpacked(bomb, kind, zeros.size());
    ASSERT_OK(exact);
    const Result<std::string> over = unpacked(bomb, kind, zeros.size() - 1);
    ASSERT_FALSE(over.ok());
    EXPECT_EQ(over.error().code, ErrorCode::kLimit);
  }
}

class FailingSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte>) override { return Error{ErrorCode::kExhausted, "the disk is full"}; }
};

TEST(Compress, AFailingSinkEndsTheStreamWithItsError) {
  for (const unsigned threads : {1U, 4U}) {
    FailingSink out;
    const auto sink = compress_to(out, Compression::kGzip, threads);
    const std::string text = mixed_bytes(20 * kMiB);
    Status status = sink->write(as_bytes(text));
    if (status.ok()) status = sink->finish();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kExhausted);
  }
}

TEST(Compress, ASinkThatIsNeverFinishedStopsItsWorkers) {
  StringSink out;
  const auto sink = compress_to(out, Compression::kGzip, 8);
  EXPECT_TRUE(sink->write(as_bytes(mixed_bytes(5 * kMiB))).ok());
}

}  // namespace
}  // namespace imagebuild::archive
