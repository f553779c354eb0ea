// Reads the image of an OCI layout, from a folder or from a tar of one.
#include <optional>

#include "oci/image_source.h"
#include "oci/layout_index.h"
#include "oci/member_files.h"

namespace imagebuild::oci {

namespace {

constexpr std::uint64_t kMaxMarkerBytes = 4096;
constexpr int kMaxDepth = 4;  // Of indexes in indexes.

class LayoutSource final : public ImageSource {
 public:
  LayoutSource(std::unique_ptr<MemberFiles> files, std::string where, std::string name)
      : files_(std::move(files)), where_(std::move(where)), name_(std::move(name)) {}

  // Whether this is a layout at all; the image is looked for by resolve().
  Status check() const {
    const Result<std::string> marker = files_->read("oci-layout", kMaxMarkerBytes);
    if (!marker.ok() && marker.error().code == ErrorCode::kNotFound) {
      return Error{ErrorCode::kInvalidInput, where_ + " is not an OCI layout: it has no file oci-layout"};
    }
    if (!marker.ok()) return marker.error();
    return check_layout_marker(*marker).in(where_);
  }

  Result<ResolvedImage> resolve(const Platform& wanted) override {
    ASSIGN_OR_RETURN(const std::string text, files_->read("index.json", kMaxManifestBytes).in(where_));
    ASSIGN_OR_RETURN(const Index index, Index::parse(text).in(where_ + "/index.json"));
    ASSIGN_OR_RETURN(const Descriptor root, find(index, wanted).in(where_));
    return resolve_image(root, wanted, [this](const Descriptor& blob) { return read(blob); }).in(where_);
  }

  Result<std::unique_ptr<ByteSource>> open_blob(const Descriptor& blob) override {
    ASSIGN_OR_RETURN(Member member, files_->open("blobs/sha256/" + std::string(blob.digest.hex())).in(where_));
    if (member.size_bytes != blob.size_bytes) {
      return Error{ErrorCode::kCorrupt, where_ + ": blob " + blob.digest.str() + " has " +
                                            std::to_string(member.size_bytes) + " bytes instead of " +
                                            std::to_string(blob.size_bytes)};
    }
    return verified(std::move(member.content), blob.digest, blob.size_bytes);
  }

 private:
  Result<std::string> read(const Descriptor& blob) {
    if (blob.size_bytes > kMaxManifestBytes) {
      return Error{ErrorCode::kLimit, "blob " + blob.digest.str() + " is too large for a manifest or config: " +
                                          std::to_string(blob.size_bytes) + " bytes"};
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> content, open_blob(blob));
    return read_all(*content, kMaxManifestBytes);
  }

  // A digest may also be that of an image in an index that the layout has.
  Result<Descriptor> find(const Index& index, const Platform& wanted) {
    Result<Descriptor> found = find_in_index(index, name_, wanted);
    const Result<Digest> digest = Digest::parse(name_);
    if (found.ok() || found.error().code != ErrorCode::kNotFound || !digest.ok()) return found;
    ASSIGN_OR_RETURN(const std::optional<Descriptor> nested, find_below(index, *digest, 1));
    return nested ? Result<Descriptor>(*nested) : found;
  }

  Result<std::optional<Descriptor>> find_below(const Index& index, const Digest& digest, int depth) {
    for (const Descriptor& entry : index.manifests) {
      if (entry.digest == digest) return std::optional(entry);
      if (!media_type::is_index(entry.media_type) || depth == kMaxDepth) continue;
      ASSIGN_OR_RETURN(const std::string text, read(entry));
      ASSIGN_OR_RETURN(const Index inner, Index::parse(text).in("index " + entry.digest.str()));
      ASSIGN_OR_RETURN(std::optional<Descriptor> found, find_below(inner, digest, depth + 1));
      if (found) return found;
    }
    return std::optional<Descriptor>();
  }

  std::unique_ptr<MemberFiles> files_;
  std::string where_, name_;
};

Result<std::unique_ptr<ImageSource>> open_layout(std::unique_ptr<MemberFiles> files, const std::filesystem::path& path,
                                                 std::string name) {
  auto source = std::make_unique<LayoutSource>(std::move(files), path.string(), std::move(name));
  RETURN_IF_ERROR(source->check());
  return std::unique_ptr<ImageSource>(std::move(source));
}

}  // namespace

Result<std::unique_ptr<ImageSource>> open_oci_layout(const std::filesystem::path& folder, std::string name) {
  ASSIGN_OR_RETURN(std::unique_ptr<MemberFiles> files, open_folder_members(folder));
  return open_layout(std::move(files), folder, std::move(name));
}

Result<std::unique_ptr<ImageSource>> open_oci_archive(const std::filesystem::path& file, std::string name) {
  ASSIGN_OR_RETURN(std::unique_ptr<MemberFiles> files, open_tar_members(file));
  return open_layout(std::move(files), file, std::move(name));
}

}  // namespace imagebuild::oci
