#include "oci/image_source.h"

#include <gtest/gtest.h>

#include "sample_image.h"

namespace imagebuild::oci {
namespace {

// Blobs by digest, as a registry has them.
struct Blobs {
  std::map<Digest, std::string> texts;

  Descriptor put(std::string_view type, const std::string& text) {
    texts.emplace(Digest::of(text), text);
    return {.media_type = std::string(type), .digest = Digest::of(text), .size_bytes = text.size()};
  }
  Result<ResolvedImage> resolve(const Descriptor& root) const {
    return resolve_image(root, amd64(), [this](const Descriptor& blob) -> Result<std::string> {
      const auto found = texts.find(blob.digest);
      if (found == texts.end()) return Error{ErrorCode::kNotFound, "no blob " + blob.digest.str()};
      return found->second;
    });
  }
};

TEST(ResolveImage, GivesTheExactTexts) {
  SampleImage sample = sample_image("one");
  const ImageContent content = sample.content({});
  Blobs blobs;
  blobs.put(media_type::kOciConfig, content.config_json);
  const std::string spaced = content.manifest_json + "\n ";  // Another tool's white space is part of the digest.
  const Result<ResolvedImage> image = blobs.resolve(blobs.put(media_type::kOciManifest, spaced));
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_EQ(image->manifest_json, spaced);
  EXPECT_EQ(image->descriptor.digest, Digest::of(spaced));
  EXPECT_EQ(image->config_json, content.config_json);
}

TEST(ResolveImage, GivesALoneImageOfAnotherPlatform) {
  SampleImage sample = sample_image("one");
  sample.config.platform = *Platform::parse("linux/s390x");
  const ImageContent content = sample.content({});
  Blobs blobs;
  blobs.put(media_type::kOciConfig, content.config_json);
  EXPECT_EQ(blobs.resolve(blobs.put(media_type::kOciManifest, content.manifest_json))->config.platform.str(),
            "linux/s390x");
}

struct Row {
  const char* name;
  // Spoils the image; returns the media type under which its manifest is offered.
  std::string_view (*spoil)(SampleImage& image);
  ErrorCode code;
  const char* message;
};

class NoImages : public testing::TestWithParam<Row> {};

TEST_P(NoImages, AreRefused) {
  SampleImage sample = sample_image("one");
  const std::string_view type = GetParam().spoil(sample);
  const ImageContent content = sample.content({});
  Blobs blobs;
  blobs.put(media_type::kOciConfig, content.config_json);
  const Result<ResolvedImage> image = blobs.resolve(blobs.put(type, content.manifest_json));
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.error().code, GetParam().code);
  EXPECT_NE(image.error().message.find(GetParam().message), std::string::npos) << image.error().message;
}

INSTANTIATE_TEST_SUITE_P(Table, NoImages,
                         testing::Values(Row{"Chart",
                                             [](SampleImage& image) {
                                               image.manifest.config.media_type =
                                                   "application/vnd.cncf.helm.config.v1+json";
                                               return media_type::kOciManifest;
                                             },
                                             ErrorCode::kUnsupported, "not a container image"},
                                         Row{"ExtraLayer",
                                             [](SampleImage& image) {
                                               image.manifest.layers.push_back(image.manifest.layers.front());
                                               return media_type::kOciManifest;
                                             },
                                             ErrorCode::kCorrupt, "4 layers but the config 3"},
                                         Row{"MissingLayer",
                                             [](SampleImage& image) {
                                               image.manifest.layers.pop_back();
                                               return media_type::kOciManifest;
                                             },
                                             ErrorCode::kCorrupt, "2 layers but the config 3"},
                                         Row{"OfferedAsAnIndex", [](SampleImage&) { return media_type::kOciIndex; },
                                             ErrorCode::kUnsupported, "manifest of one image"},
                                         Row{"OfferedAsText",
                                             [](SampleImage&) { return std::string_view("text/plain"); },
                                             ErrorCode::kUnsupported, "text/plain"}),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace imagebuild::oci
