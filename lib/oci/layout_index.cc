#include "oci/layout_index.h"

#include <algorithm>
#include <set>

#include "oci/descriptor_json.h"

namespace imagebuild::oci {

namespace {

constexpr std::size_t kMaxNamesShown = 10;

std::string annotation(const Descriptor& entry, const char* key) {
  const auto found = entry.annotations.find(key);
  return found == entry.annotations.end() ? std::string() : found->second;
}

std::string annotation(const Json& entry, const char* key) {
  const auto annotations = entry.find("annotations");
  if (annotations == entry.end() || !annotations->is_object()) return {};
  const auto found = annotations->find(key);
  return found == annotations->end() || !found->is_string() ? std::string() : found->get<std::string>();
}

// An entry as the names of a new image leave it; `keep` is false when the new image takes its place.
void make_room(Json& entry, const Digest& digest, const std::vector<Reference>& names, bool& keep) {
  const std::string full_name = annotation(entry, kImageNameAnnotation);
  const std::string tag = annotation(entry, kRefNameAnnotation);
  const auto digest_member = entry.find("digest");
  const bool same_image = digest_member != entry.end() && *digest_member == digest.str();
  keep = !(same_image && full_name.empty() && tag.empty());
  for (const Reference& name : names) {
    if (full_name == name.str()) keep = false;
    if (tag.empty() || tag != name.tag()) continue;
    if (full_name.empty()) {
      keep = false;
    } else {
      entry["annotations"].erase(kRefNameAnnotation);
    }
  }
}

std::vector<Reference> without_digests(const std::vector<Reference>& names) {
  std::vector<Reference> result;
  for (const Reference& name : names) {
    Reference tagged = name.with_tag(name.tag().empty() ? "latest" : name.tag());
    if (std::find(result.begin(), result.end(), tagged) == result.end()) result.push_back(std::move(tagged));
  }
  return result;
}

bool matches_name(const Descriptor& entry, const std::string& name) {
  if (name.empty() || entry.digest.str() == name || annotation(entry, kRefNameAnnotation) == name) return true;
  const std::string full_name = annotation(entry, kImageNameAnnotation);
  if (full_name.empty()) return false;
  const Result<Reference> reference = Reference::parse(name);
  return full_name == name || (reference.ok() && full_name == reference->str());
}

std::string list_names(const Index& index) {
  std::set<std::string> names;
  for (const Descriptor& entry : index.manifests) {
    const std::string full_name = annotation(entry, kImageNameAnnotation);
    names.insert(!full_name.empty() ? full_name : annotation(entry, kRefNameAnnotation));
  }
  names.erase("");
  if (names.empty()) return "its images have no names, only digests";
  std::string text = "it has";
  std::size_t shown = 0;
  for (const std::string& name : names) {
    if (shown == kMaxNamesShown) return text + " and " + std::to_string(names.size() - shown) + " more";
    text += (shown++ == 0 ? " " : ", ") + name;
  }
  return text;
}

}  // namespace

std::string layout_marker() {
  return R"({"imageLayoutVersion":"1.0.0"})";
}

Status check_layout_marker(std::string_view text) {
  ASSIGN_OR_RETURN(const Json document, parse_json_object(text, "oci-layout", 4096));
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(document, ""));
  ASSIGN_OR_RETURN(const std::string version, fields.text("imageLayoutVersion"));
  if (version.empty()) return Error{ErrorCode::kCorrupt, "oci-layout has no imageLayoutVersion"};
  if (!version.starts_with("1."))
    return Error{ErrorCode::kUnsupported, "the OCI layout version '" + version + "' is not supported, only 1.0.0"};
  return ok();
}

Result<std::string> add_to_index(std::string_view index_json, const Descriptor& manifest,
                                 const std::vector<Reference>& names) {
  Json document = {{"schemaVersion", 2}, {"mediaType", media_type::kOciIndex}, {"manifests", Json::array()}};
  if (!index_json.empty()) {
    RETURN_IF_ERROR(Index::parse(index_json));
    ASSIGN_OR_RETURN(document, parse_json_object(index_json, "index.json", kMaxManifestBytes));
  }
  const std::vector<Reference> tagged = without_digests(names);
  Json entries = Json::array();
  if (document["manifests"].is_array()) {
    for (Json& entry : document["manifests"]) {
      bool keep = true;
      make_room(entry, manifest.digest, tagged, keep);
      if (keep) entries.push_back(std::move(entry));
    }
  }
  if (tagged.empty()) entries.push_back(to_json(manifest));
  for (const Reference& name : tagged) {
    Descriptor named = manifest;
    named.annotations[kRefNameAnnotation] = name.tag();
    named.annotations[kImageNameAnnotation] = name.str();
    entries.push_back(to_json(named));
  }
  document["manifests"] = std::move(entries);
  return json_text(document);
}

Result<Descriptor> describe_index(std::string_view json) {
  ASSIGN_OR_RETURN(const Index index, Index::parse(json));
  return Descriptor{.media_type = index.media_type, .digest = Digest::of(json), .size_bytes = json.size()};
}

Result<Descriptor> find_in_index(const Index& index, const std::string& name, const Platform& wanted) {
  Index matches;
  std::set<Digest> digests;
  std::set<std::string> names, platforms;
  for (const Descriptor& entry : index.manifests) {
    if (!matches_name(entry, name)) continue;
    if (!digests.insert(entry.digest).second) continue;  // Another name of an image that is there already.
    names.insert(annotation(entry, kImageNameAnnotation) + " " + annotation(entry, kRefNameAnnotation));
    platforms.insert(entry.platform ? entry.platform->str() : "");
    matches.manifests.push_back(entry);
  }
  if (matches.manifests.size() == 1) return matches.manifests.front();
  if (matches.manifests.empty()) {
    if (name.empty()) return Error{ErrorCode::kNotFound, "there is no image in it"};
    return Error{ErrorCode::kNotFound, "there is no image '" + name + "' in it; " + list_names(index)};
  }
  const bool one_image = names.size() == 1 && platforms.size() == matches.manifests.size() && !platforms.contains("");
  if (one_image) return matches.choose(wanted);
  return Error{ErrorCode::kInvalidInput,
               (name.empty() ? "there are several images in it" : "several images in it are called '" + name + "'") +
                   std::string(", choose one by its full name or digest: ") + list_names(index)};
}

}  // namespace imagebuild::oci
