#include "registry/manifest_type.h"

#include <nlohmann/json.hpp>

#include "oci/manifest.h"

namespace imagebuild::registry {

namespace media_type = oci::media_type;

bool is_manifest_type(std::string_view type) {
  return type == media_type::kOciIndex || type == media_type::kOciManifest || type == media_type::kDockerIndex ||
         type == media_type::kDockerManifest;
}

Result<std::string> manifest_type(std::string_view text, std::string_view content_type) {
  const auto root = nlohmann::json::parse(text, nullptr, false);
  if (!root.is_object()) return Error{ErrorCode::kCorrupt, "it is not a JSON object"};
  if (const auto own = root.find("mediaType"); own != root.end() && own->is_string()) {
    std::string type = own->get<std::string>();
    if (is_manifest_type(type)) return type;
    return Error{ErrorCode::kUnsupported, "its media type '" + type.substr(0, 100) + "' is not an image"};
  }
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ')) content_type.remove_suffix(1);
  if (is_manifest_type(content_type)) return std::string(content_type);
  const auto is_array = [&](const char* name) {
    const auto found = root.find(name);
    return found != root.end() && found->is_array();
  };
  if (is_array("manifests")) return std::string(media_type::kOciIndex);
  if (is_array("layers") && root.contains("config")) return std::string(media_type::kOciManifest);
  if (is_array("fsLayers")) {
    return Error{ErrorCode::kUnsupported, "it is in Docker's old schema 1; push it again with a current tool"};
  }
  return Error{ErrorCode::kCorrupt, "it is neither an image manifest nor an index"};
}

}  // namespace imagebuild::registry
