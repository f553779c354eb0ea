// --build-context: trees and images from elsewhere that a Dockerfile names as it names its stages.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/image_build_spec.h"
#include "base/result.h"
#include "dockerfile/remote_source.h"

namespace imagebuild::builder {

// An image, as FROM names it: "alpine:3.18", "oci-layout:///srv/base:1".
struct ContextImage {
  std::string name;
  bool operator==(const ContextImage&) const = default;
};
// A folder of this machine, or a tar file, less what its own .dockerignore excludes.
struct ContextFolder {
  std::filesystem::path path;
  bool operator==(const ContextFolder&) const = default;
};
// One of an ImageBuild's spec.contexts.
struct ContextSource {
  api::Source source;
  std::filesystem::path mounted;  // As SourcePlaces::mounted.
  std::filesystem::path secret;   // As SourcePlaces::secret.
  bool operator==(const ContextSource&) const = default;
};

struct NamedContext {
  std::string name;  // Lower case.
  // A web address is an archive, whose content is the tree, or else a tree with that one file, named "context".
  std::variant<ContextImage, ContextFolder, dockerfile::RemoteUrl, ContextSource> value;
  bool operator==(const NamedContext&) const = default;
};

// NAME=FOLDER, NAME=docker-image://IMAGE, NAME=oci-layout://FOLDER[:TAG|@DIGEST], or NAME= and an address of a Git
// repository or of a web file (dockerfile::parse_remote). kInvalidInput, kUnsupported. Nothing is touched: whether a
// folder exists shows when it is used.
Result<NamedContext> parse_named_context(std::string_view text);

// As build::SolveOptions::named_contexts wants them: the image by name, an empty text for a tree.
std::map<std::string, std::string> images_by_name(const std::vector<NamedContext>& contexts);

}  // namespace imagebuild::builder
