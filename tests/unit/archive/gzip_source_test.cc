// What reads gzip must do the same with every library that unpacks the streams in it.
#include "archive/gzip_source.h"

#include <libdeflate.h>

#include <cstdint>
#include <typeinfo>

#include "unit/archive/fixtures.h"

namespace imagebuild::archive {
namespace {

struct Library {
  const char* name;
  MakeInflater make;
};
const Library kLibraries[] = {{"Zlib", zlib_inflater}, {"Isal", isal_inflater}};

class GzipSource : public testing::TestWithParam<Library> {
 protected:
  static Result<std::string> unpacked(const std::string& bytes, std::size_t piece = 70'000,
                                      std::size_t buffer_bytes = 50'000) {
    const auto source = unpack_gzip(std::make_unique<DripSource>(bytes, piece), GetParam().make());
    std::string all;
    std::string buffer(buffer_bytes, '\0');
    while (true) {
      ASSIGN_OR_RETURN(const std::size_t count, source->read(std::as_writable_bytes(std::span(buffer))));
      if (count == 0) return all;
      all.append(buffer, 0, count);
    }
  }
};

std::string number(std::uint32_t value, unsigned bytes) {
  std::string text;
  for (unsigned i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string header(unsigned char flags = 0) {
  return std::string("\x1f\x8b\x08", 3) + static_cast<char>(flags) + std::string(6, '\0');
}

std::string deflated(std::string_view text, int level = 6) {
  libdeflate_compressor* const compressor = libdeflate_alloc_compressor(level);
  std::string out(libdeflate_deflate_compress_bound(compressor, text.size()), '\0');
  out.resize(libdeflate_deflate_compress(compressor, text.data(), text.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

std::string checks(std::string_view text) {
  return number(libdeflate_crc32(0, text.data(), text.size()), 4) + number(static_cast<std::uint32_t>(text.size()), 4);
}

std::string member(std::string_view text, int level = 6, const std::string& its_header = header()) {
  return its_header + deflated(text, level) + checks(text);
}

std::string header_with_everything() {
  const std::string all = header(0x1f) + number(5, 2) + "extra" + "file.txt" + '\0' + "a comment" + '\0';
  return all + number(libdeflate_crc32(0, all.data(), all.size()) & 0xffff, 2);
}

TEST_P(GzipSource, ReadsEveryKindOfBlockInPiecesOfAnySize) {
  const std::string text = mixed_bytes(300'000) + std::string(300'000, 'x');
  for (const int level : {0, 1, 6, 12}) {
    const std::string bytes = member(text, level);
    for (const std::size_t piece : {1UL, 7UL, 1000UL, 1UL << 20}) {
      for (const std::size_t buffer : {1'000UL, 65'536UL, 1UL << 20}) {
        const Result<std::string> back = unpacked(bytes, piece, buffer);
        ASSERT_OK(back);
        EXPECT_TRUE(*back == text) << "level " << level << ", pieces of " << piece << ", buffers of " << buffer;
      }
    }
  }
}

TEST_P(GzipSource, GivesOneByteAtATime) {
  const std::string text = mixed_bytes(70'000);
  const Result<std::string> back = unpacked(member(text) + member("end"), 3, 1);
  ASSERT_OK(back);
  EXPECT_TRUE(*back == text + "end");
}

// The end of a stream may lie anywhere in a word that is read at once.
TEST_P(GzipSource, ReadsMembersOfAllSmallSizesInARow) {
  std::string bytes;
  std::string text;
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string part = mixed_bytes(size, static_cast<unsigned>(size));
    bytes += member(part, size % 2 == 0 ? 1 : 6, size % 3 == 0 ? header_with_everything() : header());
    text += part;
  }
  for (const std::size_t piece : {1UL, 2UL, 3UL, 5UL, 8UL, 11UL, 64UL, 100'000UL}) {
    const Result<std::string> back = unpacked(bytes, piece);
    ASSERT_OK(back);
    EXPECT_TRUE(*back == text) << "pieces of " << piece;
  }
}

TEST_P(GzipSource, SkipsWhateverAHeaderMayHold) {
  for (const std::size_t piece : {1UL, 4UL, 1000UL}) {
    const Result<std::string> back = unpacked(member("hello", 6, header_with_everything()), piece);
    ASSERT_OK(back);
    EXPECT_EQ(*back, "hello");
  }
}

TEST_P(GzipSource, EndsAtThePadding) {
  const Result<std::string> back = unpacked(member("hello") + std::string(200'000, '\0'), 777);
  ASSERT_OK(back);
  EXPECT_EQ(*back, "hello");
}

TEST_P(GzipSource, EveryCutIsCorrupt) {
  const std::string whole = member(mixed_bytes(3000), 6, header_with_everything());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    for (const std::size_t piece : {1UL, 100'000UL}) {
      const Result<std::string> cut = unpacked(whole.substr(0, size), piece);
      ASSERT_FALSE(cut.ok()) << size;
      EXPECT_EQ(cut.error().code, ErrorCode::kCorrupt) << size;
      EXPECT_EQ(cut.error().message, size == 0 ? "the gzip data is empty" : "the gzip data ends too early") << size;
    }
  }
}

TEST_P(GzipSource, SaysWhatIsBroken) {
  const std::string good = member("hello");
  const std::string all = header_with_everything();
  std::string bad_header_check = all;
  bad_header_check.back() = static_cast<char>(bad_header_check.back() ^ 1);
  const struct {
    const char* name;
    std::string bytes;
    const char* message;
  } cases[] = {
      {"empty", "", "the gzip data is empty"},
      {"zeros only", std::string(100, '\0'), "broken gzip data: incorrect header check"},
      {"not gzip", "hello, world", "broken gzip data: incorrect header check"},
      {"another method", "\x1f\x8b\x07" + good.substr(3), "broken gzip data: unknown compression method"},
      {"a reserved flag", header(0x20) + good.substr(10), "broken gzip data: unknown header flags set"},
      {"wrong header check", bad_header_check + good.substr(10), "broken gzip data: header crc mismatch"},
      {"a block of type 3", header() + "\x07" + std::string(20, '\0'), "broken gzip data: invalid deflate blocks"},
      {"a stored block whose lengths differ", header() + std::string("\x01\x05\x00\x00\x00hello", 10) + checks("hello"),
       "broken gzip data: invalid deflate blocks"},
      {"a distance before the start", header() + std::string("\x4b\x04\x62\x00", 4) + checks("aaaa"),
       "broken gzip data: invalid deflate blocks"},
      {"wrong checksum", header() + deflated("hello") + checks("hellp"), "broken gzip data: incorrect data check"},
      {"wrong size", header() + deflated("hello") + checks("hello").substr(0, 4) + number(6, 4),
       "broken gzip data: incorrect length check"},
      {"the second member's checksum", good + header() + deflated("hello") + checks("hellp"),
       "broken gzip data: incorrect data check"},
      {"text behind it", good + "xyz", "broken gzip data: incorrect header check"},
      {"one byte behind it", good + "x", "the gzip data ends too early"},
      {"text behind the padding", good + std::string(600, '\0') + "x", "there is other data behind the gzip data"},
      {"a member behind the padding", good + std::string(1, '\0') + good, "there is other data behind the gzip data"},
  };
  for (const auto& test : cases) {
    for (const std::size_t piece : {1UL, 100'000UL}) {
      const Result<std::string> result = unpacked(test.bytes, piece);
      ASSERT_FALSE(result.ok()) << test.name;
      EXPECT_EQ(result.error().code, ErrorCode::kCorrupt) << test.name;
      EXPECT_EQ(result.error().message, test.message) << test.name;
    }
  }
}

// Whatever bit is turned, nothing wrong is taken for right. (Those between the stream's end and the next byte mean
// nothing.)
TEST_P(GzipSource, NeverTakesADamagedMemberForWhole) {
  const std::string text = mixed_bytes(2000);
  const std::string whole = member(text);
  std::size_t refused = 0;
  for (std::size_t at = header().size(); at < whole.size(); ++at) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const Result<std::string> result = unpacked(damaged);
      if (result.ok()) {
        EXPECT_TRUE(*result == text) << "bit " << bit << " of byte " << at;
        continue;
      }
      EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
      ++refused;
    }
  }
  EXPECT_GE(refused, 3 * (whole.size() - header().size()) - 2);
}

class FailingSource final : public ByteSource {
 public:
  Result<std::size_t> read(std::span<std::byte>) override { return Error{ErrorCode::kUnavailable, "the line broke"}; }
};

TEST_P(GzipSource, PassesTheErrorOfWhatItReadsOn) {
  const auto source = unpack_gzip(std::make_unique<FailingSource>(), GetParam().make());
  std::byte byte{};
  const Result<std::size_t> result = source->read(std::span(&byte, 1));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
}

INSTANTIATE_TEST_SUITE_P(All, GzipSource, testing::ValuesIn(kLibraries),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(InflateWith, ChoosesTheLibraryOfThisProcess) {
  inflate_with(isal_inflater);
  const auto isal = make_inflater();
  inflate_with(zlib_inflater);
  const auto zlib = make_inflater();
  EXPECT_NE(typeid(*isal), typeid(*zlib));
}

}  // namespace
}  // namespace imagebuild::archive
