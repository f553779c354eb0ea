#include "oci/platform.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "base/nearest.h"

namespace imagebuild::oci {

namespace {

// Go's names, which OCI uses (GOOS and GOARCH).
constexpr std::array kSystems = {"linux",   "windows", "darwin", "freebsd", "netbsd", "openbsd",
                                 "solaris", "illumos", "aix",    "android", "plan9",  "dragonfly"};
constexpr std::array kArchitectures = {"amd64",    "arm64",  "arm",    "386",  "riscv64", "ppc64le", "s390x", "loong64",
                                       "mips64le", "mips64", "mipsle", "mips", "ppc64",   "riscv",   "wasm"};

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool is_name(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

struct Machine {
  std::string architecture, variant;
};

// containerd's rules: uname's and Debian's names become Go's, and a variant every machine of the kind has is left out.
Machine normalised(std::string_view architecture, std::string_view variant) {
  Machine machine{lower(architecture), lower(variant)};
  std::string& name = machine.architecture;
  std::string& kind = machine.variant;
  if (name == "i386" || name == "i486" || name == "i586" || name == "i686") return {"386", ""};
  if (name == "armhf") return {"arm", "v7"};
  if (name == "armel") return {"arm", "v6"};
  if (name == "x86_64" || name == "x86-64") name = "amd64";
  if (name == "aarch64") name = "arm64";
  if ((name == "arm" || name == "arm64") && !kind.empty() && kind.front() >= '0' && kind.front() <= '9')
    kind.insert(0, "v");
  if (name == "amd64" && kind == "v1") kind.clear();
  if (name == "arm64" && kind == "v8") kind.clear();
  if (name == "arm" && kind.empty()) kind = "v7";
  return machine;
}

// "v8.2" → 802; nothing for what is not a version.
std::optional<int> version(std::string_view variant) {
  if (!variant.starts_with('v')) return std::nullopt;
  int major = 0, minor = 0;
  bool in_minor = false, any = false;
  for (const char c : variant.substr(1)) {
    if (c == '.' && !in_minor) {
      in_minor = true;
      continue;
    }
    int& part = in_minor ? minor : major;
    if (c < '0' || c > '9' || part > 9) return std::nullopt;
    part = part * 10 + (c - '0');
    any = true;
  }
  return any ? std::optional(major * 100 + minor) : std::nullopt;
}

// The version that is meant where none is written.
std::optional<int> version_of(const std::string& architecture, const std::string& variant) {
  if (!variant.empty()) return version(variant);
  if (architecture == "amd64") return 100;
  if (architecture == "arm64") return 800;
  return std::nullopt;
}

Error invalid(std::string_view text, std::string_view why) {
  return Error{ErrorCode::kInvalidInput,
               "invalid platform '" + std::string(text.substr(0, 100)) + "': " + std::string(why)};
}

template <class Names>
std::string unknown(std::string_view what, const std::string& name, const Names& names) {
  const std::vector<std::string> candidates(names.begin(), names.end());
  std::string message = "unknown " + std::string(what) + " '" + name + "'";
  if (const auto near = nearest(name, candidates)) message += "; did you mean '" + *near + "'?";
  return message;
}

}  // namespace

Result<Platform> Platform::from_parts(std::string_view os, std::string_view architecture, std::string_view variant) {
  for (const std::string_view part : {os, architecture, variant}) {
    if (!is_name(part)) return invalid(part, "only letters, digits, '_', '.' and '-' are allowed");
  }
  Machine machine = normalised(architecture, variant);
  Platform platform;
  platform.os_ = lower(os);
  if (platform.os_ == "macos") platform.os_ = "darwin";
  platform.architecture_ = std::move(machine.architecture);
  platform.variant_ = std::move(machine.variant);
  return platform;
}

Result<Platform> Platform::parse(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size() && parts.size() < 4;) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (parts.size() > 3) return invalid(text, "it has more parts than os/architecture/variant");
  for (const std::string_view part : parts) {
    if (part.empty()) return invalid(text, "a part of it is empty; write it like linux/arm64 or linux/arm/v7");
    if (!is_name(part)) return invalid(text, "only letters, digits, '_', '.' and '-' are allowed");
  }
  if (parts.size() == 1) {
    if (contains(kSystems, lower(text))) return from_parts(text, host().architecture(), host().variant());
    parts.insert(parts.begin(), "linux");
  }
  ASSIGN_OR_RETURN(Platform platform, from_parts(parts[0], parts[1], parts.size() == 3 ? parts[2] : ""));
  if (!contains(kSystems, platform.os_)) return invalid(text, unknown("operating system", platform.os_, kSystems));
  if (!contains(kArchitectures, platform.architecture_)) {
    return invalid(text, unknown("architecture", platform.architecture_, kArchitectures));
  }
  return platform;
}

Platform Platform::host() {
  Platform platform;
  platform.os_ = "linux";
#if defined(__x86_64__)
  platform.architecture_ = "amd64";
#elif defined(__aarch64__)
  platform.architecture_ = "arm64";
#elif defined(__arm__)
  platform.architecture_ = "arm";
  platform.variant_ = "v" + std::to_string(__ARM_ARCH);
#elif defined(__i386__)
  platform.architecture_ = "386";
#elif defined(__riscv) && __riscv_xlen == 64
  platform.architecture_ = "riscv64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
  platform.architecture_ = "ppc64le";
#elif defined(__s390x__)
  platform.architecture_ = "s390x";
#elif defined(__loongarch64)
  platform.architecture_ = "loong64";
#else
#error "Name this architecture as Go does (GOARCH)"
#endif
  return platform;
}

std::string Platform::str() const {
  return os_ + "/" + architecture_ + (variant_.empty() ? "" : "/" + variant_);
}

std::optional<int> Platform::fit(const Platform& image) const {
  constexpr int kBelowOwnArchitecture = -10'000;
  if (image.os_ != os_) return std::nullopt;
  if (architecture_ == "amd64" && image.architecture_ == "386") return kBelowOwnArchitecture;
  if (architecture_ == "arm64" && image.architecture_ == "arm") {
    return kBelowOwnArchitecture + version(image.variant_).value_or(0);
  }
  if (image.architecture_ != architecture_) return std::nullopt;
  if (image.variant_ == variant_) return std::numeric_limits<int>::max();
  if (image.variant_.empty()) return 0;
  const std::optional<int> have = version_of(architecture_, variant_);
  const std::optional<int> needed = version_of(architecture_, image.variant_);
  if (!have || !needed || *needed > *have) return std::nullopt;
  return needed;
}

}  // namespace imagebuild::oci
