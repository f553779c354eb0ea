// Private keys, found by how they begin.
#include <algorithm>
#include <string>

#include "lint/image/image_checks.h"

namespace imagebuild::lint {

namespace {

// Where packages bring keys that everybody has.
constexpr std::string_view kExamples[] = {"test",    "tests",    "testdata",      "fixtures",
                                          "example", "examples", "node_modules",  "site-packages",
                                          "doc",     "docs",     "dist-packages", "ssl-cert-snakeoil.key"};

bool is_example(std::string_view path) {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (std::ranges::find(kExamples, path.substr(0, end)) != std::end(kExamples)) return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

}  // namespace

void check_private_keys(const ImageInput& input, Warnings& warnings) {
  for (const ImageLayer& layer : input.layers) {
    for (const std::string& path : layer.private_keys) {
      if (is_example(path)) continue;
      warnings.push_back(
          {"SecretInImage",
           "'" + shown_path(path) + "' (line " + std::to_string(layer.at.line) +
               ") is a private key, and whoever has the image can read it, also after a later line removes "
               "it; use RUN --mount=type=secret or --mount=type=ssh where it is needed, or give it to "
               "the container when it runs",
           layer.at});
    }
  }
}

}  // namespace imagebuild::lint
