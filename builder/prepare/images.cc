#include "builder/prepare/images.h"

#include <array>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "registry/pull.h"

namespace imagebuild::builder {

namespace {

constexpr std::string_view kDockerImage = "docker-image://";
constexpr std::string_view kOciLayout = "oci-layout://";
constexpr std::string_view kOciArchive = "oci-archive://";
constexpr std::string_view kDockerArchive = "docker-archive://";

class RegistryImage final : public oci::ImageSource {
 public:
  RegistryImage(registry::Client& client, oci::Reference reference, std::stop_token stop)
      : client_(client), reference_(std::move(reference)), stop_(std::move(stop)) {}

  Result<oci::ResolvedImage> resolve(const oci::Platform& wanted) override {
    ASSIGN_OR_RETURN(registry::PulledImage pulled, registry::pull_image(client_, reference_, wanted, stop_));
    return oci::ResolvedImage{std::move(pulled.descriptor), std::move(pulled.manifest),
                              std::move(pulled.manifest_bytes), std::move(pulled.config),
                              std::move(pulled.config_bytes)};
  }
  Result<std::unique_ptr<ByteSource>> open_blob(const oci::Descriptor& blob) override {
    return client_.blob(reference_, blob, stop_);
  }

 private:
  registry::Client& client_;
  oci::Reference reference_;
  std::stop_token stop_;
};

// "FOLDER[:NAME|@DIGEST]", cut after the last slash so that a colon in a folder's name does no harm.
struct LocalName {
  std::filesystem::path path;
  std::string name;
};

LocalName split_local(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  const std::size_t begin = slash == std::string_view::npos ? 0 : slash;
  const std::size_t at = text.find('@', begin);
  if (at != std::string_view::npos) {
    return LocalName{std::filesystem::path(text.substr(0, text.find(':', begin) < at ? text.find(':', begin) : at)),
                     std::string(text.substr(at + 1))};
  }
  const std::size_t colon = text.find(':', begin);
  if (colon == std::string_view::npos) return LocalName{std::filesystem::path(text), ""};
  return LocalName{std::filesystem::path(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

std::optional<std::string_view> after(std::string_view text, std::string_view scheme) {
  if (!text.starts_with(scheme)) return std::nullopt;
  return text.substr(scheme.size());
}

}  // namespace

std::unique_ptr<oci::ImageSource> registry_image(registry::Client& client, oci::Reference reference,
                                                 std::stop_token stop) {
  return std::make_unique<RegistryImage>(client, std::move(reference), std::move(stop));
}

Result<std::unique_ptr<oci::ImageSource>> open_image(registry::Client& client, const std::string& name,
                                                     std::stop_token stop) {
  if (const auto rest = after(name, kOciLayout)) {
    const LocalName local = split_local(*rest);
    return oci::open_oci_layout(local.path, local.name);
  }
  if (const auto rest = after(name, kOciArchive)) {
    const LocalName local = split_local(*rest);
    return oci::open_oci_archive(local.path, local.name);
  }
  if (const auto rest = after(name, kDockerArchive)) {
    const LocalName local = split_local(*rest);
    return oci::open_docker_archive(local.path, local.name);
  }
  ASSIGN_OR_RETURN(oci::Reference reference, oci::Reference::parse(after(name, kDockerImage).value_or(name)));
  return registry_image(client, std::move(reference), std::move(stop));
}

Result<std::string> pin(const std::string& name, const oci::Digest& digest) {
  for (const std::string_view scheme : {kOciLayout, kOciArchive}) {
    if (const auto rest = after(name, scheme)) {
      return std::string(scheme) + split_local(*rest).path.string() + "@" + digest.str();
    }
  }
  if (after(name, kDockerArchive)) return name;  // Such an archive has no digests of its own to ask for.
  ASSIGN_OR_RETURN(const oci::Reference reference, oci::Reference::parse(after(name, kDockerImage).value_or(name)));
  return reference.with_digest(digest).str();
}

}  // namespace imagebuild::builder
