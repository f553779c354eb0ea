// Reads the image of an OCI layout, from a folder or from a tar of one.
#include "oci/image_source.h"
#include "oci/layout_index.h"
#include "oci/member_files.h"

namespace imagebuild::oci {

namespace {

constexpr std::uint64_t kMaxMarkerBytes = 4096;

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
    ASSIGN_OR_RETURN(const Descriptor root, find_in_index(index, name_, wanted).in(where_));
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
