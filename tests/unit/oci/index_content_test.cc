// Indexes, and several images, in layouts and archives.
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "base/file.h"
#include "oci/image_archive.h"
#include "oci/layout.h"
#include "tests/unit/oci/sample_image.h"

namespace imagebuild::oci {
namespace {

using Write = Status (*)(const std::filesystem::path&, const std::vector<NamedContent>&);
using Open = Result<std::unique_ptr<ImageSource>> (*)(const std::filesystem::path&, std::string);

struct Form {
  const char* name;
  Write write;
  Open open;
};

class IndexContent : public testing::TestWithParam<Form> {
 protected:
  void SetUp() override {
    Result<TempDir> temp = TempDir::create("imagebuild-test-");
    ASSERT_TRUE(temp.ok());
    temp_.emplace(std::move(*temp));
    arm_.config.platform = *Platform::parse("linux/arm/v7");
  }

  // An index of both images, and the second alone.
  std::vector<NamedContent> contents() {
    NamedContent both{{*Reference::parse("r.example/app:1")}, "", {intel_.content({}), arm_.content({})}};
    Index index{.media_type = std::string(media_type::kOciIndex)};
    for (const ImageContent& image : both.images) {
      index.manifests.push_back(assemble_image(image.manifest_json, image.config_json)->descriptor);
    }
    both.index_json = index.json();
    return {std::move(both), NamedContent{{*Reference::parse("r.example/other:2")}, "", {arm_.content({})}}};
  }

  std::string marker_of(const std::string& name, const std::string& platform) {
    const auto source = GetParam().open(place(), name);
    if (!source.ok()) return source.error().message;
    const Result<ResolvedImage> image = (*source)->resolve(*Platform::parse(platform));
    if (!image.ok()) return image.error().message;
    EXPECT_EQ(read_layers(**source, *image).size(), 3U);
    return image->config.config.labels.at("marker");
  }

  std::filesystem::path place(const std::string& name = "out") const { return temp_->path() / name; }

  std::optional<TempDir> temp_;
  SampleImage intel_ = sample_image("intel"), arm_ = sample_image("arm");
};

TEST_P(IndexContent, IsFoundByNameAndPlatform) {
  const Status written = GetParam().write(place(), contents());
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_EQ(marker_of("r.example/app:1", "linux/amd64"), "intel");
  EXPECT_EQ(marker_of("r.example/app:1", "linux/arm/v7"), "arm");
  EXPECT_EQ(marker_of("r.example/other:2", "linux/arm/v7"), "arm");
}

TEST_P(IndexContent, IsFoundByTheDigestOfAnImageInTheIndex) {
  const std::vector<NamedContent> written = contents();
  ASSERT_TRUE(GetParam().write(place(), {written.front()}).ok());
  const std::string digest = Digest::of(written.front().images[1].manifest_json).str();
  EXPECT_EQ(marker_of(digest, "linux/arm/v7"), "arm");
  EXPECT_NE(marker_of(Digest::of("nothing").str(), "linux/arm/v7").find("there is no image"), std::string::npos);
}

TEST_P(IndexContent, RefusesAnIndexThatIsNone) {
  std::vector<NamedContent> wrong = contents();
  wrong.front().index_json = wrong.front().images.front().manifest_json;
  EXPECT_FALSE(GetParam().write(place(), wrong).ok());
  EXPECT_FALSE(std::filesystem::exists(place()));
}

INSTANTIATE_TEST_SUITE_P(Forms, IndexContent,
                         testing::Values(Form{"Layout", write_oci_layout, open_oci_layout},
                                         Form{"Archive", write_oci_archive, open_oci_archive}),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(OciArchive, OfAnIndexIsTheSameEveryTime) {
  Result<TempDir> temp = TempDir::create("imagebuild-test-");
  ASSERT_TRUE(temp.ok());
  SampleImage image = sample_image("one");
  const ImageContent content = image.content({});
  const Index index{.media_type = std::string(media_type::kOciIndex),
                    .manifests = {assemble_image(content.manifest_json, content.config_json)->descriptor}};
  std::vector<std::string> texts;
  for (const char* name : {"a", "b"}) {
    const auto file = temp->path() / name;
    ASSERT_TRUE(write_oci_archive(file, {NamedContent{{*Reference::parse("x:1")}, index.json(), {content}}}).ok());
    texts.push_back(*read_file(file, 1 << 24));
  }
  EXPECT_EQ(texts[0], texts[1]);
}

}  // namespace
}  // namespace imagebuild::oci
