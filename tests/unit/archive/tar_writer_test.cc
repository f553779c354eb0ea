#include "archive/tar_writer.h"

#include <clocale>

#include "unit/archive/fixtures.h"

namespace imagebuild::archive {
namespace {

const std::string kLong255(255, 'n');

std::vector<Entry> all_kinds() {
  Entry odd = file("odd", "odd");
  odd.node.uid = 4'000'000'000;
  odd.node.gid = 3'000'000;
  odd.node.mtime_s = -5;
  odd.node.xattrs["user.note"] = std::string("a\0b=\n", 5);
  odd.node.xattrs["security.capability"] = std::string("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  return {folder("", 0755),
          folder("dir", 01777),
          file("dir/hello", "hello\n", 04755),
          symlink("dir/link", "../somewhere/else"),
          hardlink("dir/same", "dir/hello"),
          device("null", NodeType::kCharDevice, 1, 3),
          device("disk", NodeType::kBlockDevice, 259, 1000),
          device("pipe", NodeType::kFifo, 0, 0),
          file("gr\xc3\xbc\xc3\x9f", "utf-8"),
          file("bytes\xff\xfe", "not utf-8"),
          file("long/" + kLong255, "name"),
          file("a/" + std::string(90, 'p') + "/" + std::string(90, 'q'), "split"),
          symlink("far", std::string(300, 't')),
          odd};
}

TEST(TarWriter, PlainEntryIsOneUstarHeader) {
  Entry entry = file("dir/hello", "hello\n", 0755);
  entry.node.uid = 1000;
  entry.node.gid = 2'097'151;
  const std::string tar = tar_of({entry});
  ASSERT_EQ(tar.size(), 512U + 512U + 1024U);
  EXPECT_EQ(tar.substr(0, 10), std::string("dir/hello\0", 10));
  EXPECT_EQ(tar.substr(100, 8), std::string("0000755\0", 8));
  EXPECT_EQ(tar.substr(108, 8), std::string("0001750\0", 8));
  EXPECT_EQ(tar.substr(116, 8), std::string("7777777\0", 8));
  EXPECT_EQ(tar.substr(124, 12), std::string("00000000006\0", 12));
  EXPECT_EQ(tar.substr(136, 12), std::string("13727410000\0", 12));
  EXPECT_EQ(tar[156], '0');
  EXPECT_EQ(tar.substr(257, 8), std::string("ustar\0"
                                            "00",
                                            8));
  EXPECT_EQ(tar.substr(265, 64), std::string(64, '\0')) << "no user or group name";
  EXPECT_EQ(tar.substr(512, 6), "hello\n");
}

TEST(TarWriter, PaxHeaderAppearsOnlyWhereUstarHasNoRoom) {
  const std::string name100(100, 'n');
  Entry big_uid = file("f", "");
  big_uid.node.uid = 2'097'152;
  Entry negative = file("f", "");
  negative.node.mtime_s = -1;
  Entry late = file("f", "");
  late.node.mtime_s = 077777777777 + 1LL;
  Entry attribute = file("f", "");
  attribute.node.xattrs["user.a"] = "b";
  const struct {
    const char* name;
    Entry entry;
    bool pax;
  } cases[] = {
      {"name of 100", file(name100, ""), false},
      {"name of 101", file(name100 + "n", ""), true},
      {"prefix of 155 and name of 100", file(std::string(155, 'p') + "/" + name100, ""), false},
      {"prefix of 156", file(std::string(156, 'p') + "/" + name100, ""), true},
      {"folder whose slash is byte 101", folder(name100), true},
      {"folder that fits with its slash", folder(std::string(99, 'd')), false},
      {"link of 100", symlink("l", name100), false},
      {"link of 101", symlink("l", name100 + "n"), true},
      {"big uid", big_uid, true},
      {"negative time", negative, true},
      {"late time", late, true},
      {"extended attribute", attribute, true},
      {"raw bytes in the name", file("\xff\xc3\xbc", ""), false},
  };
  for (const auto& test : cases) {
    const std::string tar = tar_of({test.entry});
    EXPECT_EQ(tar[156] == 'x', test.pax) << test.name;
  }
}

TEST(TarWriter, SizeBeyondEightGiBGoesIntoPax) {
  Entry entry = file("huge", "");
  entry.node.size_bytes = 8ULL << 30;
  StringSink sink;
  TarWriter writer(sink);
  StringSource content("too short");
  const Status added = writer.add(entry.node, &content);
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(sink.text()[156], 'x');
  EXPECT_NE(sink.text().find("19 size=8589934592\n"), std::string::npos);
}

TEST(TarWriter, ContentMustHaveTheAnnouncedSize) {
  for (const char* text : {"", "1234", "123456"}) {
    StringSink sink;
    TarWriter writer(sink);
    Entry entry = file("f", "12345");
    StringSource content{std::string(text)};
    const Status added = writer.add(entry.node, &content);
    ASSERT_FALSE(added.ok()) << text;
    EXPECT_EQ(added.error().code, ErrorCode::kCorrupt);
  }
}

TEST(TarWriter, SaysWhereContentBegan) {
  StringSink sink;
  TarWriter writer(sink);
  const Entry first = file("long/" + kLong255, "first");
  StringSource content(first.content);
  ASSERT_OK(writer.add(first.node, &content));
  EXPECT_EQ(sink.text().substr(writer.last_content_offset(), 5), "first");
  EXPECT_EQ(writer.offset(), sink.text().size());
}

TEST(TarWriter, RefusesNodesThatNoArchiveShouldHold) {
  Entry equals = file("f", "");
  equals.node.xattrs["user.a=b"] = "c";
  Entry wide = device("d", NodeType::kCharDevice, 2'097'152, 0);
  Entry nul = symlink("l", std::string("a\0b", 3));
  const struct {
    const char* name;
    Node node;
  } cases[] = {{"dot dot", file("a/../b", "").node},
               {"absolute", file("/a", "").node},
               {"empty file name", file("", "").node},
               {"empty link", symlink("l", "").node},
               {"attribute with =", equals.node},
               {"wide device", wide.node},
               {"NUL in link", nul.node}};
  for (const auto& test : cases) {
    StringSink sink;
    TarWriter writer(sink);
    EXPECT_FALSE(writer.add(test.node, nullptr).ok()) << test.name;
  }
}

TEST(TarWriter, SameBytesInEveryLocale) {
  const std::string plain = tar_of(all_kinds());
  for (const char* name : {"C.UTF-8", "en_US.UTF-8"}) {
    if (std::setlocale(LC_ALL, name) == nullptr) continue;
    EXPECT_TRUE(tar_of(all_kinds()) == plain) << name;
  }
  std::setlocale(LC_ALL, "C");
}

TEST(TarWriter, GnuTarReadsEverything) {
  const Result<TempDir> folder = TempDir::create("archive-test-");
  ASSERT_OK(folder);
  write_text(folder->path() / "a.tar", tar_of(all_kinds()));
  const ShellResult listed =
      shell("LC_ALL=C TZ=UTC tar --numeric-owner --quoting-style=escape -tvf " + (folder->path() / "a.tar").string());
  ASSERT_TRUE(listed.ok) << listed.output;
  const char* lines[] = {
      "drwxr-xr-x 0/0               0 2017-07-14 02:40 ./\n",
      "drwxrwxrwt 0/0               0 2017-07-14 02:40 dir/\n",
      "-rwsr-xr-x 0/0               6 2020-09-13 12:26 dir/hello\n",
      "lrwxrwxrwx 0/0               0 2017-07-14 02:40 dir/link -> ../somewhere/else\n",
      "hrw-r--r-- 0/0               0 2017-07-14 02:40 dir/same link to dir/hello\n",
      "crw------- 0/0             1,3 2017-07-14 02:40 null\n",
      "brw------- 0/0        259,1000 2017-07-14 02:40 disk\n",
      "prw------- 0/0               0 2017-07-14 02:40 pipe\n",
      "gr\\303\\274\\303\\237\n",
      "bytes\\377\\376\n",
      "-rw-r--r-- 4000000000/3000000 3 1969-12-31 23:59 odd\n",
  };
  for (const char* line : lines) EXPECT_NE(listed.output.find(line), std::string::npos) << line << listed.output;
  EXPECT_NE(listed.output.find("long/" + kLong255 + "\n"), std::string::npos);
  EXPECT_NE(listed.output.find("far -> " + std::string(300, 't') + "\n"), std::string::npos);
  EXPECT_EQ(listed.output.find("tar:"), std::string::npos) << "no warning: " << listed.output;
}

TEST(TarWriter, PythonReadsEverything) {
  const Result<TempDir> folder = TempDir::create("archive-test-");
  ASSERT_OK(folder);
  write_text(folder->path() / "a.tar", tar_of(all_kinds()));
  write_text(folder->path() / "check.py",
             "import sys, tarfile\n"
             "t = tarfile.open(sys.argv[1], 'r:', errors='surrogateescape', encoding='utf-8')\n"
             "m = {x.name: x for x in t.getmembers()}\n"
             "assert len(m) == 14, sorted(m)\n"
             "assert t.extractfile('dir/same').read() == b'hello\\n'\n"
             "assert t.extractfile('gr\\u00fc\\u00df').read() == b'utf-8'\n"
             "assert t.extractfile('bytes\\udcff\\udcfe').read() == b'not utf-8'\n"
             "assert t.extractfile('long/' + 'n' * 255).read() == b'name'\n"
             "assert t.extractfile('a/' + 'p' * 90 + '/' + 'q' * 90).read() == b'split'\n"
             "assert m['dir'].isdir() and m['dir'].mode == 0o1777\n"
             "assert m['far'].linkname == 't' * 300\n"
             "assert (m['disk'].devmajor, m['disk'].devminor) == (259, 1000)\n"
             "o = m['odd']\n"
             "assert (o.uid, o.gid, o.mtime, o.uname) == (4000000000, 3000000, -5, ''), o.__dict__\n"
             "assert o.pax_headers['SCHILY.xattr.user.note'] == 'a\\0b=\\n', o.pax_headers\n");
  const ShellResult python =
      shell("python3 " + (folder->path() / "check.py").string() + " " + (folder->path() / "a.tar").string());
  EXPECT_TRUE(python.ok) << python.output;
}

}  // namespace
}  // namespace imagebuild::archive
