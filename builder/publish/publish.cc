#include "builder/publish/publish.h"

#include <fcntl.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/file.h"
#include "oci/image_archive.h"
#include "oci/layout.h"
#include "registry/client.h"
#include "registry/copy.h"

namespace imagebuild::builder {

namespace {

constexpr std::size_t kTransfersAtOnce = 4;

// Opens the image's blobs, wherever they lie.
class Blobs {
 public:
  Blobs(const api::Plan& plan, const std::filesystem::path& volume, const OpenImage& open_image)
      : base_(api::root_image(plan, plan.target)), volume_(volume), open_image_(open_image) {}

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

// Blobs first, in parallel; then the manifest under every tag, so that a tag never names an image with holes.
Status push_repository(registry::Client& client, const std::vector<oci::Reference>& tags, const Published& image,
                       const Blobs& blobs, std::stop_token stop) {
  const oci::Reference& to = tags.front();
  const std::optional<oci::Reference> base = base_repository(blobs.base());
  std::vector<registry::Transfer> transfers;
  std::set<oci::Digest> seen;
  for (const ImageLayer& layer : image.layers) {
    if (!seen.insert(layer.blob.digest).second) continue;
    transfers.emplace_back(
        [&](std::stop_token token) { return push_layer(client, to, layer, blobs, base, std::move(token)); });
  }
  transfers.emplace_back([&](std::stop_token token) -> Status {
    const auto pushed = client.push_blob(
        to, image.manifest.config,
        [&](std::uint64_t offset) -> Result<std::unique_ptr<ByteSource>> {
          return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(image.config_json.substr(offset)));
        },
        {}, std::move(token));
    return pushed.ok() ? ok() : Status(pushed.error());
  });
  RETURN_IF_ERROR(registry::run_parallel(std::move(transfers), kTransfersAtOnce, stop));
  for (const oci::Reference& tag : tags) {
    ASSIGN_OR_RETURN(const oci::Digest digest,
                     client.push_manifest(tag, image.manifest.media_type, image.manifest_json, stop));
    if (digest != image.descriptor.digest) {
      return Error{ErrorCode::kCorrupt, "registry " + tag.registry() + " stored another manifest than was pushed"};
    }
  }
  return ok();
}

Status push(registry::Client& client, const std::vector<oci::Reference>& tags, const Published& image,
            const Blobs& blobs, std::stop_token stop) {
  std::map<std::pair<std::string, std::string>, std::vector<oci::Reference>> by_repository;
  for (const oci::Reference& tag : tags) by_repository[{tag.registry(), tag.repository()}].push_back(tag);
  for (const auto& [repository, its_tags] : by_repository) {
    RETURN_IF_ERROR(push_repository(client, its_tags, image, blobs, stop));
  }
  return ok();
}

oci::ImageContent content_of(const Published& image, const std::vector<oci::Reference>& tags, const Blobs& blobs) {
  return oci::ImageContent{image.manifest_json, image.config_json, tags,
                           [&](const oci::Descriptor& blob) -> Result<std::unique_ptr<ByteSource>> {
                             for (const ImageLayer& layer : image.layers) {
                               if (layer.blob.digest == blob.digest) return blobs.open(layer);
                             }
                             return Error{ErrorCode::kInternal, "the image has no layer " + blob.digest.str()};
                           }};
}

Status deliver(const Output& output, const PublishRequest& request, const Published& image, const Blobs& blobs,
               registry::Client& client, std::stop_token stop) {
  const auto done = [](const Result<oci::Descriptor>& written) {
    return written.ok() ? ok() : Status(written.error());
  };
  switch (output.kind) {
    case Output::Kind::kRegistry:
      return push(client, request.tags, image, blobs, std::move(stop));
    case Output::Kind::kOciLayout:
      return done(oci::write_oci_layout(output.destination, content_of(image, request.tags, blobs)));
    case Output::Kind::kOciArchive:
      return done(oci::write_oci_archive(output.destination, content_of(image, request.tags, blobs)));
    case Output::Kind::kDockerArchive:
      return done(oci::write_docker_archive(output.destination, content_of(image, request.tags, blobs)));
  }
  return ok();
}

}  // namespace

Result<Published> publish(const api::Plan& plan, const PublishRequest& request, const OpenImage& open_image,
                          registry::Client& client, std::stop_token stop) {
  ASSIGN_OR_RETURN(Published image, assemble(plan, request.reports, request.annotations));
  const Blobs blobs(plan, request.volume, open_image);
  for (const Output& output : request.outputs) {
    RETURN_IF_ERROR(deliver(output, request, image, blobs, client, stop));
  }
  return image;
}

}  // namespace imagebuild::builder
