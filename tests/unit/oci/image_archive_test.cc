#include "oci/image_archive.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "oci/member_files.h"
#include "sample_image.h"

namespace imagebuild::oci {
namespace {

namespace fs = std::filesystem;

Result<std::unique_ptr<ImageSource>> open_oci(const fs::path& file, const std::string& name) {
  return open_oci_archive(file, name);
}

struct Format {
  const char* name;
  Result<Descriptor> (*write)(const fs::path&, const ImageContent&);
  Result<std::unique_ptr<ImageSource>> (*open)(const fs::path&, const std::string&);
};

class ImageArchives : public testing::TestWithParam<Format> {
 protected:
  TempDir temp_ = *TempDir::create("archive-");
  fs::path file_ = temp_.path() / "image.tar";
};

INSTANTIATE_TEST_SUITE_P(Table, ImageArchives,
                         testing::Values(Format{"Oci", write_oci_archive, open_oci},
                                         Format{"Docker", write_docker_archive, open_docker_archive}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST_P(ImageArchives, GiveBackTheImage) {
  SampleImage sample = sample_image("one");
  const ImageContent content = sample.content({"r.io/app:1", "alpine:3"});
  const Result<Descriptor> written = GetParam().write(file_, content);
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_EQ(written->digest, Digest::of(content.manifest_json));
  for (const std::string name : {"", "r.io/app:1", "alpine:3", "docker.io/library/alpine:3"}) {
    const auto source = GetParam().open(file_, name);
    ASSERT_TRUE(source.ok()) << source.error().message;
    const Result<ResolvedImage> image = (*source)->resolve(amd64());
    ASSERT_TRUE(image.ok()) << image.error().message;
    EXPECT_EQ(image->config_json, content.config_json);
    EXPECT_EQ(read_layers(**source, *image), sample_tars("one"));
  }
}

TEST_P(ImageArchives, HaveTheSameBytesEachTime) {
  SampleImage sample = sample_image("one");
  const fs::path other = temp_.path() / "other.tar";
  ASSERT_TRUE(GetParam().write(file_, sample.content({"a:1"})).ok());
  ASSERT_TRUE(GetParam().write(other, sample.content({"a:1"})).ok());
  EXPECT_EQ(*read_file(file_, 1 << 20), *read_file(other, 1 << 20));
}

TEST_P(ImageArchives, ReplaceAFileInOneStep) {
  ASSERT_TRUE(write_file_atomically(file_, "old").ok());
  SampleImage sample = sample_image("one");
  ASSERT_TRUE(GetParam().write(file_, sample.content({})).ok());
  EXPECT_GT(fs::file_size(file_), 3000U);
}

TEST_P(ImageArchives, LeaveTheOldFileWhenALayerIsDamaged) {
  ASSERT_TRUE(write_file_atomically(file_, "old").ok());
  SampleImage sample = sample_image("one");
  sample.blobs.begin()->second.back() ^= 1;
  const Result<Descriptor> written = GetParam().write(file_, sample.content({}));
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(*read_file(file_, 100), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(temp_.path()), fs::directory_iterator()), 1)
      << "no temporary file stays";
}

TEST_P(ImageArchives, AreNotWrittenOverAFolder) {
  SampleImage sample = sample_image("one");
  EXPECT_EQ(GetParam().write(temp_.path(), sample.content({})).error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(GetParam().write(temp_.path() / "missing" / "x.tar", sample.content({})).error().code,
            ErrorCode::kNotFound);
}

TEST_P(ImageArchives, HoldALayerOnceThatComesTwice) {
  SampleImage sample = sample_image("one");
  sample.add_layer(sample_tar("base", std::string(3000, 'b')), archive::Compression::kGzip);
  ASSERT_TRUE(GetParam().write(file_, sample.content({})).ok());
  const auto source = GetParam().open(file_, "");
  ASSERT_TRUE(source.ok()) << source.error().message;
  const ResolvedImage image = *(*source)->resolve(amd64());
  const std::vector<std::string> tars = read_layers(**source, image);
  ASSERT_EQ(tars.size(), 4U);
  EXPECT_EQ(tars[0], tars[3]);
}

TEST_P(ImageArchives, WithoutLayersWork) {
  SampleImage sample;
  ASSERT_TRUE(GetParam().write(file_, sample.content({"empty:1"})).ok());
  const auto source = GetParam().open(file_, "empty:1");
  ASSERT_TRUE(source.ok()) << source.error().message;
  EXPECT_TRUE((*source)->resolve(amd64())->manifest.layers.empty());
}

TEST_P(ImageArchives, ThatAreNoneSaySo) {
  EXPECT_EQ(GetParam().open(file_, "").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(write_file_atomically(file_, "").ok());
  EXPECT_EQ(GetParam().open(file_, "").error().code, ErrorCode::kInvalidInput);
  ASSERT_TRUE(write_file_atomically(file_, std::string(2000, 'x')).ok());
  EXPECT_EQ(GetParam().open(file_, "").error().code, ErrorCode::kInvalidInput);
  ASSERT_TRUE(write_file_atomically(file_, "\x1f\x8b\x08" + std::string(2000, '\0')).ok());
  EXPECT_EQ(GetParam().open(file_, "").error().code, ErrorCode::kUnsupported);
  ASSERT_TRUE(write_file_atomically(file_, sample_tar("hello", "world")).ok());
  EXPECT_EQ(GetParam().open(file_, "").error().code, ErrorCode::kInvalidInput);
}

TEST_P(ImageArchives, CutShortAnywhereAreRefusedAndNeverMisread) {
  SampleImage sample = sample_image("one");
  ASSERT_TRUE(GetParam().write(file_, sample.content({"a:1"})).ok());
  const std::string whole = *read_file(file_, 1 << 20);
  for (std::size_t size = 0; size + 1536 < whole.size(); size += 333) {
    ASSERT_TRUE(write_file_atomically(file_, whole.substr(0, size)).ok());
    const auto read = [&]() -> Status {
      ASSIGN_OR_RETURN(const auto source, GetParam().open(file_, ""));
      ASSIGN_OR_RETURN(const ResolvedImage image, source->resolve(amd64()));
      for (const Descriptor& layer : image.manifest.layers) {
        ASSIGN_OR_RETURN(const auto blob, source->open_blob(layer));
        RETURN_IF_ERROR(read_all(*blob, 1 << 20));
      }
      return ok();
    };
    EXPECT_FALSE(read().ok()) << size;
  }
}

// A tar made of members with any content, and symlinks.
class TarFile {
 public:
  void add(const std::string& path, const std::string& content) {
    archive::Node node;
    node.path = path;
    node.size_bytes = content.size();
    StringSource source(content);
    EXPECT_TRUE(tar_.add(node, &source).ok());
  }
  void link(const std::string& path, const std::string& target, archive::NodeType type = archive::NodeType::kSymlink) {
    archive::Node node;
    node.path = path;
    node.type = type;
    node.link = target;
    EXPECT_TRUE(tar_.add(node, nullptr).ok());
  }
  void save(const fs::path& path) {
    EXPECT_TRUE(tar_.finish().ok());
    EXPECT_TRUE(write_file_atomically(path, sink_.text()).ok());
  }

 private:
  StringSink sink_;
  archive::TarWriter tar_{sink_};
};

class DockerArchive : public testing::Test {
 protected:
  TempDir temp_ = *TempDir::create("docker-");
  fs::path file_ = temp_.path() / "image.tar";
  std::string tar_ = sample_tar("a", "content");

  std::string config() {
    ImageConfig config;
    config.diff_ids = {Digest::of(tar_)};
    return config.json();
  }
  Result<std::string> read_only_layer() {
    ASSIGN_OR_RETURN(const auto source, open_docker_archive(file_, ""));
    ASSIGN_OR_RETURN(const ResolvedImage image, source->resolve(amd64()));
    ASSIGN_OR_RETURN(auto blob, source->open_blob(image.manifest.layers.at(0)));
    ASSIGN_OR_RETURN(const auto tar,
                     open_layer(std::move(blob), image.manifest.layers.at(0).media_type, image.config.diff_ids.at(0)));
    return read_all(*tar, 1 << 20);
  }
};

TEST_F(DockerArchive, MayShareLayersThroughLinksAsOldDockersDo) {
  for (const auto type : {archive::NodeType::kSymlink, archive::NodeType::kHardlink}) {
    TarFile file;
    file.add("old/layer.tar", tar_);
    file.link("new/layer.tar", type == archive::NodeType::kSymlink ? "../old/layer.tar" : "old/layer.tar", type);
    file.add("c.json", config());
    file.add("manifest.json", R"([{"Config":"c.json","RepoTags":null,"Layers":["new/layer.tar"]}])");
    file.save(file_);
    const Result<std::string> layer = read_only_layer();
    ASSERT_TRUE(layer.ok()) << layer.error().message;
    EXPECT_EQ(*layer, tar_);
  }
}

TEST_F(DockerArchive, MayHoldCompressedLayers) {
  SampleImage sample;
  sample.add_layer(tar_, archive::Compression::kGzip);
  TarFile file;
  file.add("manifest.json", R"([{"Config":"c.json","Layers":["layer.tar.gz"]}])");
  file.add("layer.tar.gz", sample.blobs.begin()->second);
  file.add("c.json", config());
  file.save(file_);
  const Result<std::string> layer = read_only_layer();
  ASSERT_TRUE(layer.ok()) << layer.error().message;
  EXPECT_EQ(*layer, tar_);
}

struct Broken {
  const char* name;
  const char* manifest;
  const char* link;  // What the member "link" points to.
  ErrorCode code;
};

class BrokenDockerArchives : public DockerArchive, public testing::WithParamInterface<Broken> {};

TEST_P(BrokenDockerArchives, AreRefused) {
  TarFile file;
  file.add("manifest.json", GetParam().manifest);
  file.add("layer.tar", tar_);
  file.add("other.tar", "other");
  file.add("c.json", config());
  file.link("link", GetParam().link);
  file.save(file_);
  const Result<std::string> layer = read_only_layer();
  ASSERT_FALSE(layer.ok());
  EXPECT_EQ(layer.error().code, GetParam().code) << layer.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Table, BrokenDockerArchives,
    testing::Values(
        Broken{"NotJson", "x", "x", ErrorCode::kCorrupt}, Broken{"NotAList", "{}", "x", ErrorCode::kCorrupt},
        Broken{"Empty", "[]", "x", ErrorCode::kNotFound}, Broken{"NotAnObject", "[1]", "x", ErrorCode::kCorrupt},
        Broken{"NoConfig", R"([{"Layers":["layer.tar"]}])", "x", ErrorCode::kCorrupt},
        Broken{"LayersText", R"([{"Config":"c.json","Layers":"layer.tar"}])", "x", ErrorCode::kCorrupt},
        Broken{"ConfigMissing", R"([{"Config":"d.json","Layers":["layer.tar"]}])", "x", ErrorCode::kNotFound},
        Broken{"LayerMissing", R"([{"Config":"c.json","Layers":["no.tar"]}])", "x", ErrorCode::kNotFound},
        Broken{"LayerOutside", R"([{"Config":"c.json","Layers":["../../etc/passwd"]}])", "x", ErrorCode::kNotFound},
        Broken{"TooFewLayers", R"([{"Config":"c.json","Layers":[]}])", "x", ErrorCode::kCorrupt},
        Broken{"OtherLayer", R"([{"Config":"c.json","Layers":["other.tar"]}])", "x", ErrorCode::kCorrupt},
        Broken{"LinkOutside", R"([{"Config":"c.json","Layers":["link"]}])", "../layer.tar", ErrorCode::kNotFound},
        Broken{"LinkToItself", R"([{"Config":"c.json","Layers":["link"]}])", "link", ErrorCode::kNotFound},
        Broken{"TwoImages", R"([{"Config":"c.json"},{"Config":"c.json"}])", "x", ErrorCode::kInvalidInput}),
    [](const auto& row) { return std::string(row.param.name); });

// The 512 bytes of a member's header.
std::string header(const std::string& name, const std::string& size_field, char type) {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  block.replace(100, 7, "0000644");
  block.replace(124, size_field.size(), size_field);
  block.replace(148, 8, "        ");
  block[156] = type;
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  block.replace(148, 6, text);
  return block;
}

std::string padded(std::string content) {
  return content + std::string((512 - content.size() % 512) % 512, '\0');
}

struct TarRow {
  const char* name;
  std::string tar;
  std::string found;  // The content of the member "wanted"; or, where the code is set, nothing.
  std::optional<ErrorCode> code = {};
};

class TarMembers : public testing::TestWithParam<TarRow> {};

TEST_P(TarMembers, AreFoundByNameOrRefused) {
  const TempDir temp = *TempDir::create("tar-");
  ASSERT_TRUE(write_file_atomically(temp.path() / "t", GetParam().tar).ok());
  const auto read = [&]() -> Result<std::string> {
    ASSIGN_OR_RETURN(const auto members, open_tar_members(temp.path() / "t"));
    return members->read("wanted", 1000);
  };
  const Result<std::string> text = read();
  if (GetParam().code) {
    ASSERT_FALSE(text.ok());
    EXPECT_EQ(text.error().code, *GetParam().code) << text.error().message;
  } else {
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(*text, GetParam().found);
  }
}

const std::string kEnd(1024, '\0');
const std::string kHi = padded("hi");

INSTANTIATE_TEST_SUITE_P(
    Table, TarMembers,
    testing::Values(
        TarRow{"Plain", header("wanted", "00000000002", '0') + kHi + kEnd, "hi"},
        TarRow{"DotSlash", header("./wanted", "00000000002", '0') + kHi + kEnd, "hi"},
        TarRow{"OldType", header("wanted", "00000000002", '\0') + kHi + kEnd, "hi"},
        TarRow{"LastCounts",
               header("wanted", "00000000001", '0') + kHi + header("wanted", "00000000002", '0') + kHi + kEnd, "hi"},
        TarRow{"NoEndBlocks", header("wanted", "00000000002", '0') + kHi, "hi"},
        TarRow{"Base256Size", header("wanted", "\x80" + std::string(10, '\0') + "\x02", '0') + kHi + kEnd, "hi"},
        TarRow{"PaxPath",
               header("pax", "00000000015", 'x') + padded("15 path=wanted\n").substr(0, 512) +
                   header("x", "00000000002", '0') + kHi + kEnd,
               "", ErrorCode::kCorrupt},
        TarRow{"PaxPathRight",
               header("pax", "00000000017", 'x') + padded("15 path=wanted\n") + header("x", "00000000002", '0') + kHi +
                   kEnd,
               "hi"},
        TarRow{"PaxSize",
               header("pax", "00000000012", 'x') + padded("9 size=2\n\n").substr(0, 512) +
                   header("wanted", "00000000000", '0') + kHi + kEnd,
               "", ErrorCode::kCorrupt},
        TarRow{"PaxSizeRight",
               header("pax", "00000000011", 'x') + padded("9 size=2\n") + header("wanted", "00000000000", '0') + kHi +
                   kEnd,
               "hi"},
        TarRow{"GnuLongName",
               header("././@LongLink", "00000000007", 'L') + padded(std::string("wanted\0", 7)) +
                   header("x", "00000000002", '0') + kHi + kEnd,
               "hi"},
        TarRow{"GlobalHeader",
               header("pax", "00000000011", 'g') + padded("9 size=9\n") + header("wanted", "00000000002", '0') + kHi +
                   kEnd,
               "hi"},
        TarRow{"Folder", header("wanted", "00000000000", '5') + kEnd, "", ErrorCode::kNotFound},
        TarRow{"Device", header("wanted", "00000000000", '3') + kEnd, "", ErrorCode::kNotFound},
        TarRow{"CutContent", header("wanted", "00000077777", '0') + kHi + kEnd, "", ErrorCode::kCorrupt},
        TarRow{"NegativeSize", header("wanted", std::string(12, '\xff'), '0') + kHi + kEnd, "", ErrorCode::kCorrupt},
        TarRow{"HugeSize", header("wanted", "\x80" + std::string(3, '\0') + std::string(8, '\xff'), '0') + kHi + kEnd,
               "", ErrorCode::kCorrupt},
        TarRow{"SizeIsWords", header("wanted", "hello world", '0') + kHi + kEnd, "", ErrorCode::kCorrupt},
        TarRow{"BadChecksumLater", header("wanted", "00000000002", '0') + kHi + std::string(512, 'x'), "",
               ErrorCode::kCorrupt},
        TarRow{
            "PaxGarbage",
            header("pax", "00000000007", 'x') + padded("garbage") + header("wanted", "00000000002", '0') + kHi + kEnd,
            "", ErrorCode::kCorrupt},
        TarRow{"PaxLengthBeyond",
               header("pax", "00000000011", 'x') + padded("99 path=x\n") + header("wanted", "00000000002", '0') + kHi +
                   kEnd,
               "", ErrorCode::kCorrupt},
        TarRow{"PaxTooLarge", header("pax", "00010000000", 'x') + std::string(1 << 21, 'x') + kEnd, "",
               ErrorCode::kLimit},
        TarRow{"Sparse", header("wanted", "00000000002", 'S') + kHi + kEnd, "", ErrorCode::kUnsupported}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace imagebuild::oci
