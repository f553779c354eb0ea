#include "archive/tar_reader.h"

#include <clocale>

#include "archive/compress.h"
#include "unit/archive/fixtures.h"

namespace imagebuild::archive {
namespace {

struct Read {
  std::vector<Entry> entries;
  std::optional<Error> error;
};

Read read_tar(const std::string& bytes, const ReadLimits& limits = {}, std::size_t piece = 1 << 20) {
  Read read;
  DripSource source(bytes, piece);
  Result<TarReader> reader = TarReader::open(source, limits);
  if (!reader.ok()) return {{}, reader.error()};
  while (true) {
    Result<std::optional<Node>> node = reader->next();
    if (!node.ok()) {
      read.error = node.error();
      return read;
    }
    if (!node->has_value()) return read;
    Result<std::string> content = read_all(reader->content(), 1 << 26);
    if (!content.ok()) {
      read.error = content.error();
      return read;
    }
    read.entries.push_back({**node, *content});
  }
}

RawHeader raw(std::string name, char type = '0', std::string link = {}) {
  RawHeader header;
  header.name = std::move(name);
  header.type = type;
  header.link = std::move(link);
  return header;
}

std::vector<Entry> all_kinds() {
  Entry odd = file("odd", "odd");
  odd.node.uid = 4'000'000'000;
  odd.node.gid = 3'000'000;
  odd.node.mtime_s = -5;
  odd.node.xattrs["user.note"] = std::string("a\0b=\n", 5);
  odd.node.xattrs["user.empty"] = "";
  Entry late = file("late", "");
  late.node.mtime_s = 1LL << 40;
  return {folder(""),
          folder("dir", 01777),
          file("dir/hello", "hello\n", 06755),
          symlink("dir/link", "/absolute/../text"),
          hardlink("dir/same", "dir/hello"),
          device("null", NodeType::kCharDevice, 1, 3),
          device("disk", NodeType::kBlockDevice, 4095, 1'000'000),
          device("pipe", NodeType::kFifo, 0, 0),
          file("big", mixed_bytes(700'001)),
          odd,
          late};
}

TEST(TarReader, ReadsWhatTheWriterWrote) {
  const std::vector<Entry> entries = all_kinds();
  for (const std::size_t piece : {std::size_t{1} << 20, std::size_t{511}}) {
    const Read read = read_tar(tar_of(entries), {}, piece);
    ASSERT_FALSE(read.error) << read.error->message;
    ASSERT_EQ(read.entries.size(), entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      EXPECT_TRUE(read.entries[i].node == entries[i].node) << entries[i].node.path;
      EXPECT_TRUE(read.entries[i].content == entries[i].content) << entries[i].node.path;
    }
  }
}

// Names in every way tar can carry them, and in locales that libarchive treats differently.
TEST(TarReader, NamesAreBytesInEveryLocale) {
  std::string all_bytes;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte != '/') all_bytes.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
  }
  const std::string composed = "caf\xc3\xa9";
  const std::string decomposed = "cafe\xcc\x81";  // The same to the eye; libarchive would turn it into the other.
  const std::vector<std::string> names = {
      composed, decomposed, "\xff\xfe\x80", all_bytes, "\xe6\x97\xa5", std::string(255, '\xc3'), composed + "\xff"};
  std::string tar;
  std::vector<std::string> expected;
  for (const std::string& name : names) {
    tar += with_pax({{"path", name}}, raw_entry(raw("x")));
    tar += with_pax({{"hdrcharset", "BINARY"}, {"path", name}}, raw_entry(raw("x")));
    tar += with_pax({{"path", "l" + name.substr(0, 200)}, {"linkpath", name}}, raw_entry(raw("x", '2', "y")));
    tar += with_pax({{"path", "h"}, {"linkpath", name}}, raw_entry(raw("x", '1', "y")));
    tar += with_pax({{"uname", "\xff"}, {"gname", composed}, {"path", name}}, raw_entry(raw("x")));
    expected.insert(expected.end(), {name, name, "l" + name.substr(0, 200) + " " + name, "h " + name, name});
    if (name.size() <= 100) {
      tar += raw_entry(raw(name));
      expected.push_back(name);
    }
    RawHeader gnu = raw("././@LongLink", 'L');
    gnu.content = name + '\0';
    tar += raw_entry(gnu) + raw_entry(raw("x"));
    expected.push_back(name);
  }
  tar += tar_end();
  for (const char* locale : {"C", "C.UTF-8"}) {
    if (std::setlocale(LC_ALL, locale) == nullptr) continue;
    const Read read = read_tar(tar);
    ASSERT_FALSE(read.error) << locale << ": " << read.error->message;
    ASSERT_EQ(read.entries.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Node& node = read.entries[i].node;
      EXPECT_EQ(node.link.empty() ? node.path : node.path + " " + node.link, expected[i]) << locale << " entry " << i;
    }
  }
  std::setlocale(LC_ALL, "C");
}

TEST(TarReader, CleansPaths) {
  const struct {
    const char* raw_name;
    char type;
    const char* path;
  } cases[] = {{"./a//b/", '5', "a/b"},   {"/etc/passwd", '0', "etc/passwd"},
               {"./", '5', ""},           {"/", '5', ""},
               {"././a/./b", '0', "a/b"}, {"...", '0', "..."},
               {"a/..b", '0', "a/..b"},   {"a/", '5', "a"}};
  for (const auto& test : cases) {
    const Read read = read_tar(raw_entry(raw(test.raw_name, test.type)) + tar_end());
    ASSERT_FALSE(read.error) << test.raw_name << read.error->message;
    ASSERT_EQ(read.entries.size(), 1U) << test.raw_name;
    EXPECT_EQ(read.entries[0].node.path, test.path);
  }
}

TEST(TarReader, HostileHeadersAreErrors) {
  RawHeader negative = raw("f");
  negative.size_field = std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0", 12);
  RawHeader huge = raw("f");
  huge.size_field = std::string("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
  RawHeader huger = raw("f");
  huger.size_field = std::string("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "d/";
  std::string broken_checksum = raw_entry(raw("f"));
  broken_checksum[0] = 'g';
  const std::string good = raw_entry(raw("first"));
  const struct {
    const char* name;
    std::string tar;
    ErrorCode code;
  } cases[] = {
      {"dot dot", raw_entry(raw("../f")), ErrorCode::kCorrupt},
      {"dot dot inside", raw_entry(raw("a/../../f")), ErrorCode::kCorrupt},
      {"only dot dot", raw_entry(raw("..", '5')), ErrorCode::kCorrupt},
      {"dot dot in pax", with_pax({{"path", "a/../b"}}, raw_entry(raw("f"))), ErrorCode::kCorrupt},
      {"hard link with dot dot", raw_entry(raw("f", '1', "../etc/passwd")), ErrorCode::kCorrupt},
      {"absolute hard link with dot dot", raw_entry(raw("f", '1', "/../etc/passwd")), ErrorCode::kCorrupt},
      {"hard link to the root", raw_entry(raw("f", '1', "/")), ErrorCode::kCorrupt},
      {"empty symlink", raw_entry(raw("f", '2', "")), ErrorCode::kCorrupt},
      {"no name", raw_entry(raw("")), ErrorCode::kCorrupt},
      {"negative size", raw_entry(negative), ErrorCode::kCorrupt},
      {"huge size", raw_entry(huge), ErrorCode::kCorrupt},
      {"size beyond 64 bits", raw_entry(huger), ErrorCode::kCorrupt},
      {"negative size in pax", with_pax({{"size", "-1"}}, raw_entry(raw("f"))), ErrorCode::kCorrupt},
      {"huge size in pax", with_pax({{"size", "9223372036854775807"}}, raw_entry(raw("f"))), ErrorCode::kCorrupt},
      {"size beyond the bound", with_pax({{"size", "1099511627777"}}, raw_entry(raw("f"))), ErrorCode::kLimit},
      {"uid -1", with_pax({{"uid", "4294967295"}}, raw_entry(raw("f"))), ErrorCode::kCorrupt},
      {"uid beyond 32 bits", with_pax({{"uid", "9999999999"}}, raw_entry(raw("f"))), ErrorCode::kCorrupt},
      {"gid negative", with_pax({{"gid", "-2"}}, raw_entry(raw("f"))), ErrorCode::kCorrupt},
      {"100k folders deep", with_pax({{"path", deep + "f"}}, raw_entry(raw("f"))), ErrorCode::kLimit},
      {"name of 256 bytes", with_pax({{"path", std::string(256, 'n')}}, raw_entry(raw("f"))), ErrorCode::kLimit},
      {"symlink of 5000 bytes", with_pax({{"linkpath", std::string(5000, 'l')}}, raw_entry(raw("f", '2', "x"))),
       ErrorCode::kLimit},
      {"wrong checksum", broken_checksum, ErrorCode::kCorrupt},
      {"wrong checksum later", good + broken_checksum, ErrorCode::kCorrupt},
      {"text", std::string(2048, 't'), ErrorCode::kCorrupt},
      {"attributes of 2 MB", with_pax({{"SCHILY.xattr.user.a", std::string(2'000'000, 'x')}}, raw_entry(raw("f"))),
       ErrorCode::kCorrupt},
      {"malformed pax",
       raw_entry([] {
         RawHeader header = raw("x", 'x');
         header.content = "999 path=short\n";
         return header;
       }()) +
           raw_entry(raw("f")),
       ErrorCode::kCorrupt},
  };
  for (const auto& test : cases) {
    const Read read = read_tar(test.tar + tar_end());
    ASSERT_TRUE(read.error) << test.name;
    EXPECT_EQ(read.error->code, test.code) << test.name << ": " << read.error->message;
  }
}

TEST(TarReader, EveryCutThatLosesContentIsCorrupt) {
  const std::string tar = tar_of({file("a", "1234567"), file("b", std::string(1000, 'b'))});
  ASSERT_EQ(tar.size(), 512U * 7);
  for (std::size_t size = 1; size < tar.size(); ++size) {
    const Read read = read_tar(tar.substr(0, size));
    const bool at_entry = size == 2 * 512 || size == 5 * 512 || size >= 6 * 512;  // Only end blocks are missing.
    EXPECT_EQ(read.error.has_value(), !at_entry) << size;
    if (read.error) {
      EXPECT_EQ(read.error->code, ErrorCode::kCorrupt) << size;
    }
  }
}

TEST(TarReader, ContentThatWasNotReadIsSkipped) {
  const std::string tar = tar_of({file("a", mixed_bytes(300'000)), file("b", "b")});
  StringSource source(tar);
  Result<TarReader> reader = TarReader::open(source);
  ASSERT_OK(reader);
  ASSERT_EQ((*reader->next())->path, "a");
  std::byte some[10];
  ASSERT_EQ(*reader->content().read(some), 10U);
  ASSERT_EQ((*reader->next())->path, "b");
  EXPECT_EQ(*read_all(reader->content(), 100), "b");
  EXPECT_FALSE((*reader->next()).has_value());
  EXPECT_FALSE((*reader->next()).has_value()) << "the end stays the end";
}

TEST(TarReader, AnEmptyArchiveHasNoEntries) {
  for (const std::size_t size : {0, 512, 1024, 10240}) {
    const Read read = read_tar(std::string(size, '\0'));
    EXPECT_FALSE(read.error) << size << read.error->message;
    EXPECT_TRUE(read.entries.empty()) << size;
  }
}

TEST(TarReader, LimitsHold) {
  Entry xattrs = file("x", "");
  xattrs.node.xattrs["user.a"] = std::string(994, 'x');  // 1000 bytes with its name.
  const std::string tar = tar_of({file("a/b/c", std::string(600, 'c')), file("d", std::string(400, 'd')), xattrs});
  ReadLimits exact;
  exact.max_entries = 3;
  exact.max_content_bytes = 1000;
  exact.max_path_bytes = 5;
  exact.max_path_depth = 3;
  exact.max_xattr_bytes = 1000;
  const Read fits = read_tar(tar, exact);
  EXPECT_FALSE(fits.error) << fits.error->message;
  std::vector<ReadLimits> tight(5, exact);
  tight[0].max_entries = 2;
  tight[1].max_content_bytes = 999;
  tight[2].max_path_bytes = 4;
  tight[3].max_path_depth = 2;
  tight[4].max_xattr_bytes = 999;
  for (std::size_t i = 0; i < tight.size(); ++i) {
    const Read read = read_tar(tar, tight[i]);
    ASSERT_TRUE(read.error) << i;
    EXPECT_EQ(read.error->code, ErrorCode::kLimit) << i;
  }
}

class SparseFiles : public testing::TestWithParam<const char*> {};

TEST_P(SparseFiles, HolesAreZerosAndCount) {
  const Result<TempDir> dir = TempDir::create("archive-test-");
  ASSERT_OK(dir);
  const std::string path = dir->path().string();
  const ShellResult made = shell("cd " + path +
                                 " && truncate -s 3000000 s && printf start | dd of=s conv=notrunc status=none && "
                                 "printf middle | dd of=s bs=1 seek=1500000 conv=notrunc status=none && tar " +
                                 std::string(GetParam()) + " -Scf s.tar s");
  ASSERT_TRUE(made.ok) << made.output;
  const std::string tar = read_text(dir->path() / "s.tar");
  ASSERT_LT(tar.size(), 100'000U) << "the archive is sparse";
  const Read read = read_tar(tar);
  ASSERT_FALSE(read.error) << read.error->message;
  ASSERT_EQ(read.entries.size(), 1U);
  EXPECT_EQ(read.entries[0].node.path, "s");
  EXPECT_EQ(read.entries[0].node.size_bytes, 3'000'000U);
  EXPECT_TRUE(read.entries[0].content == read_text(dir->path() / "s"));
  ReadLimits limits;
  limits.max_content_bytes = 2'999'999;
  const Read bomb = read_tar(tar, limits);
  ASSERT_TRUE(bomb.error);
  EXPECT_EQ(bomb.error->code, ErrorCode::kLimit);
}

INSTANTIATE_TEST_SUITE_P(Dialects, SparseFiles,
                         testing::Values("--format=gnu", "--format=pax --sparse-version=0.0",
                                         "--format=pax --sparse-version=0.1", "--format=pax --sparse-version=1.0"));

TEST(TarReader, HostileSparseMapsEndCleanly) {
  const struct {
    const char* name;
    std::vector<std::pair<std::string, std::string>> records;
  } cases[] = {
      {"terabytes of hole",
       {{"GNU.sparse.major", "0"}, {"GNU.sparse.size", "99999999999999"}, {"GNU.sparse.map", "0,1"}}},
      {"data beyond the size", {{"GNU.sparse.size", "10"}, {"GNU.sparse.map", "5,100"}}},
      {"backwards", {{"GNU.sparse.size", "3000"}, {"GNU.sparse.map", "1000,5,0,5"}}},
      {"negative", {{"GNU.sparse.size", "-5"}, {"GNU.sparse.map", "0,5"}}},
      {"not numbers", {{"GNU.sparse.size", "30"}, {"GNU.sparse.map", "x,y"}}},
  };
  for (const auto& test : cases) {
    RawHeader header = raw("s");
    header.content = "0123456789";
    ReadLimits limits;
    limits.max_content_bytes = 1 << 20;
    const Read read = read_tar(with_pax(test.records, raw_entry(header)) + tar_end(), limits);
    EXPECT_TRUE(read.error) << test.name;
  }
}

TEST(TarReader, AFailingSourceIsItsOwnError) {
  class Failing final : public ByteSource {
   public:
    explicit Failing(std::string text) : text_(std::move(text)) {}
    Result<std::size_t> read(std::span<std::byte> buffer) override {
      if (done_) return Error{ErrorCode::kUnavailable, "the network is gone"};
      done_ = true;
      StringSource all(text_);
      return all.read(buffer);
    }

   private:
    std::string text_;
    bool done_ = false;
  };
  Failing source(tar_of({file("a", std::string(5000, 'a'))}).substr(0, 2000));
  Result<TarReader> reader = TarReader::open(source);
  ASSERT_OK(reader);
  ASSERT_OK(reader->next());
  const Result<std::string> content = read_all(reader->content(), 1 << 20);
  ASSERT_FALSE(content.ok());
  EXPECT_EQ(content.error().code, ErrorCode::kUnavailable);
}

TEST(OpenIfArchive, UnpacksEveryCompressionThatAddKnows) {
  const Result<TempDir> dir = TempDir::create("archive-test-");
  ASSERT_OK(dir);
  const std::string path = dir->path().string();
  write_text(dir->path() / "hello", "hello\n");
  const ShellResult made = shell("cd " + path +
                                 " && tar -cf a.tar hello && gzip -k a.tar && bzip2 -k a.tar && xz -k a.tar && "
                                 "tar --format=v7 -cf v7.tar hello");
  ASSERT_TRUE(made.ok) << made.output;
  StringSink zstd;
  const auto sink = compress_to(zstd, Compression::kZstd, 1);
  ASSERT_OK(sink->write(as_bytes(read_text(dir->path() / "a.tar"))));
  ASSERT_OK(sink->finish());
  write_text(dir->path() / "a.tar.zst", zstd.text());
  for (const char* name : {"a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.tar.zst", "v7.tar"}) {
    Result<std::unique_ptr<ByteSource>> tar =
        open_if_archive(std::make_unique<DripSource>(read_text(dir->path() / name), 100));
    ASSERT_OK(tar);
    ASSERT_NE(*tar, nullptr) << name;
    const Result<std::string> bytes = read_all(**tar, 1 << 20);
    ASSERT_OK(bytes);
    const Read read = read_tar(*bytes);
    ASSERT_EQ(read.entries.size(), 1U) << name;
    EXPECT_EQ(read.entries[0].content, "hello\n") << name;
  }
}

TEST(OpenIfArchive, EverythingElseIsAFile) {
  StringSink gzip;
  const auto sink = compress_to(gzip, Compression::kGzip, 1);
  ASSERT_OK(sink->write(as_bytes("only a text, packed")));
  ASSERT_OK(sink->finish());
  const struct {
    const char* name;
    std::string bytes;
  } cases[] = {{"nothing", ""},
               {"text", "hello\n"},
               {"long text", std::string(5000, 't')},
               {"gzip of a text", gzip.text()},
               {"cut gzip", gzip.text().substr(0, 12)},
               {"the word BZh", "BZh and so on, which is no bzip2"},
               {"xz magic", std::string("\xfd"
                                        "7zXZ\0 and nothing",
                                        18)},
               {"zeros", std::string(2048, '\0')}};
  for (const auto& test : cases) {
    const Result<std::unique_ptr<ByteSource>> tar = open_if_archive(std::make_unique<StringSource>(test.bytes));
    ASSERT_TRUE(tar.ok()) << test.name << tar.error().message;
    EXPECT_EQ(*tar, nullptr) << test.name;
  }
}

}  // namespace
}  // namespace imagebuild::archive
