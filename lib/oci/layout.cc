#include "oci/layout.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "oci/layout_index.h"
#include "oci/pending_file.h"

namespace imagebuild::oci {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxMarkerBytes = 4096;

Status write_whole(int folder_fd, const std::string& name, std::string_view content) {
  ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(folder_fd, name));
  RETURN_IF_ERROR(file.write(as_bytes(content)));
  return file.commit();
}

// A regular file right in the folder; empty text if there is none.
Result<std::string> read_optional(int folder_fd, const std::string& name, std::uint64_t max_bytes) {
  UniqueFd fd(::openat(folder_fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return std::string();
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return system_error(name, errno);
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::kCorrupt, name + " is not a regular file"};
  FileSource source(std::move(fd));
  return read_all(source, max_bytes).in(name);
}

Result<UniqueFd> make_folder(int parent_fd, const char* name) {
  if (::mkdirat(parent_fd, name, 0777) != 0 && errno != EEXIST) return system_error(name, errno);
  UniqueFd fd(::openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.valid()) return fd;
  if (errno == ELOOP || errno == ENOTDIR)
    return Error{ErrorCode::kCorrupt, std::string(name) + " is not a folder (symlinks are not followed)"};
  return system_error(name, errno);
}

Result<bool> folder_is_empty(const fs::path& folder) {
  std::error_code error;
  const bool empty = fs::is_empty(folder, error);
  if (error) return system_error(folder.string(), error.value());
  return empty;
}

}  // namespace

Result<LayoutWriter> LayoutWriter::open(const fs::path& folder) {
  LayoutWriter writer;
  // "out/" and "out" are the same folder, but only the second can be renamed onto.
  writer.folder_ = folder.has_filename() ? folder : folder.parent_path();
  fs::path place = writer.folder_;
  std::error_code error;
  if (!fs::exists(fs::symlink_status(place, error))) {
    const fs::path parent = place.has_parent_path() ? place.parent_path() : fs::path(".");
    RETURN_IF_ERROR(open_file(parent, O_RDONLY | O_DIRECTORY));
    ASSIGN_OR_RETURN(writer.unpublished_, TempDir::create(".imagebuild-", parent));
    place = writer.unpublished_->path();
  }
  ASSIGN_OR_RETURN(writer.root_, open_file(place, O_RDONLY | O_DIRECTORY));
  const std::string where = writer.folder_.string();
  ASSIGN_OR_RETURN(const std::string marker,
                   read_optional(writer.root_.get(), "oci-layout", kMaxMarkerBytes).in(where));
  if (!marker.empty()) {
    RETURN_IF_ERROR(check_layout_marker(marker).in(where));
  } else {
    ASSIGN_OR_RETURN(const bool empty, folder_is_empty(place));
    if (!empty)
      return Error{ErrorCode::kInvalidInput,
                   where + " has files in it but is not an OCI layout; name a new or empty folder"};
    RETURN_IF_ERROR(write_whole(writer.root_.get(), "oci-layout", layout_marker()).in(where));
  }
  ASSIGN_OR_RETURN(const UniqueFd blobs, make_folder(writer.root_.get(), "blobs").in(where));
  ASSIGN_OR_RETURN(writer.blobs_, make_folder(blobs.get(), "sha256").in(where + "/blobs"));
  return writer;
}

bool LayoutWriter::has_blob(const Descriptor& blob) const {
  struct stat status {};
  const std::string name(blob.digest.hex());
  return ::fstatat(blobs_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
         static_cast<std::uint64_t>(status.st_size) == blob.size_bytes;
}

Status LayoutWriter::put_blob(const Descriptor& blob, std::unique_ptr<ByteSource> content) {
  if (has_blob(blob)) return ok();
  const std::string where = folder_.string();
  ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(blobs_.get(), std::string(blob.digest.hex())).in(where));
  const std::unique_ptr<ByteSource> checked = verified(std::move(content), blob.digest, blob.size_bytes);
  RETURN_IF_ERROR(copy_stream(*checked, file).in(where));
  return file.commit().in(where);
}

Status LayoutWriter::put_blob(const Descriptor& blob, std::string_view content) {
  return put_blob(blob, std::make_unique<StringSource>(std::string(content)));
}

Status LayoutWriter::add_image(const Descriptor& manifest, const std::vector<Reference>& names) {
  return add_images({NamedImage{manifest, names}});
}

Status LayoutWriter::add_images(const std::vector<NamedImage>& images) {
  const std::string where = folder_.string();
  // The lock belongs to the folder's open file and goes with it, so that a killed writer holds nobody up.
  UniqueFd lock(::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) return system_error(where, errno);
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return system_error("cannot lock " + where, errno);
  }
  ASSIGN_OR_RETURN(std::string index, read_optional(root_.get(), "index.json", kMaxManifestBytes).in(where));
  for (const NamedImage& image : images) {
    ASSIGN_OR_RETURN(index, add_to_index(index, image.descriptor, image.names).in(where + "/index.json"));
  }
  RETURN_IF_ERROR(write_whole(root_.get(), "index.json", index).in(where));
  return publish();
}

Status LayoutWriter::publish() {
  if (!unpublished_) return ok();
  if (::fchmod(root_.get(), 0755) != 0) return system_error("chmod", errno);  // TempDir made it private.
  if (::rename(unpublished_->path().c_str(), folder_.c_str()) != 0)
    return system_error("cannot create " + folder_.string(), errno);
  unpublished_.reset();
  return ok();
}

namespace {

Result<Descriptor> put_image(LayoutWriter& writer, const ImageContent& image) {
  ASSIGN_OR_RETURN(const ResolvedImage resolved, assemble_image(image.manifest_json, image.config_json));
  for (const Descriptor& layer : resolved.manifest.layers) {
    if (writer.has_blob(layer)) continue;
    ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> content, image.open_layer(layer));
    RETURN_IF_ERROR(writer.put_blob(layer, std::move(content)));
  }
  RETURN_IF_ERROR(writer.put_blob(resolved.manifest.config, image.config_json));
  RETURN_IF_ERROR(writer.put_blob(resolved.descriptor, image.manifest_json));
  return resolved.descriptor;
}

}  // namespace

Result<Descriptor> write_oci_layout(const fs::path& folder, const ImageContent& image) {
  RETURN_IF_ERROR(assemble_image(image.manifest_json, image.config_json));
  ASSIGN_OR_RETURN(LayoutWriter writer, LayoutWriter::open(folder));
  ASSIGN_OR_RETURN(Descriptor descriptor, put_image(writer, image));
  RETURN_IF_ERROR(writer.add_image(descriptor, image.names));
  return descriptor;
}

Status write_oci_layout(const fs::path& folder, const std::vector<NamedContent>& contents) {
  ASSIGN_OR_RETURN(LayoutWriter writer, LayoutWriter::open(folder));
  std::vector<NamedImage> entries;
  for (const NamedContent& content : contents) {
    std::optional<Descriptor> root;
    for (const ImageContent& image : content.images) {
      ASSIGN_OR_RETURN(root, put_image(writer, image));
    }
    if (!content.index_json.empty()) {
      ASSIGN_OR_RETURN(root, describe_index(content.index_json));
      RETURN_IF_ERROR(writer.put_blob(*root, content.index_json));
    }
    entries.push_back(NamedImage{std::move(*root), content.names});
  }
  return writer.add_images(entries);
}

}  // namespace imagebuild::oci
