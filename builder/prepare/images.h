// Opens the images that a Dockerfile names: from registries, OCI layouts and archives.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "oci/image_source.h"
#include "registry/client.h"

namespace imagebuild::builder {

// An image of a registry; `client` must outlive it. Reading it ends with kCancelled soon after `stop` is requested.
std::unique_ptr<oci::ImageSource> registry_image(registry::Client& client, oci::Reference reference,
                                                 std::stop_token stop = {});

// `name` as FROM, COPY --from or BaseImage::reference has it: an image reference (perhaps with docker-image:// before
// it), oci-layout://FOLDER[:NAME|@DIGEST], oci-archive://FILE[:NAME|@DIGEST] or docker-archive://FILE[:NAME].
Result<std::unique_ptr<oci::ImageSource>> open_image(registry::Client& client, const std::string& name,
                                                     std::stop_token stop = {});

// The pinned form of `name` for BaseImage::reference: opening it again gives the same image.
Result<std::string> pin(const std::string& name, const oci::Digest& digest);

}  // namespace imagebuild::builder
