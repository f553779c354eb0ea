// Writes OCI image layouts (OCI image-spec, image-layout.md): a folder with oci-layout, index.json and blobs/sha256/.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/stream.h"
#include "base/unique_fd.h"
#include "oci/image_source.h"

namespace imagebuild::oci {

// What index.json gets: a manifest or an index, and its names.
struct NamedImage {
  Descriptor descriptor;
  std::vector<Reference> names;
};

// One process may write while others read: a blob gets its name when it is complete and verified, index.json changes in
// one step, and two writers do not lose each other's entries. Not thread-safe itself.
class LayoutWriter {
 public:
  // An existing layout keeps its images. A folder that does not exist appears with the first add_image() and not at all
  // if that is never reached; its parent must exist. A folder with something else in it is kInvalidInput, a symlink
  // inside the layout is kCorrupt.
  static Result<LayoutWriter> open(const std::filesystem::path& folder);

  bool has_blob(const Descriptor& blob) const;
  // Stores `content` unless the blob is there. kCorrupt if it is not what the descriptor says; then nothing is stored.
  Status put_blob(const Descriptor& blob, std::unique_ptr<ByteSource> content);
  Status put_blob(const Descriptor& blob, std::string_view content);
  // Enters a manifest (or an index) whose blobs are all stored; see add_to_index() for what happens to the others.
  Status add_image(const Descriptor& manifest, const std::vector<Reference>& names);
  // Several in one step.
  Status add_images(const std::vector<NamedImage>& images);

 private:
  LayoutWriter() = default;
  Status publish();

  std::filesystem::path folder_;
  std::optional<TempDir> unpublished_;  // Where the layout grows until the folder gets its name.
  UniqueFd root_, blobs_;
};

// Stores a whole image; returns the manifest's descriptor.
Result<Descriptor> write_oci_layout(const std::filesystem::path& folder, const ImageContent& image);
// Stores several, and indexes with their images.
Status write_oci_layout(const std::filesystem::path& folder, const std::vector<NamedContent>& contents);

}  // namespace imagebuild::oci
