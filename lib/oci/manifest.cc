#include "oci/manifest.h"

#include <algorithm>
#include <set>

#include "oci/descriptor_json.h"

namespace imagebuild::oci {

namespace {

// Far beyond any blob; keeps sums of sizes from overflowing.
constexpr std::int64_t kMaxBlobBytes = std::int64_t{1} << 50;
// The most platforms an error lists.
constexpr std::size_t kMaxPlatformsShown = 12;

Error corrupt(std::string message) {
  return Error{ErrorCode::kCorrupt, std::move(message)};
}
Error unsupported(std::string message) {
  return Error{ErrorCode::kUnsupported, std::move(message)};
}

Result<std::optional<Platform>> parse_platform(const JsonFields& descriptor, const std::string& where) {
  const Json* value = descriptor.find("platform");
  if (value == nullptr) return std::optional<Platform>();
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(*value, where + ".platform"));
  ASSIGN_OR_RETURN(const std::string os, fields.text("os"));
  ASSIGN_OR_RETURN(const std::string architecture, fields.text("architecture"));
  ASSIGN_OR_RETURN(const std::string variant, fields.text("variant"));
  if (os.empty() && architecture.empty()) return std::optional<Platform>();
  Result<Platform> platform = Platform::from_parts(os, architecture, variant);
  if (!platform.ok()) return corrupt(where + ".platform: " + platform.error().message);
  return std::optional(std::move(platform).value());
}

// What schemaVersion and mediaType must say before anything else is believed.
Status check_schema(const JsonFields& fields, std::string_view what) {
  ASSIGN_OR_RETURN(const std::int64_t version, fields.number("schemaVersion"));
  if (version == 1) {
    return unsupported(
        std::string(what) +
        " has Docker's schema version 1, which is no longer supported; push the image again with a current tool");
  }
  if (version != 2) return corrupt(std::string(what) + " has no schemaVersion 2");
  // A document that is both can be read as either image, whichever digest was checked (CVE-2021-41190).
  const bool both =
      fields.find("manifests") != nullptr && (fields.find("layers") != nullptr || fields.find("config") != nullptr);
  if (both) return corrupt(std::string(what) + " is both a manifest and an index");
  return ok();
}

bool is_attestation(const Descriptor& entry) {
  if (entry.platform && entry.platform->os() == "unknown") return true;
  const auto type = entry.annotations.find("vnd.docker.reference.type");
  return type != entry.annotations.end() && type->second == "attestation-manifest";
}

std::string list_platforms(const std::vector<Descriptor>& manifests) {
  std::set<std::string> names;
  for (const Descriptor& entry : manifests) {
    if (entry.platform && !is_attestation(entry)) names.insert(entry.platform->str());
  }
  std::string text;
  std::size_t shown = 0;
  for (const std::string& name : names) {
    if (shown == kMaxPlatformsShown) return text + " and " + std::to_string(names.size() - shown) + " more";
    text += (shown++ == 0 ? "" : ", ") + name;
  }
  return text;
}

Result<std::vector<Descriptor>> parse_descriptors(const JsonFields& fields, const char* name) {
  std::vector<Descriptor> result;
  const Json* value = fields.find(name);
  if (value == nullptr) return result;
  if (!value->is_array()) return fields.wrong(name, "a list");
  for (const Json& item : *value) {
    ASSIGN_OR_RETURN(Descriptor descriptor,
                     parse_descriptor(item, std::string(name) + "[" + std::to_string(result.size()) + "]"));
    result.push_back(std::move(descriptor));
  }
  return result;
}

Json descriptors_json(const std::vector<Descriptor>& descriptors) {
  Json list = Json::array();
  for (const Descriptor& descriptor : descriptors) list.push_back(to_json(descriptor));
  return list;
}

}  // namespace

namespace media_type {
bool is_index(std::string_view media_type) {
  return media_type == kOciIndex || media_type == kDockerIndex;
}
bool is_manifest(std::string_view media_type) {
  return media_type == kOciManifest || media_type == kDockerManifest;
}
bool is_config(std::string_view media_type) {
  return media_type == kOciConfig || media_type == kDockerConfig;
}
}  // namespace media_type

Result<Descriptor> parse_descriptor(const Json& value, const std::string& where) {
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(value, where));
  ASSIGN_OR_RETURN(Digest digest, fields.digest("digest"));
  Descriptor descriptor{.digest = std::move(digest)};
  ASSIGN_OR_RETURN(descriptor.media_type, fields.text("mediaType"));
  if (descriptor.media_type.empty()) return fields.wrong("mediaType", "a media type, but it is missing");
  if (fields.find("size") == nullptr) return fields.wrong("size", "a number of bytes, but it is missing");
  ASSIGN_OR_RETURN(const std::int64_t size, fields.number("size"));
  if (size < 0 || size > kMaxBlobBytes) return fields.wrong("size", "a possible number of bytes");
  descriptor.size_bytes = static_cast<std::uint64_t>(size);
  ASSIGN_OR_RETURN(descriptor.platform, parse_platform(fields, where));
  ASSIGN_OR_RETURN(descriptor.annotations, fields.text_map("annotations"));
  return descriptor;
}

Json to_json(const Descriptor& descriptor) {
  Json object = {
      {"mediaType", descriptor.media_type}, {"digest", descriptor.digest.str()}, {"size", descriptor.size_bytes}};
  if (descriptor.platform) {
    Json platform = {{"os", descriptor.platform->os()}, {"architecture", descriptor.platform->architecture()}};
    if (!descriptor.platform->variant().empty()) platform["variant"] = descriptor.platform->variant();
    object["platform"] = std::move(platform);
  }
  put_annotations(object, descriptor.annotations);
  return object;
}

void put_annotations(Json& object, const std::map<std::string, std::string>& annotations) {
  if (!annotations.empty()) object["annotations"] = annotations;
}

Result<Manifest> Manifest::parse(std::string_view json) {
  ASSIGN_OR_RETURN(const Json document, parse_json_object(json, "the manifest", kMaxManifestBytes));
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(document, ""));
  RETURN_IF_ERROR(check_schema(fields, "the manifest"));
  ASSIGN_OR_RETURN(std::string type, fields.text("mediaType"));
  if (media_type::is_index(type) || fields.find("manifests") != nullptr) {
    return unsupported("this is an index of several images, not the manifest of one; choose a platform");
  }
  if (!type.empty() && !media_type::is_manifest(type))
    return unsupported("a manifest of the media type '" + type + "' is not supported");
  const Json* config_json = fields.find("config");
  if (config_json == nullptr) return corrupt("the manifest has no config");
  ASSIGN_OR_RETURN(Descriptor config, parse_descriptor(*config_json, "config"));
  if (type.empty()) {
    type = config.media_type == media_type::kDockerConfig ? media_type::kDockerManifest : media_type::kOciManifest;
  }
  ASSIGN_OR_RETURN(std::vector<Descriptor> layers, parse_descriptors(fields, "layers"));
  Manifest manifest{.media_type = std::move(type), .config = std::move(config), .layers = std::move(layers)};
  ASSIGN_OR_RETURN(manifest.annotations, fields.text_map("annotations"));
  return manifest;
}

std::string Manifest::json() const {
  Json object = {{"schemaVersion", 2},
                 {"mediaType", media_type},
                 {"config", to_json(config)},
                 {"layers", descriptors_json(layers)}};
  put_annotations(object, annotations);
  return json_text(object);
}

Result<Index> Index::parse(std::string_view json) {
  ASSIGN_OR_RETURN(const Json document, parse_json_object(json, "the index", kMaxManifestBytes));
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(document, ""));
  RETURN_IF_ERROR(check_schema(fields, "the index"));
  Index index;
  ASSIGN_OR_RETURN(index.media_type, fields.text("mediaType"));
  if (index.media_type.empty()) index.media_type = media_type::kOciIndex;
  if (media_type::is_manifest(index.media_type) || fields.find("layers") != nullptr ||
      fields.find("config") != nullptr) {
    return unsupported("this is the manifest of one image, not an index");
  }
  if (!media_type::is_index(index.media_type)) {
    return unsupported("an index of the media type '" + index.media_type + "' is not supported");
  }
  ASSIGN_OR_RETURN(index.manifests, parse_descriptors(fields, "manifests"));
  ASSIGN_OR_RETURN(index.annotations, fields.text_map("annotations"));
  return index;
}

std::string Index::json() const {
  Json object = {{"schemaVersion", 2}, {"mediaType", media_type}, {"manifests", descriptors_json(manifests)}};
  put_annotations(object, annotations);
  return json_text(object);
}

Result<Descriptor> Index::choose(const Platform& wanted) const {
  const Descriptor* best = nullptr;
  int best_fit = 0;
  const Descriptor* unlabelled = nullptr;
  std::size_t unlabelled_count = 0;
  for (const Descriptor& entry : manifests) {
    if (is_attestation(entry)) continue;
    if (!entry.platform) {
      unlabelled = &entry;
      ++unlabelled_count;
    } else if (const auto fit = wanted.fit(*entry.platform);
               media_type::is_manifest(entry.media_type) && fit && (best == nullptr || *fit > best_fit)) {
      best = &entry;
      best_fit = *fit;
    }
  }
  if (best != nullptr) return *best;
  if (unlabelled_count == 1) return *unlabelled;
  const std::string platforms = list_platforms(manifests);
  return Error{ErrorCode::kNotFound,
               "there is no image for " + wanted.str() +
                   (platforms.empty() ? ", nor for any other platform" : "; there is one for " + platforms)};
}

}  // namespace imagebuild::oci
