// Operating system, CPU architecture and its variant (OCI image-spec, image-index.md#platform).
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imagebuild::oci {

class Platform {
 public:
  // "linux/arm64", "linux/arm/v7", "arm64" (then the OS is linux); normalised as containerd does: aarch64 → arm64,
  // x86_64 → amd64, arm → arm/v7, arm64/v8 → arm64. Anything that is not such a name is kInvalidInput.
  static Result<Platform> parse(std::string_view text);
  // The same from the members of an index or a config, which may name systems this program has never heard of
  // ("unknown/unknown" marks an attestation). Only characters that no name has are kInvalidInput.
  static Result<Platform> from_parts(std::string_view os, std::string_view architecture, std::string_view variant);
  // The platform this program was compiled for.
  static Platform host();

  const std::string& os() const { return os_; }
  const std::string& architecture() const { return architecture_; }
  const std::string& variant() const { return variant_; }  // Empty where there is none.
  std::string str() const;                                 // "linux/arm/v7"
  // Whether an image for `image` runs on this platform (an image without a variant runs on every variant).
  bool accepts(const Platform& image) const { return fit(image).has_value(); }
  // How well an image for `image` suits this platform, bigger being better; nothing if it does not run here. As with
  // containerd older variants do run (arm/v6 on arm/v7, amd64 on amd64/v3), and last 386 on amd64 and arm on arm64.
  std::optional<int> fit(const Platform& image) const;
  auto operator<=>(const Platform&) const = default;

 private:
  Platform() = default;
  std::string os_, architecture_, variant_;
};

}  // namespace imagebuild::oci
