// Small images for the tests of this room.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "archive/tar_writer.h"
#include "oci/image_source.h"
#include "oci/layer.h"

namespace imagebuild::oci {

// A tar with one file.
inline std::string sample_tar(const std::string& path, const std::string& content) {
  StringSink sink;
  archive::TarWriter tar(sink);
  archive::Node node;
  node.path = path;
  node.mode = 0644;
  node.size_bytes = content.size();
  StringSource source(content);
  EXPECT_TRUE(tar.add(node, &source).ok());
  EXPECT_TRUE(tar.finish().ok());
  return sink.text();
}

// An image whose layers are kept in memory, by digest.
struct SampleImage {
  std::map<Digest, std::string> blobs;
  ImageConfig config;
  Manifest manifest{.media_type = std::string(media_type::kOciManifest),
                    .config = {.media_type = std::string(media_type::kOciConfig), .digest = Digest::of("")}};

  void add_layer(const std::string& tar, archive::Compression compression) {
    StringSink blob;
    LayerWriter writer(blob, compression, 1);
    EXPECT_TRUE(writer.write(as_bytes(tar)).ok());
    const Result<Layer> layer = writer.finish();
    ASSERT_TRUE(layer.ok());
    config.diff_ids.push_back(layer->diff_id);
    manifest.layers.push_back(layer->blob);
    blobs.emplace(layer->blob.digest, blob.text());
  }

  // The image as the writers take it; valid as long as this lives.
  ImageContent content(const std::vector<std::string>& names) {
    ImageContent result;
    result.config_json = config.json();
    manifest.config.digest = Digest::of(result.config_json);
    manifest.config.size_bytes = result.config_json.size();
    result.manifest_json = manifest.json();
    for (const std::string& name : names) result.names.push_back(*Reference::parse(name));
    result.open_layer = [this](const Descriptor& layer) -> Result<std::unique_ptr<ByteSource>> {
      return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(blobs.at(layer.digest)));
    };
    return result;
  }
};

// A gzip layer, a zstd layer and a plain one; `marker` makes images differ.
inline SampleImage sample_image(const std::string& marker) {
  SampleImage image;
  image.config.platform = *Platform::parse("linux/amd64");
  image.config.config.labels["marker"] = marker;
  image.add_layer(sample_tar("base", std::string(3000, 'b')), archive::Compression::kGzip);
  image.add_layer(sample_tar("more", "zstd"), archive::Compression::kZstd);
  image.add_layer(sample_tar("top", marker), archive::Compression::kNone);
  return image;
}

// Every layer's tar as a reader of the image sees it.
inline std::vector<std::string> read_layers(ImageSource& source, const ResolvedImage& image) {
  std::vector<std::string> tars;
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const Descriptor& layer = image.manifest.layers[i];
    Result<std::unique_ptr<ByteSource>> blob = source.open_blob(layer);
    if (!blob.ok()) {
      ADD_FAILURE() << blob.error().message;
      return tars;
    }
    Result<std::unique_ptr<ByteSource>> tar =
        open_layer(std::move(blob).value(), layer.media_type, image.config.diff_ids[i]);
    if (!tar.ok()) {
      ADD_FAILURE() << tar.error().message;
      return tars;
    }
    const Result<std::string> text = read_all(**tar, 1 << 20);
    EXPECT_TRUE(text.ok()) << text.error().message;
    tars.push_back(text.ok() ? *text : "");
  }
  return tars;
}

inline std::vector<std::string> sample_tars(const std::string& marker) {
  return {sample_tar("base", std::string(3000, 'b')), sample_tar("more", "zstd"), sample_tar("top", marker)};
}

inline Platform amd64() {
  return *Platform::parse("linux/amd64");
}

}  // namespace imagebuild::oci
