#include "oci/layout.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "sample_image.h"

namespace imagebuild::oci {
namespace {

namespace fs = std::filesystem;

class Layout : public testing::Test {
 protected:
  TempDir temp_ = *TempDir::create("layout-");
  fs::path folder_ = temp_.path() / "out";

  Descriptor write(const std::string& marker, const std::vector<std::string>& names) {
    SampleImage image = sample_image(marker);
    const Result<Descriptor> descriptor = write_oci_layout(folder_, image.content(names));
    EXPECT_TRUE(descriptor.ok()) << descriptor.error().message;
    return *descriptor;
  }

  // The marker of the image that `name` means, or the error.
  Result<std::string> marker_of(const std::string& name) {
    ASSIGN_OR_RETURN(const auto source, open_oci_layout(folder_, name));
    ASSIGN_OR_RETURN(const ResolvedImage image, source->resolve(amd64()));
    return image.config.config.labels.at("marker");
  }

  nlohmann::json index() { return nlohmann::json::parse(*read_file(folder_ / "index.json", 1 << 20)); }
  void set_index(const nlohmann::json& value) {
    ASSERT_TRUE(write_file_atomically(folder_ / "index.json", value.dump()).ok());
  }
};

TEST_F(Layout, GivesBackWhatWasWritten) {
  const Descriptor written = write("one", {"r.io/app:1"});
  const auto source = open_oci_layout(folder_, "");
  ASSERT_TRUE(source.ok()) << source.error().message;
  const Result<ResolvedImage> image = (*source)->resolve(amd64());
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_EQ(image->descriptor.digest, written.digest);
  EXPECT_EQ(Digest::of(image->manifest_json), written.digest);
  EXPECT_EQ(read_layers(**source, *image), sample_tars("one"));
}

TEST_F(Layout, LeavesNothingButTheLayout) {
  write("one", {});
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(temp_.path())) names.push_back(entry.path().filename().string());
  EXPECT_EQ(names, std::vector<std::string>{"out"});
  for (const auto& entry : fs::recursive_directory_iterator(folder_))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
  EXPECT_EQ(fs::status(folder_).permissions(), fs::perms{0755});
}

TEST_F(Layout, NamesAnImageByTagFullNameAndDigest) {
  const Descriptor written = write("one", {"alpine:3", "r.io/app:new"});
  write("two", {"busybox:1"});
  for (const std::string name : {"3", "alpine:3", "docker.io/library/alpine:3", "new", "r.io/app:new"})
    EXPECT_EQ(*marker_of(name), "one") << name;
  EXPECT_EQ(*marker_of(written.digest.str()), "one");
  EXPECT_EQ(*marker_of("1"), "two");
  const Result<std::string> missing = marker_of("alpine:4");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(
      missing.error().message.find("it has docker.io/library/alpine:3, docker.io/library/busybox:1, r.io/app:new"),
      std::string::npos)
      << missing.error().message;
}

TEST_F(Layout, WithSeveralImagesWantsAName) {
  write("one", {"a:1"});
  write("two", {"b:2"});
  const Result<std::string> image = marker_of("");
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.error().code, ErrorCode::kInvalidInput);
}

TEST_F(Layout, ReplacesAnImageOfTheSameName) {
  write("one", {"a:1"});
  write("two", {"a:1"});
  EXPECT_EQ(index()["manifests"].size(), 1U);
  EXPECT_EQ(*marker_of("a:1"), "two");
}

TEST_F(Layout, MovesATagButKeepsTheOtherImage) {
  write("one", {"a:latest"});
  write("two", {"b:latest"});
  EXPECT_EQ(*marker_of("latest"), "two");
  EXPECT_EQ(*marker_of("a:latest"), "one");
}

TEST_F(Layout, KeepsEntriesAndMembersItDoesNotKnow) {
  write("one", {"a:1"});
  nlohmann::json before = index();
  before["annotations"] = {{"k", "v"}};
  before["subject"] = {{"x", 1}};
  before["manifests"][0]["artifactType"] = "t";
  before["manifests"].push_back({{"mediaType", "m"}, {"digest", Digest::of("").str()}, {"size", 0}, {"urls", {"u"}}});
  set_index(before);
  write("two", {"b:2"});
  const nlohmann::json after = index();
  EXPECT_EQ(after["annotations"], before["annotations"]);
  EXPECT_EQ(after["subject"], before["subject"]);
  EXPECT_EQ(after["manifests"][0], before["manifests"][0]);
  EXPECT_EQ(after["manifests"][1], before["manifests"][1]);
  EXPECT_EQ(after["manifests"].size(), 3U);
}

TEST_F(Layout, WrittenTwiceStaysTheSame) {
  write("one", {"a:1", "b:1"});
  const std::string once = *read_file(folder_ / "index.json", 1 << 20);
  write("one", {"a:1", "b:1"});
  EXPECT_EQ(*read_file(folder_ / "index.json", 1 << 20), once);
}

TEST_F(Layout, TakesManyWritersAtOnceWithoutLosingAnImage) {
  write("first", {"first:1"});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back(
          [this, i] { write("n" + std::to_string(i), {"n" + std::to_string(i) + ":t" + std::to_string(i)}); });
    }
  }
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(*marker_of("n" + std::to_string(i) + ":t" + std::to_string(i)), "n" + std::to_string(i));
  EXPECT_EQ(*marker_of("first:1"), "first");
}

TEST_F(Layout, FollowsANestedIndexToThePlatform) {
  SampleImage arm = sample_image("arm");
  arm.config.platform = *Platform::parse("linux/arm64");
  Result<LayoutWriter> writer = LayoutWriter::open(folder_);
  ASSERT_TRUE(writer.ok());
  Index inner{.media_type = std::string(media_type::kOciIndex)};
  SampleImage intel = sample_image("intel");
  for (SampleImage* image : {&arm, &intel}) {
    const ImageContent content = image->content({});
    const ResolvedImage resolved = *assemble_image(content.manifest_json, content.config_json);
    ASSERT_TRUE(writer->put_blob(resolved.descriptor, content.manifest_json).ok());
    ASSERT_TRUE(writer->put_blob(resolved.manifest.config, content.config_json).ok());
    inner.manifests.push_back(resolved.descriptor);
  }
  const std::string text = inner.json();
  const Descriptor root{.media_type = inner.media_type, .digest = Digest::of(text), .size_bytes = text.size()};
  ASSERT_TRUE(writer->put_blob(root, text).ok());
  ASSERT_TRUE(writer->add_image(root, {*Reference::parse("multi:1")}).ok());
  EXPECT_EQ(*marker_of("multi:1"), "intel");
  const auto source = open_oci_layout(folder_, "");
  EXPECT_EQ((*source)->resolve(*Platform::parse("arm64"))->config.config.labels.at("marker"), "arm");
  const Result<ResolvedImage> none = (*source)->resolve(*Platform::parse("s390x"));
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("there is one for linux/amd64, linux/arm64"), std::string::npos)
      << none.error().message;
}

TEST_F(Layout, OfAnIndexThatContainsItselfIsRefused) {
  // No digest can do that; a chain of indexes is the nearest thing.
  Result<LayoutWriter> writer = LayoutWriter::open(folder_);
  ASSERT_TRUE(writer.ok());
  Descriptor at{.media_type = std::string(media_type::kOciManifest), .digest = Digest::of("{}"), .size_bytes = 2};
  for (int depth = 0; depth < 10; ++depth) {
    const std::string text = Index{.media_type = std::string(media_type::kOciIndex), .manifests = {at}}.json();
    at = Descriptor{
        .media_type = std::string(media_type::kOciIndex), .digest = Digest::of(text), .size_bytes = text.size()};
    ASSERT_TRUE(writer->put_blob(at, text).ok());
  }
  ASSERT_TRUE(writer->add_image(at, {}).ok());
  EXPECT_EQ(marker_of("").error().code, ErrorCode::kUnsupported);
}

TEST_F(Layout, RefusesABlobWithOtherContent) {
  SampleImage image = sample_image("one");
  ImageContent content = image.content({});
  content.open_layer = [](const Descriptor& layer) -> Result<std::unique_ptr<ByteSource>> {
    return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(std::string(layer.size_bytes, 'x')));
  };
  const Result<Descriptor> written = write_oci_layout(folder_, content);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::kCorrupt);
  EXPECT_TRUE(fs::is_empty(temp_.path())) << "nothing is left behind";
}

TEST_F(Layout, IsNotWrittenIntoAFolderOfOtherThings) {
  fs::create_directory(folder_);
  ASSERT_TRUE(write_file_atomically(folder_ / "thesis.txt", "x").ok());
  const Result<LayoutWriter> writer = LayoutWriter::open(folder_);
  ASSERT_FALSE(writer.ok());
  EXPECT_EQ(writer.error().code, ErrorCode::kInvalidInput);
}

TEST_F(Layout, IsWrittenIntoAnEmptyFolder) {
  fs::create_directory(folder_);
  write("one", {});
  EXPECT_EQ(*marker_of(""), "one");
}

TEST_F(Layout, IsNotWrittenWhereTheParentIsMissing) {
  const Result<LayoutWriter> writer = LayoutWriter::open(temp_.path() / "no" / "out");
  ASSERT_FALSE(writer.ok());
  EXPECT_EQ(writer.error().code, ErrorCode::kNotFound);
}

struct Attack {
  const char* name;
  void (*spoil)(const fs::path& folder, const fs::path& layer);
  ErrorCode code;
};

class HostileLayouts : public Layout, public testing::WithParamInterface<Attack> {};

void replace(const fs::path& path, const std::string& content) {
  ASSERT_TRUE(write_file_atomically(path, content).ok());
}

TEST_P(HostileLayouts, AreRefused) {
  write("one", {"a:1"});
  SampleImage image = sample_image("one");
  const std::string hex(image.manifest.layers.at(0).digest.hex());
  GetParam().spoil(folder_, folder_ / "blobs" / "sha256" / hex);
  const auto attempt = [&]() -> Status {
    ASSIGN_OR_RETURN(const auto source, open_oci_layout(folder_, "a:1"));
    ASSIGN_OR_RETURN(const ResolvedImage resolved, source->resolve(amd64()));
    ASSIGN_OR_RETURN(const auto blob, source->open_blob(resolved.manifest.layers.at(0)));
    RETURN_IF_ERROR(read_all(*blob, 1 << 20));
    return ok();
  };
  const Status status = attempt();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, GetParam().code) << status.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Table, HostileLayouts,
    testing::Values(
        Attack{"NoMarker", [](const fs::path& folder, const fs::path&) { fs::remove(folder / "oci-layout"); },
               ErrorCode::kInvalidInput},
        Attack{"BrokenMarker", [](const fs::path& folder, const fs::path&) { replace(folder / "oci-layout", "x"); },
               ErrorCode::kCorrupt},
        Attack{"LaterVersion",
               [](const fs::path& folder, const fs::path&) {
                 replace(folder / "oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
               },
               ErrorCode::kUnsupported},
        Attack{"NoIndex", [](const fs::path& folder, const fs::path&) { fs::remove(folder / "index.json"); },
               ErrorCode::kNotFound},
        Attack{"BrokenIndex", [](const fs::path& folder, const fs::path&) { replace(folder / "index.json", "{"); },
               ErrorCode::kCorrupt},
        Attack{"HugeIndex",
               [](const fs::path& folder, const fs::path&) {
                 replace(folder / "index.json", "");
                 fs::resize_file(folder / "index.json", 1ULL << 32);
               },
               ErrorCode::kLimit},
        Attack{"OtherContent",
               [](const fs::path&, const fs::path& layer) {
                 const auto size = fs::file_size(layer);
                 replace(layer, std::string(size, 'x'));
               },
               ErrorCode::kCorrupt},
        Attack{"WrongSize", [](const fs::path&, const fs::path& layer) { fs::resize_file(layer, 10); },
               ErrorCode::kCorrupt},
        Attack{"MissingBlob", [](const fs::path&, const fs::path& layer) { fs::remove(layer); }, ErrorCode::kNotFound},
        Attack{"BlobIsAFolder",
               [](const fs::path&, const fs::path& layer) {
                 fs::remove(layer);
                 fs::create_directory(layer);
               },
               ErrorCode::kCorrupt},
        Attack{"BlobIsAFifo",
               [](const fs::path&, const fs::path& layer) {
                 fs::remove(layer);
                 ASSERT_EQ(::mkfifo(layer.c_str(), 0600), 0);
               },
               ErrorCode::kCorrupt},
        Attack{"BlobIsALink",
               [](const fs::path& folder, const fs::path& layer) {
                 fs::rename(layer, folder / "elsewhere");
                 fs::create_symlink("../../elsewhere", layer);
               },
               ErrorCode::kCorrupt},
        Attack{"BlobsIsALink",
               [](const fs::path& folder, const fs::path&) {
                 fs::rename(folder / "blobs", folder / "elsewhere");
                 fs::create_symlink("elsewhere", folder / "blobs");
               },
               ErrorCode::kCorrupt}),
    [](const auto& row) { return std::string(row.param.name); });

TEST_F(Layout, IsNotWrittenThroughASymlink) {
  write("one", {"a:1"});
  const fs::path outside = temp_.path() / "outside";
  fs::rename(folder_ / "blobs", outside);
  fs::create_symlink(outside, folder_ / "blobs");
  const Result<LayoutWriter> writer = LayoutWriter::open(folder_);
  ASSERT_FALSE(writer.ok());
  EXPECT_EQ(writer.error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace imagebuild::oci
