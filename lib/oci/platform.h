// Operating system, CPU architecture and its variant (OCI image-spec, image-index.md#platform).
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imagebuild::oci {

class Platform {
 public:
  // "linux/arm64", "linux/arm/v7", "arm64" (then the OS is linux); normalised as containerd does: aarch64 → arm64,
  // x86_64 → amd64, arm → arm/v7, arm64/v8 → arm64. Anything that is not such a name is kInvalidInput.
  static Result<Platform> parse(std::string_view text);
  // The platform this program was compiled for.
  static Platform host();

  const std::string& os() const { return os_; }
  const std::string& architecture() const { return architecture_; }
  const std::string& variant() const { return variant_; }  // Empty where there is none.
  std::string str() const;                                 // "linux/arm/v7"
  // Whether an image for `image` runs on this platform (an image without a variant runs on every variant).
  bool accepts(const Platform& image) const;
  auto operator<=>(const Platform&) const = default;

 private:
  Platform() = default;
  std::string os_, architecture_, variant_;
};

}  // namespace imagebuild::oci
