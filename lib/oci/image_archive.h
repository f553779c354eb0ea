// Writes an image into one tar file. The same image gives the same bytes; a layer streams through; the file gets its
// name when it is complete and every blob in it was verified, and replaces a file that was there.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "oci/image_source.h"

namespace imagebuild::oci {

// A tar of an OCI layout. Returns the manifest's descriptor.
Result<Descriptor> write_oci_archive(const std::filesystem::path& file, const ImageContent& image);

// The same for several images, and for indexes with their images.
Status write_oci_archive(const std::filesystem::path& file, const std::vector<NamedContent>& contents);

// What "docker load" reads: manifest.json, the config and the layers as uncompressed tars. Since a tar says a file's
// size before its content, compressed layers are opened and unpacked twice. Returns the manifest's descriptor, which
// itself is not in the archive: Docker knows the image by its config's digest.
Result<Descriptor> write_docker_archive(const std::filesystem::path& file, const ImageContent& image);

}  // namespace imagebuild::oci
