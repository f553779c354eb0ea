#include "builder/source/named_contexts.h"

#include <algorithm>
#include <utility>

namespace imagebuild::builder {

namespace {

constexpr std::string_view kImage = "docker-image://";
constexpr std::string_view kLayout = "oci-layout://";

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidInput, std::move(message)};
}

// The name as stages have it; "alpine" and "docker.io/library/alpine:latest" are one image's.
std::string canonical_name(std::string_view text) {
  std::string name(text);
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.resize(name.size() - kLatest.size());
  for (const std::string_view prefix : {"docker.io/library/", "docker.io/"}) {
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  }
  return name;
}

}  // namespace

Result<NamedContext> parse_named_context(std::string_view text) {
  const std::string shown = "'" + std::string(text) + "'";
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return invalid(shown +
                   " has no value; it can be NAME=FOLDER, NAME=docker-image://IMAGE, NAME=oci-layout://FOLDER "
                   "or NAME=ADDRESS of a Git repository or web file");
  }
  NamedContext context{canonical_name(text.substr(0, equals)), ContextFolder{}};
  const std::string value(text.substr(equals + 1));
  if (context.name.empty()) return invalid(shown + " has no name before '='");
  if (value.empty()) return invalid(shown + " has nothing behind '='");
  if (std::ranges::any_of(context.name, [](unsigned char c) { return c <= ' ' || c == 0x7F; })) {
    return invalid(shown + " has a blank in its name");
  }
  if (value.starts_with(kImage)) {
    context.value = ContextImage{value.substr(kImage.size())};
    if (value.size() == kImage.size()) return invalid(shown + " names no image behind docker-image://");
    return context;
  }
  if (value.starts_with(kLayout)) {
    if (value.size() == kLayout.size()) return invalid(shown + " names no folder behind oci-layout://");
    context.value = ContextImage{value};
    return context;
  }
  if (value.starts_with("target:") || value.starts_with("input:")) {
    return Error{ErrorCode::kUnsupported, shown +
                                              " names the output of another build; name its image instead, with "
                                              "docker-image:// or oci-layout://"};
  }
  Result<std::optional<dockerfile::RemoteUrl>> remote = dockerfile::parse_remote(value);
  if (!remote.ok() && remote.error().code == ErrorCode::kUnsupported) {
    return Error{ErrorCode::kUnsupported, shown +
                                              " is none of what it can be: a folder, docker-image://IMAGE, "
                                              "oci-layout://FOLDER, or an address with http, https, ssh or git"};
  }
  if (!remote.ok()) return remote.error();
  if (*remote) {
    context.value = std::move(**remote);
  } else {
    context.value = ContextFolder{value};
  }
  return context;
}

std::map<std::string, std::string> images_by_name(const std::vector<NamedContext>& contexts) {
  std::map<std::string, std::string> images;
  for (const NamedContext& context : contexts) {
    const auto* image = std::get_if<ContextImage>(&context.value);
    images.insert_or_assign(context.name, image == nullptr ? "" : image->name);
  }
  return images;
}

}  // namespace imagebuild::builder
