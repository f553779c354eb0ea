#include "cli/cache_spec.h"

#include <algorithm>
#include <string>
#include <vector>

#include "cli/spec_fields.h"

namespace imagebuild::cli {

namespace {

constexpr std::string_view kSupported = "type=registry,ref=HOST/REPOSITORY or type=local with a folder";

// The option, and how it calls its folder.
struct Side {
  std::string option;
  std::string folder_key;
  std::string wrong_folder_key;
};

Error invalid(const Side& side, const std::string& message) {
  return Error{ErrorCode::kInvalidInput, side.option + ": " + message};
}

Error unsupported(const Side& side, const std::string& message) {
  return Error{ErrorCode::kUnsupported, side.option + ": " + message};
}

// Keys that buildx has and that would change nothing here, or something that is not done.
Status check_foreign_keys(const Side& side, const std::vector<SpecField>& fields) {
  const auto has = [&](std::string_view key) { return spec_value(fields, key).has_value(); };
  for (const char* key : {"compression", "compression-level", "force-compression"}) {
    if (!has(key)) continue;
    return unsupported(side, std::string(key) +
                                 "= is not supported: layers are kept as the image has them (see "
                                 "--compression); leave it out");
  }
  for (const char* key : {"oci-mediatypes", "image-manifest"}) {
    if (!has(key)) continue;
    return unsupported(side, std::string(key) + "= is not supported: a cache is always OCI manifests; leave it out");
  }
  for (const char* key : {"tag", "digest"}) {
    if (!has(key)) continue;
    return unsupported(side, std::string(key) + "= is not supported: results are found by their content; leave it out");
  }
  const std::optional<std::string> mode = spec_value(fields, "mode");
  if (mode == "min") {
    return unsupported(side, "mode=min is not supported: the results of all stages are kept, which is mode=max");
  }
  if (mode && *mode != "max") return invalid(side, "unknown mode '" + *mode + "'; it can be max");
  const std::optional<std::string> ignore = spec_value(fields, "ignore-error");
  if (ignore == "false") {
    return unsupported(side,
                       "ignore-error=false is not supported: a cache that cannot be written is a warning, never the "
                       "end of a build");
  }
  if (ignore && *ignore != "true")
    return invalid(side, "unknown value '" + *ignore + "' of ignore-error=; it can be true");
  return ok();
}

Result<CacheSpec> registry_spec(const Side& side, const std::string& text) {
  ASSIGN_OR_RETURN(oci::Reference repository, oci::Reference::parse(text).in(side.option));
  const std::string last = text.substr(text.rfind('/') + 1);
  if (repository.digest() || (text.find('/') != std::string::npos && last.find(':') != std::string::npos)) {
    return invalid(side, "'" + text + "' names an image, but a cache is a whole repository, where each result has a " +
                             "tag of its own; leave out '" + last.substr(last.find_first_of(":@")) + "'");
  }
  return CacheSpec{CacheSpec::Kind::kRegistry, {}, std::move(repository)};
}

Result<CacheSpec> folder_spec(const Side& side, const std::vector<SpecField>& fields) {
  if (spec_value(fields, side.wrong_folder_key)) {
    return invalid(
        side, "the folder of type=local is " + side.folder_key + "=FOLDER here, not " + side.wrong_folder_key + "=");
  }
  const std::optional<std::string> folder = spec_value(fields, side.folder_key);
  if (!folder) return invalid(side, "type=local needs " + side.folder_key + "=FOLDER");
  return CacheSpec{CacheSpec::Kind::kFolder, *folder, std::nullopt};
}

Result<CacheSpec> parse(const Side& side, std::string_view text) {
  if (text.find('=') == std::string_view::npos) {
    if (text.empty()) return invalid(side, "expected " + std::string(kSupported));
    return registry_spec(side, std::string(text));
  }
  static const std::vector<std::string> kTypes = {"registry", "local"};
  for (const std::string_view type : {"gha", "s3", "azblob", "inline"}) {
    const std::string given = "type=" + std::string(type);
    if (!text.starts_with(given) && text.find("," + given) == std::string_view::npos) continue;
    return unsupported(side, given + " is not supported; it can be " + std::string(kSupported));
  }
  ASSIGN_OR_RETURN(
      const std::vector<SpecField> fields,
      parse_spec_fields(side.option, text,
                        {"type", "ref", "src", "dest", "mode", "ignore-error", "compression", "compression-level",
                         "force-compression", "oci-mediatypes", "image-manifest", "tag", "digest"}));
  RETURN_IF_ERROR(check_foreign_keys(side, fields));
  const std::optional<std::string> type = spec_value(fields, "type");
  if (!type) return invalid(side, "'" + std::string(text) + "' has no type=; it can be " + std::string(kSupported));
  const std::optional<std::string> ref = spec_value(fields, "ref");
  if (*type == "local") {
    if (ref) return invalid(side, "type=local takes no ref=");
    return folder_spec(side, fields);
  }
  if (*type != "registry") return invalid(side, "unknown type '" + *type + "'" + did_you_mean(*type, kTypes));
  if (spec_value(fields, "src") || spec_value(fields, "dest")) {
    return invalid(side, "type=registry has no folder; it takes ref=HOST/REPOSITORY");
  }
  if (!ref) return invalid(side, "type=registry needs ref=HOST/REPOSITORY");
  return registry_spec(side, *ref);
}

}  // namespace

Result<CacheSpec> parse_cache_from(std::string_view text) {
  return parse({"--cache-from", "src", "dest"}, text);
}

Result<CacheSpec> parse_cache_to(std::string_view text) {
  return parse({"--cache-to", "dest", "src"}, text);
}

}  // namespace imagebuild::cli
