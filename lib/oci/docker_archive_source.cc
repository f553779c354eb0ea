// Reads an image of a docker-archive (what "docker save" writes): manifest.json names the config and the layers.
#include <algorithm>
#include <array>
#include <map>

#include "oci/image_source.h"
#include "oci/json_fields.h"
#include "oci/layer.h"
#include "oci/member_files.h"

namespace imagebuild::oci {

namespace {

constexpr std::size_t kMaxNamesShown = 10;

struct SavedImage {
  std::string config;               // The member that holds the config.
  std::vector<std::string> tags;    // "alpine:latest"
  std::vector<std::string> layers;  // The members, lowest layer first.
};

Result<std::vector<SavedImage>> parse_saved_images(const std::string& text) {
  const Json document = Json::parse(text, nullptr, false);
  if (!document.is_array()) return Error{ErrorCode::kCorrupt, "manifest.json is not a JSON list"};
  std::vector<SavedImage> images;
  for (const Json& item : document) {
    ASSIGN_OR_RETURN(const JsonFields fields,
                     JsonFields::of(item, "manifest.json[" + std::to_string(images.size()) + "]"));
    SavedImage image;
    ASSIGN_OR_RETURN(image.config, fields.text("Config"));
    ASSIGN_OR_RETURN(image.tags, fields.texts("RepoTags"));
    ASSIGN_OR_RETURN(image.layers, fields.texts("Layers"));
    if (image.config.empty()) return fields.wrong("Config", "the name of a file, but it is missing");
    images.push_back(std::move(image));
  }
  return images;
}

bool same_name(const std::string& tag, const std::string& name) {
  if (tag == name) return true;
  const Result<Reference> a = Reference::parse(tag);
  const Result<Reference> b = Reference::parse(name);
  return a.ok() && b.ok() && *a == *b;
}

std::string list_tags(const std::vector<SavedImage>& images) {
  std::string text;
  std::size_t shown = 0;
  for (const SavedImage& image : images) {
    for (const std::string& tag : image.tags) {
      if (shown == kMaxNamesShown) return text + " and more";
      text += (shown++ == 0 ? "it has " : ", ") + tag;
    }
  }
  return shown == 0 ? "its images have no names" : text;
}

Result<SavedImage> choose(const std::vector<SavedImage>& images, const std::string& name) {
  if (images.empty()) return Error{ErrorCode::kNotFound, "there is no image in it"};
  if (name.empty()) {
    if (images.size() == 1) return images.front();
    return Error{ErrorCode::kInvalidInput, "there are several images in it, name one: " + list_tags(images)};
  }
  for (const SavedImage& image : images) {
    const auto fits = [&](const std::string& tag) { return same_name(tag, name); };
    if (std::any_of(image.tags.begin(), image.tags.end(), fits)) return image;
  }
  return Error{ErrorCode::kNotFound, "there is no image '" + name + "' in it; " + list_tags(images)};
}

class NullSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte>) override { return ok(); }
};

Result<Digest> digest_of(const MemberFiles& files, const std::string& path) {
  ASSIGN_OR_RETURN(const Member member, files.open(path));
  NullSink nowhere;
  HashingSink hashing(nowhere);
  RETURN_IF_ERROR(copy_stream(*member.content, hashing));
  return hashing.finish();
}

// An uncompressed layer's digest is its DiffID, which the config says: the layer need not be read to be described.
// Tools that save compressed layers exist; those are read once.
Result<Descriptor> describe_layer(const MemberFiles& files, const std::string& path, const Digest& diff_id) {
  ASSIGN_OR_RETURN(const Member member, files.open(path));
  std::array<std::byte, 16> start{};
  std::size_t have = 0;
  while (have < start.size()) {
    ASSIGN_OR_RETURN(const std::size_t count, member.content->read(std::span(start).subspan(have)));
    if (count == 0) break;
    have += count;
  }
  const archive::Compression compression = archive::detect_compression(std::span(start).first(have));
  Descriptor layer{
      .media_type = std::string(layer_media_type(compression)), .digest = diff_id, .size_bytes = member.size_bytes};
  if (compression != archive::Compression::kNone) {
    ASSIGN_OR_RETURN(layer.digest, digest_of(files, path));
  }
  return layer;
}

class DockerArchiveSource final : public ImageSource {
 public:
  DockerArchiveSource(std::unique_ptr<MemberFiles> files, std::string where, ResolvedImage image,
                      std::map<Digest, std::string> members)
      : files_(std::move(files)), where_(std::move(where)), image_(std::move(image)), members_(std::move(members)) {}

  Result<ResolvedImage> resolve(const Platform&) override { return image_; }

  Result<std::unique_ptr<ByteSource>> open_blob(const Descriptor& blob) override {
    const auto found = members_.find(blob.digest);
    if (found == members_.end()) return Error{ErrorCode::kNotFound, where_ + " has no blob " + blob.digest.str()};
    ASSIGN_OR_RETURN(Member member, files_->open(found->second).in(where_));
    return verified(std::move(member.content), blob.digest, blob.size_bytes);
  }

 private:
  std::unique_ptr<MemberFiles> files_;
  std::string where_;
  ResolvedImage image_;
  std::map<Digest, std::string> members_;  // Where each blob lies.
};

Result<std::unique_ptr<ImageSource>> open_saved_image(std::unique_ptr<MemberFiles> files, const std::string& where,
                                                      const std::string& name) {
  Result<std::string> listing = files->read("manifest.json", kMaxManifestBytes);
  if (!listing.ok() && listing.error().code == ErrorCode::kNotFound) {
    return Error{ErrorCode::kInvalidInput, "it is not a docker-archive: it has no manifest.json"};
  }
  if (!listing.ok()) return listing.error();
  ASSIGN_OR_RETURN(const std::vector<SavedImage> images, parse_saved_images(*listing));
  ASSIGN_OR_RETURN(const SavedImage saved, choose(images, name));
  ASSIGN_OR_RETURN(std::string config_json, files->read(saved.config, kMaxManifestBytes));
  ASSIGN_OR_RETURN(const ImageConfig config, ImageConfig::parse(config_json).in(saved.config));
  if (config.diff_ids.size() != saved.layers.size()) {
    return Error{ErrorCode::kCorrupt, "manifest.json lists " + std::to_string(saved.layers.size()) + " layers but " +
                                          saved.config + " " + std::to_string(config.diff_ids.size())};
  }
  Descriptor config_blob{.media_type = std::string(media_type::kOciConfig),
                         .digest = Digest::of(config_json),
                         .size_bytes = config_json.size()};
  std::map<Digest, std::string> members{{config_blob.digest, saved.config}};
  Manifest manifest{.media_type = std::string(media_type::kOciManifest), .config = std::move(config_blob)};
  for (std::size_t i = 0; i < saved.layers.size(); ++i) {
    ASSIGN_OR_RETURN(Descriptor layer, describe_layer(*files, saved.layers[i], config.diff_ids[i]));
    members.emplace(layer.digest, saved.layers[i]);
    manifest.layers.push_back(std::move(layer));
  }
  ASSIGN_OR_RETURN(ResolvedImage image, assemble_image(manifest.json(), std::move(config_json)));
  return std::unique_ptr<ImageSource>(
      std::make_unique<DockerArchiveSource>(std::move(files), where, std::move(image), std::move(members)));
}

}  // namespace

Result<std::unique_ptr<ImageSource>> open_docker_archive(const std::filesystem::path& file, const std::string& name) {
  ASSIGN_OR_RETURN(std::unique_ptr<MemberFiles> files, open_tar_members(file));
  return open_saved_image(std::move(files), file.string(), name).in(file.string());
}

}  // namespace imagebuild::oci
