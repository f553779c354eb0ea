// Files of an artifact volume as one manifest in a registry: a layer for each file, named by an annotation. What others
// wrote there is not trusted: only files of api/volume.h are read and written, and no symlink is followed.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/reference.h"
#include "registry/client.h"

namespace imagebuild::builder {

inline constexpr std::string_view kBundleConfigType = "application/vnd.imagebuild.artifacts.v1+json";
inline constexpr std::string_view kBundleFileType = "application/vnd.imagebuild.artifact.v1";
inline constexpr std::string_view kTitleAnnotation = "org.opencontainers.image.title";

// Whether `path` is one of the files that api/volume.h names, but for the stage program and secrets. Such a path is
// clean and relative.
bool is_artifact(std::string_view path);

// The artifacts below the volume's folders `folders` and those that are a file themselves ("plan.json"), sorted. What
// is missing or is no artifact is left out; so is whatever is not a plain file.
Result<std::vector<std::string>> artifacts_in(const std::filesystem::path& volume,
                                              const std::vector<std::string>& folders);

// Pushes those files and, at the end, the manifest under the reference's tag.
Status push_bundle(registry::Client& client, const oci::Reference& to, const std::filesystem::path& volume,
                   const std::vector<std::string>& paths, std::stop_token stop);

// Whether there is a bundle of that name.
Result<bool> has_bundle(registry::Client& client, const oci::Reference& name, std::stop_token stop);

// Pulls the bundle's files that `wanted` takes to the volume, where they replace what was there. kCorrupt for a bundle
// that was not pushed by push_bundle().
Status pull_bundle(registry::Client& client, const oci::Reference& from, const std::filesystem::path& volume,
                   const std::function<bool(const std::string& path)>& wanted, std::stop_token stop);

}  // namespace imagebuild::builder
