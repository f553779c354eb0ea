// What package managers downloaded and kept.
#include <algorithm>
#include <map>
#include <string>

#include "lint/image/image_checks.h"

namespace imagebuild::lint {

namespace {

struct Cache {
  std::string_view folder;  // From the root; or from a home folder.
  bool of_home = false;
  std::string_view of_whom;
  std::string_view fix;  // Empty: a cache mount.
};

constexpr Cache kCaches[] = {
    {"var/lib/apt/lists", false, "apt", "add '&& rm -rf /var/lib/apt/lists/*' to this RUN"},
    {"var/cache/apt", false, "apt", "add '&& apt-get clean' to this RUN"},
    {"var/cache/dnf", false, "dnf", "add '&& dnf clean all' to this RUN"},
    {"var/cache/libdnf5", false, "dnf", "add '&& dnf clean all' to this RUN"},
    {"var/cache/yum", false, "yum", "add '&& yum clean all' to this RUN"},
    {"var/cache/zypp", false, "zypper", "add '&& zypper clean --all' to this RUN"},
    {"var/cache/apk", false, "apk", "write apk add --no-cache"},
    {".cache/pip", true, "pip", "write pip install --no-cache-dir"},
    {".cache/uv", true, "uv", ""},
    {".cache/pypoetry", true, "poetry", ""},
    {".npm", true, "npm", ""},
    {".cache/yarn", true, "yarn", ""},
    {"usr/local/share/.cache/yarn", false, "yarn", ""},
    {".local/share/pnpm/store", true, "pnpm", ""},
    {"go/pkg/mod", false, "Go", ""},
    {"go/pkg/mod", true, "Go", ""},
    {".cache/go-build", true, "Go", ""},
    {"usr/local/cargo/registry", false, "Cargo", ""},
    {".cargo/registry", true, "Cargo", ""},
    {".m2/repository", true, "Maven", ""},
    {".gradle/caches", true, "Gradle", ""},
    {".composer/cache", true, "Composer", ""},
    {".cache/composer", true, "Composer", ""},
    {".nuget/packages", true, "NuGet", ""},
};

// The part of `path` behind its home folder; empty when it is in none.
std::string_view in_home(std::string_view path) {
  if (path.starts_with("root/")) return path.substr(5);
  if (!path.starts_with("home/")) return {};
  const std::size_t slash = path.find('/', 5);
  return slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
}

bool is_in(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

// The cache the file is in, and its folder in the image.
const Cache* cache_of(const std::string& path, std::string& folder) {
  const std::string_view home = in_home(path);
  for (const Cache& cache : kCaches) {
    if (!is_in(cache.of_home ? home : std::string_view(path), cache.folder)) continue;
    folder = path.substr(0, cache.of_home ? path.size() - home.size() : 0) + std::string(cache.folder);
    return &cache;
  }
  return nullptr;
}

struct Found {
  const Cache* cache = nullptr;
  std::uint64_t bytes = 0;
};

void report(const ImageInput& input, const ImageLayer& layer, const std::string& folder, const Found& found,
            Warnings& warnings) {
  std::string fix = found.cache->fix.empty() ? "remove it in this RUN" : std::string(found.cache->fix);
  fix += ", or keep it out with RUN --mount=type=cache,target=" + shown_path(folder);
  if (layer.script.empty()) fix = "copy only what is needed";
  warnings.push_back({"PackageCacheInImage",
                      share_text(found.bytes, input) + " are a cache of " + std::string(found.cache->of_whom) +
                          " in '" + shown_path(folder) + "' (line " + std::to_string(layer.at.line) +
                          "), which nothing in the image needs; " + fix,
                      layer.at});
}

}  // namespace

void check_package_caches(const ImageInput& input, Warnings& warnings) {
  for (const ImageLayer& layer : input.layers) {
    std::map<std::string, Found> by_folder;
    for (const auto& [path, node] : layer.index.nodes()) {
      if (node.type != archive::NodeType::kFile || node.size_bytes == 0) continue;
      std::string folder;
      const Cache* const cache = cache_of(path, folder);
      if (cache == nullptr) continue;
      Found& found = by_folder[folder];
      found.cache = cache;
      found.bytes += node.size_bytes;
    }
    for (const auto& [folder, found] : by_folder) {
      if (found.bytes >= kWorthBytes) report(input, layer, folder, found, warnings);
    }
  }
}

}  // namespace imagebuild::lint
