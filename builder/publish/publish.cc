#include "builder/publish/publish.h"

#include <fcntl.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/file.h"
#include "builder/publish/image_checks.h"
#include "oci/image_archive.h"
#include "oci/layout.h"
#include "registry/client.h"
#include "registry/copy.h"

namespace imagebuild::builder {

namespace {

constexpr std::size_t kTransfersAtOnce = 4;

// Opens the blobs of an image for one platform, wherever they lie.
class Blobs {
 public:
  Blobs(const api::Plan& plan, int stage, const std::filesystem::path& volume, const OpenImage& open_image)
      : base_(api::root_image(plan, stage)), volume_(volume), open_image_(open_image) {}

  const api::BaseImage* base() const { return base_; }

  Result<std::unique_ptr<ByteSource>> open(const ImageLayer& layer, std::uint64_t offset = 0) const {
    if (!layer.file.empty()) {
      ASSIGN_OR_RETURN(UniqueFd file, open_file(volume_ / layer.file, O_RDONLY));
      return std::unique_ptr<ByteSource>(std::make_unique<FileSource>(std::move(file), offset));
    }
    ASSIGN_OR_RETURN(const std::shared_ptr<oci::ImageSource> image, open_image_(base_->reference));
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> blob, image->open_blob(layer.original));
    return skip(std::make_unique<Owning>(image, std::move(blob)), offset);
  }

 private:
  // A blob that keeps its image open.
  class Owning final : public ByteSource {
   public:
    Owning(std::shared_ptr<oci::ImageSource> image, std::unique_ptr<ByteSource> blob)
        : image_(std::move(image)), blob_(std::move(blob)) {}
    Result<std::size_t> read(std::span<std::byte> buffer) override { return blob_->read(buffer); }

   private:
    std::shared_ptr<oci::ImageSource> image_;
    std::unique_ptr<ByteSource> blob_;
  };

  static Result<std::unique_ptr<ByteSource>> skip(std::unique_ptr<ByteSource> source, std::uint64_t count) {
    std::vector<std::byte> buffer(64 * 1024);
    while (count > 0) {
      const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count, buffer.size()));
      ASSIGN_OR_RETURN(const std::size_t got, source->read(std::span(buffer).first(wanted)));
      if (got == 0) return Error{ErrorCode::kCorrupt, "a blob of the base image is shorter than it should be"};
      count -= got;
    }
    return source;
  }

  const api::BaseImage* base_;
  const std::filesystem::path& volume_;
  const OpenImage& open_image_;
};

// The base's repository, if the base came from a registry.
std::optional<oci::Reference> base_repository(const api::BaseImage* base) {
  if (base == nullptr || base->reference.find("://") != std::string::npos) return std::nullopt;
  Result<oci::Reference> reference = oci::Reference::parse(base->reference);
  return reference.ok() ? std::optional(std::move(*reference)) : std::nullopt;
}

Status push_layer(registry::Client& client, const oci::Reference& to, const ImageLayer& layer, const Blobs& blobs,
                  const std::optional<oci::Reference>& base, std::stop_token stop) {
  if (layer.file.empty() && base) {
    const auto copied = registry::copy_blob(client, *base, to, layer.original, stop);
    return copied.ok() ? ok() : Status(copied.error());
  }
  const auto pushed = client.push_blob(
      to, layer.blob, [&](std::uint64_t offset) { return blobs.open(layer, offset); }, {}, stop);
  return pushed.ok() ? ok() : Status(pushed.error());
}

// A manifest or index under its own digest, or under a tag.
Status push_document(registry::Client& client, const oci::Reference& to, const oci::Descriptor& document,
                     const std::string& json, std::stop_token stop) {
  ASSIGN_OR_RETURN(const oci::Digest digest, client.push_manifest(to, document.media_type, json, std::move(stop)));
  if (digest == document.digest) return ok();
  return Error{ErrorCode::kCorrupt, "registry " + to.registry() + " stored another manifest than was pushed"};
}

// `to` without a tag, at that digest.
Result<oci::Reference> by_digest(const oci::Reference& to, const oci::Digest& digest) {
  return oci::Reference::parse(to.registry() + "/" + to.repository() + "@" + digest.str());
}

// The images of a build with what opens their blobs.
class Delivery {
 public:
  Delivery(const api::Plan& plan, const PublishRequest& request, const OpenImage& open_image,
           const std::vector<Published>& images, registry::Client& client, std::stop_token stop)
      : request_(request), images_(images), client_(client), stop_(std::move(stop)) {
    for (const Published& image : images) {
      std::vector<Blobs>& blobs = blobs_.emplace_back();
      for (const PlatformImage& platform : image.platforms) {
        blobs.emplace_back(plan, platform.stage, request.volume, open_image);
      }
    }
  }

  Status to(const Output& output) const {
    switch (output.kind) {
      case Output::Kind::kRegistry:
        return push();
      case Output::Kind::kOciLayout:
        return oci::write_oci_layout(output.destination, contents());
      case Output::Kind::kOciArchive:
        return oci::write_oci_archive(output.destination, contents());
      case Output::Kind::kDockerArchive: {
        const auto written = oci::write_docker_archive(output.destination, contents().front().images.front());
        return written.ok() ? ok() : Status(written.error());
      }
    }
    return ok();
  }

 private:
  const std::vector<oci::Reference>& tags_of(const Published& image) const {
    static const std::vector<oci::Reference> kNone;
    const auto found = request_.tags.find(image.target);
    return found == request_.tags.end() ? kNone : found->second;
  }

  // What the writers of layouts and archives take; refers to this object.
  std::vector<oci::NamedContent> contents() const {
    std::vector<oci::NamedContent> contents;
    for (std::size_t i = 0; i < images_.size(); ++i) {
      oci::NamedContent content{tags_of(images_[i]), images_[i].index_json, {}};
      for (std::size_t j = 0; j < images_[i].platforms.size(); ++j) {
        content.images.push_back(content_of(images_[i].platforms[j], blobs_[i][j], content.names));
      }
      contents.push_back(std::move(content));
    }
    return contents;
  }

  static oci::ImageContent content_of(const PlatformImage& image, const Blobs& blobs,
                                      const std::vector<oci::Reference>& names) {
    return oci::ImageContent{image.manifest_json, image.config_json, names,
                             [&](const oci::Descriptor& blob) -> Result<std::unique_ptr<ByteSource>> {
                               for (const ImageLayer& layer : image.layers) {
                                 if (layer.blob.digest == blob.digest) return blobs.open(layer);
                               }
                               return Error{ErrorCode::kInternal, "the image has no layer " + blob.digest.str()};
                             }};
  }

  Status push() const {
    for (std::size_t i = 0; i < images_.size(); ++i) {
      std::map<std::pair<std::string, std::string>, std::vector<oci::Reference>> by_repository;
      for (const oci::Reference& tag : tags_of(images_[i])) {
        by_repository[{tag.registry(), tag.repository()}].push_back(tag);
      }
      for (const auto& [repository, its_tags] : by_repository) {
        RETURN_IF_ERROR(push_repository(its_tags, images_[i], blobs_[i]));
      }
    }
    return ok();
  }

  // Blobs first, in parallel; then the manifests, and last what the tags name, so that a tag never names an image with
  // holes.
  Status push_repository(const std::vector<oci::Reference>& tags, const Published& image,
                         const std::vector<Blobs>& blobs) const {
    const oci::Reference& to = tags.front();
    RETURN_IF_ERROR(push_blobs(to, image, blobs));
    if (image.is_index()) {
      for (const PlatformImage& platform : image.platforms) {
        ASSIGN_OR_RETURN(const oci::Reference at, by_digest(to, platform.descriptor.digest));
        RETURN_IF_ERROR(push_document(client_, at, platform.descriptor, platform.manifest_json, stop_));
      }
    }
    const std::string& json = image.is_index() ? image.index_json : image.platforms.front().manifest_json;
    for (const oci::Reference& tag : tags) {
      RETURN_IF_ERROR(push_document(client_, tag, image.descriptor, json, stop_));
    }
    return ok();
  }

  Status push_blobs(const oci::Reference& to, const Published& image, const std::vector<Blobs>& blobs) const {
    std::vector<registry::Transfer> transfers;
    std::set<oci::Digest> seen;
    for (std::size_t i = 0; i < image.platforms.size(); ++i) {
      const PlatformImage& platform = image.platforms[i];
      const std::optional<oci::Reference> base = base_repository(blobs[i].base());
      for (const ImageLayer& layer : platform.layers) {
        if (!seen.insert(layer.blob.digest).second) continue;
        transfers.emplace_back([this, &to, &layer, &its = blobs[i], base](std::stop_token token) {
          return push_layer(client_, to, layer, its, base, std::move(token));
        });
      }
      if (!seen.insert(platform.manifest.config.digest).second) continue;
      transfers.emplace_back(
          [this, &to, &platform](std::stop_token token) { return push_config(to, platform, std::move(token)); });
    }
    return registry::run_parallel(std::move(transfers), kTransfersAtOnce, stop_);
  }

  Status push_config(const oci::Reference& to, const PlatformImage& image, std::stop_token token) const {
    const auto pushed = client_.push_blob(
        to, image.manifest.config,
        [&](std::uint64_t offset) -> Result<std::unique_ptr<ByteSource>> {
          return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(image.config_json.substr(offset)));
        },
        {}, std::move(token));
    return pushed.ok() ? ok() : Status(pushed.error());
  }

  const PublishRequest& request_;
  const std::vector<Published>& images_;
  registry::Client& client_;
  std::stop_token stop_;
  std::vector<std::vector<Blobs>> blobs_;  // As `images_` and their platforms.
};

}  // namespace

Status check_outputs(const api::Plan& plan, const std::vector<Output>& outputs) {
  const bool has_archive =
      std::ranges::any_of(outputs, [](const Output& output) { return output.kind == Output::Kind::kDockerArchive; });
  if (plan.targets.size() == 1 || !has_archive) return ok();
  return Error{ErrorCode::kInvalidInput, "a Docker archive holds one image for one platform, but this build makes " +
                                             std::to_string(plan.targets.size()) +
                                             "; write them with --output type=oci-archive,dest=FILE"};
}

Result<std::vector<Published>> publish(const api::Plan& plan, const PublishRequest& request,
                                       const OpenImage& open_image, registry::Client& client, std::stop_token stop) {
  RETURN_IF_ERROR(check_outputs(plan, request.outputs));
  ASSIGN_OR_RETURN(std::vector<Published> images, assemble(plan, request.reports, request.annotations));
  for (Published& image : images) image.warnings = image_warnings(plan, image, request.reports, request.volume);
  const Delivery delivery(plan, request, open_image, images, client, std::move(stop));
  for (const Output& output : request.outputs) RETURN_IF_ERROR(delivery.to(output));
  return images;
}

}  // namespace imagebuild::builder
