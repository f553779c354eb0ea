#include "oci/layer.h"

#include <gtest/gtest.h>

namespace imagebuild::oci {
namespace {

using archive::Compression;

struct Written {
  Layer layer;
  std::string blob;
};

Written write_layer(const std::string& tar, Compression compression, unsigned threads = 1) {
  StringSink blob;
  LayerWriter writer(blob, compression, threads);
  for (std::size_t at = 0; at < tar.size(); at += 1000) {
    EXPECT_TRUE(writer.write(as_bytes(std::string_view(tar).substr(at, 1000))).ok());
  }
  Result<Layer> layer = writer.finish();
  EXPECT_TRUE(layer.ok());
  return {*layer, blob.text()};
}

Result<std::string> read_layer(const std::string& blob, std::string_view type, std::optional<Digest> diff_id,
                               const LayerLimits& limits = {}) {
  ASSIGN_OR_RETURN(const auto tar, open_layer(std::make_unique<StringSource>(blob), type, std::move(diff_id), limits));
  return read_all(*tar, 1U << 30);
}

class Compressions : public testing::TestWithParam<Compression> {};

TEST_P(Compressions, RoundTrip) {
  for (const std::string& tar : {std::string(), std::string("x"), std::string(300'000, 'y')}) {
    const Written written = write_layer(tar, GetParam());
    EXPECT_EQ(written.layer.diff_id, Digest::of(tar));
    EXPECT_EQ(written.layer.tar_bytes, tar.size());
    EXPECT_EQ(written.layer.blob.digest, Digest::of(written.blob));
    EXPECT_EQ(written.layer.blob.size_bytes, written.blob.size());
    EXPECT_EQ(written.layer.blob.media_type, layer_media_type(GetParam()));
    const Result<std::string> back = read_layer(written.blob, written.layer.blob.media_type, written.layer.diff_id);
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(*back, tar);
  }
}

TEST_P(Compressions, GiveTheSameBytesForAnyNumberOfThreads) {
  const std::string tar(3'000'000, 'z');
  EXPECT_EQ(write_layer(tar, GetParam(), 1).blob, write_layer(tar, GetParam(), 3).blob);
}

TEST_P(Compressions, AreCheckedAgainstTheDiffId) {
  const Written written = write_layer("content", GetParam());
  const Result<std::string> back = read_layer(written.blob, written.layer.blob.media_type, Digest::of("other"));
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(back.error().message.find("the image config promises"), std::string::npos) << back.error().message;
}

TEST_P(Compressions, StopAtTheLimit) {
  const Written written = write_layer(std::string(100'000, '0'), GetParam());
  const Result<std::string> back =
      read_layer(written.blob, written.layer.blob.media_type, std::nullopt, {.max_tar_bytes = 99'999});
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().code, ErrorCode::kLimit);
  EXPECT_TRUE(read_layer(written.blob, written.layer.blob.media_type, std::nullopt, {.max_tar_bytes = 100'000}).ok());
}

INSTANTIATE_TEST_SUITE_P(Table, Compressions,
                         testing::Values(Compression::kNone, Compression::kGzip, Compression::kZstd));

TEST(Layer, ThatIsABombIsStoppedByItsRatio) {
  const Written written = write_layer(std::string(4'000'000, '0'), Compression::kZstd);
  const LayerLimits limits{.max_ratio = 50, .ratio_counts_from_bytes = 100'000};
  const Result<std::string> back = read_layer(written.blob, media_type::kOciLayerZstd, std::nullopt, limits);
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().code, ErrorCode::kLimit);
  EXPECT_NE(back.error().message.find("bomb"), std::string::npos);
}

TEST(Layer, OfZerosIsNoBombWhileItIsSmall) {
  const Written written = write_layer(std::string(4'000'000, '0'), Compression::kZstd);
  EXPECT_TRUE(read_layer(written.blob, media_type::kOciLayerZstd, std::nullopt).ok());
}

struct Broken {
  const char* name;
  std::string (*change)(std::string blob);
};

class BrokenBlobs : public testing::TestWithParam<Broken> {};

TEST_P(BrokenBlobs, NeverEndCleanly) {
  for (const Compression compression : {Compression::kGzip, Compression::kZstd}) {
    const Written written = write_layer(std::string(50'000, 'a') + "b", compression);
    const Result<std::string> back =
        read_layer(GetParam().change(written.blob), written.layer.blob.media_type, written.layer.diff_id);
    EXPECT_FALSE(back.ok());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, BrokenBlobs,
    testing::Values(Broken{"CutShort", [](std::string blob) { return blob.substr(0, blob.size() - 5); }},
                    Broken{"Empty", [](std::string) { return std::string(); }},
                    Broken{"NotCompressed", [](std::string) { return std::string(2000, 'x'); }},
                    Broken{"TrailingBytes", [](std::string blob) { return blob + "trailing bytes"; }}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Layer, IsUnpackedAsWhatItIsWhenItsLabelIsWrong) {
  const std::string tar(2000, 't');
  const std::string zstd = write_layer(tar, Compression::kZstd).blob;
  for (const std::string& blob : {tar, zstd}) {
    const Result<std::string> back = read_layer(blob, media_type::kOciLayerGzip, Digest::of(tar));
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(*back, tar);
  }
}

TEST(LayerCompression, FollowsTheMediaType) {
  EXPECT_EQ(*layer_compression(media_type::kOciLayer), Compression::kNone);
  EXPECT_EQ(*layer_compression(media_type::kOciLayerGzip), Compression::kGzip);
  EXPECT_EQ(*layer_compression(media_type::kOciLayerZstd), Compression::kZstd);
  EXPECT_EQ(*layer_compression(media_type::kDockerLayer), Compression::kNone);
  EXPECT_EQ(*layer_compression(media_type::kDockerLayerGzip), Compression::kGzip);
  EXPECT_EQ(*layer_compression("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), Compression::kGzip);
  EXPECT_EQ(*layer_compression("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"), Compression::kZstd);
  for (const char* type :
       {"", "text/plain", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.oci.image.layer.v1.tar+xz", "application/vnd.in-toto+json", "application/x.tar"}) {
    const Result<Compression> compression = layer_compression(type);
    ASSERT_FALSE(compression.ok()) << type;
    EXPECT_EQ(compression.error().code, ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace imagebuild::oci
