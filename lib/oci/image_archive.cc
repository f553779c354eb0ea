#include "oci/image_archive.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "archive/tar_writer.h"
#include "oci/json_fields.h"
#include "oci/layer.h"
#include "oci/layout_index.h"
#include "oci/pending_file.h"

namespace imagebuild::oci {

namespace {

using archive::Node;
using archive::NodeType;
using archive::TarWriter;
using Opener = std::function<Result<std::unique_ptr<ByteSource>>()>;

Status add_file(TarWriter& tar, std::string path, std::uint64_t size_bytes, ByteSource& content) {
  Node node;
  node.path = std::move(path);
  node.mode = 0644;
  node.size_bytes = size_bytes;
  return tar.add(node, &content);
}

Status add_text(TarWriter& tar, std::string path, std::string text) {
  const std::uint64_t size_bytes = text.size();
  StringSource content(std::move(text));
  return add_file(tar, std::move(path), size_bytes, content);
}

Status add_folder(TarWriter& tar, std::string path) {
  Node node;
  node.path = std::move(path);
  node.type = NodeType::kDirectory;
  node.mode = 0755;
  return tar.add(node, nullptr);
}

// What lies below blobs/sha256/, by digest: each blob once, in an order that does not depend on the images'.
class BlobFolder {
 public:
  void add_text(const Descriptor& blob, const std::string& text) {
    blobs_.emplace(blob.digest, Blob{blob, [&text]() -> Result<std::unique_ptr<ByteSource>> {
                                       return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(text));
                                     }});
  }

  // Refers to `image` from now on. Returns the manifest's descriptor.
  Result<Descriptor> add(const ImageContent& image) {
    ASSIGN_OR_RETURN(const ResolvedImage resolved, assemble_image(image.manifest_json, image.config_json));
    add_text(resolved.descriptor, image.manifest_json);
    add_text(resolved.manifest.config, image.config_json);
    for (const Descriptor& layer : resolved.manifest.layers) {
      blobs_.emplace(layer.digest, Blob{layer, [&image, layer] { return image.open_layer(layer); }});
    }
    return resolved.descriptor;
  }

  Status write(TarWriter& tar) const {
    RETURN_IF_ERROR(add_folder(tar, "blobs"));
    RETURN_IF_ERROR(add_folder(tar, "blobs/sha256"));
    for (const auto& [digest, blob] : blobs_) {
      ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> content, blob.open());
      const std::uint64_t size_bytes = blob.descriptor.size_bytes;
      const std::unique_ptr<ByteSource> checked = verified(std::move(content), digest, size_bytes);
      RETURN_IF_ERROR(add_file(tar, "blobs/sha256/" + std::string(digest.hex()), size_bytes, *checked));
    }
    return ok();
  }

 private:
  struct Blob {
    Descriptor descriptor;
    Opener open;
  };
  std::map<Digest, Blob> blobs_;
};

Status write_layout_tar(const std::filesystem::path& path, const BlobFolder& blobs, std::string index) {
  ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(path));
  TarWriter tar(file);
  RETURN_IF_ERROR(blobs.write(tar).in(path.string()));
  RETURN_IF_ERROR(add_text(tar, "index.json", std::move(index)).in(path.string()));
  RETURN_IF_ERROR(add_text(tar, "oci-layout", layout_marker()).in(path.string()));
  RETURN_IF_ERROR(tar.finish().in(path.string()));
  return file.commit();
}

// The uncompressed, verified tar of a layer.
Result<std::unique_ptr<ByteSource>> open_tar(const ImageContent& image, const Descriptor& layer,
                                             const Digest& diff_id) {
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> blob, image.open_layer(layer));
  return open_layer(verified(std::move(blob), layer.digest, layer.size_bytes), layer.media_type, diff_id);
}

class NullSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte>) override { return ok(); }
};

Result<std::uint64_t> tar_size(const ImageContent& image, const Descriptor& layer, const Digest& diff_id) {
  ASSIGN_OR_RETURN(const archive::Compression compression, layer_compression(layer.media_type));
  if (compression == archive::Compression::kNone) return layer.size_bytes;
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> tar, open_tar(image, layer, diff_id));
  NullSink nowhere;
  return copy_stream(*tar, nowhere);
}

std::string layer_name(const Digest& diff_id) {
  return std::string(diff_id.hex()) + ".tar";
}
std::string config_name(const Digest& digest) {
  return std::string(digest.hex()) + ".json";
}

std::string docker_manifest(const ResolvedImage& resolved, const std::vector<Reference>& names) {
  Json tags = Json::array();
  for (const Reference& name : names) {
    const std::string tag = name.with_tag(name.tag().empty() ? "latest" : name.tag()).familiar();
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
  }
  Json layers = Json::array();
  for (const Digest& diff_id : resolved.config.diff_ids) layers.push_back(layer_name(diff_id));
  const Json image = {{"Config", config_name(resolved.manifest.config.digest)},
                      {"RepoTags", std::move(tags)},
                      {"Layers", std::move(layers)}};
  return json_text(Json::array({image}));
}

Status add_docker_layers(TarWriter& tar, const ResolvedImage& resolved, const ImageContent& image) {
  std::set<Digest> written;
  for (std::size_t i = 0; i < resolved.manifest.layers.size(); ++i) {
    const Descriptor& layer = resolved.manifest.layers[i];
    const Digest& diff_id = resolved.config.diff_ids[i];
    if (!written.insert(diff_id).second) continue;
    ASSIGN_OR_RETURN(const std::uint64_t size_bytes, tar_size(image, layer, diff_id));
    ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> content, open_tar(image, layer, diff_id));
    RETURN_IF_ERROR(add_file(tar, layer_name(diff_id), size_bytes, *content));
    // The last bytes need not be the end: only the read after them compares the DiffID.
    std::byte probe{};
    RETURN_IF_ERROR(content->read(std::span(&probe, 1)));
  }
  return ok();
}

}  // namespace

Result<Descriptor> write_oci_archive(const std::filesystem::path& path, const ImageContent& image) {
  BlobFolder blobs;
  ASSIGN_OR_RETURN(Descriptor descriptor, blobs.add(image));
  ASSIGN_OR_RETURN(std::string index, add_to_index("", descriptor, image.names));
  RETURN_IF_ERROR(write_layout_tar(path, blobs, std::move(index)));
  return descriptor;
}

Status write_oci_archive(const std::filesystem::path& path, const std::vector<NamedContent>& contents) {
  BlobFolder blobs;
  std::string index;
  for (const NamedContent& content : contents) {
    std::optional<Descriptor> root;
    for (const ImageContent& image : content.images) {
      ASSIGN_OR_RETURN(root, blobs.add(image));
    }
    if (!content.index_json.empty()) {
      ASSIGN_OR_RETURN(root, describe_index(content.index_json));
      blobs.add_text(*root, content.index_json);
    }
    ASSIGN_OR_RETURN(index, add_to_index(index, *root, content.names));
  }
  return write_layout_tar(path, blobs, std::move(index));
}

Result<Descriptor> write_docker_archive(const std::filesystem::path& path, const ImageContent& image) {
  ASSIGN_OR_RETURN(const ResolvedImage resolved, assemble_image(image.manifest_json, image.config_json));
  ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(path));
  TarWriter tar(file);
  RETURN_IF_ERROR(add_text(tar, "manifest.json", docker_manifest(resolved, image.names)).in(path.string()));
  RETURN_IF_ERROR(add_text(tar, config_name(resolved.manifest.config.digest), image.config_json).in(path.string()));
  RETURN_IF_ERROR(add_docker_layers(tar, resolved, image).in(path.string()));
  RETURN_IF_ERROR(tar.finish().in(path.string()));
  RETURN_IF_ERROR(file.commit());
  return resolved.descriptor;
}

}  // namespace imagebuild::oci
