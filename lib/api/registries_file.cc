#include "api/registries_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>

#include "base/nearest.h"

namespace imagebuild::api {

namespace {

// A mistake and where it is; never leaves this file.
struct Mistake {
  YAML::Mark mark;
  std::string what;
};

void check_keys(const YAML::Node& map, const std::vector<std::string>& known) {
  for (const auto& member : map) {
    const std::string key = member.first.as<std::string>();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string what = "unknown key '" + key + "'";
    if (const std::optional<std::string> meant = nearest(key, known)) what += "; did you mean '" + *meant + "'?";
    throw Mistake{member.first.Mark(), what};
  }
}

bool read_flag(const YAML::Node& node) {
  if (!node) return false;
  bool value = false;
  if (!node.IsScalar() || !YAML::convert<bool>::decode(node, value))
    throw Mistake{node.Mark(), "must be true or false"};
  return value;
}

std::string read_text(const YAML::Node& node) {
  if (!node) return {};
  if (!node.IsScalar()) throw Mistake{node.Mark(), "must be a text"};
  return node.Scalar();
}

RegistryEntry read_entry(const YAML::Node& node) {
  if (!node.IsMap()) throw Mistake{node.Mark(), "a registry's entry must be a map"};
  check_keys(node, {"mirrors", "caFile", "plainHTTP", "skipTLSVerify"});
  RegistryEntry entry;
  if (const YAML::Node mirrors = node["mirrors"]) {
    if (!mirrors.IsSequence()) throw Mistake{mirrors.Mark(), "mirrors must be a list"};
    for (const YAML::Node& mirror : mirrors) entry.mirrors.push_back(read_text(mirror));
  }
  entry.ca_file = read_text(node["caFile"]);
  entry.plain_http = read_flag(node["plainHTTP"]);
  entry.skip_tls_verify = read_flag(node["skipTLSVerify"]);
  return entry;
}

RegistriesFile read_file(const YAML::Node& document) {
  RegistriesFile file;
  if (document.IsNull()) return file;
  if (!document.IsMap()) throw Mistake{document.Mark(), "the file must be a map with the key 'registries'"};
  check_keys(document, {"registries"});
  const YAML::Node registries = document["registries"];
  if (!registries || registries.IsNull()) return file;
  if (!registries.IsMap()) throw Mistake{registries.Mark(), "registries must be a map from a registry to its entry"};
  for (const auto& member : registries) file.registries[member.first.as<std::string>()] = read_entry(member.second);
  return file;
}

Error located(const std::string& name, const YAML::Mark& mark, const std::string& what) {
  return Error{ErrorCode::kInvalidInput,
               name + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1) + ": " + what};
}

}  // namespace

Result<RegistriesFile> RegistriesFile::parse(std::string_view text, const std::string& name) {
  try {
    return read_file(YAML::Load(std::string(text)));
  } catch (const Mistake& mistake) {
    return located(name, mistake.mark, mistake.what);
  } catch (const YAML::Exception& exception) {
    return located(name, exception.mark, exception.msg);
  }
}

}  // namespace imagebuild::api
