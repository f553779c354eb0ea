// The custom resource definition as the tests see it: the YAML file, and a walk over every schema in it.
#pragma once

#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <functional>
#include <string>

namespace imagebuild::api {

inline std::string top_folder() {
  return (std::filesystem::path(IMAGEBUILD_TEST_DATA) / "../../../..").lexically_normal().string();
}

inline YAML::Node read_crd() {
  return YAML::LoadFile(top_folder() + "crds/imagebuild.dev_imagebuilds.yaml");
}

inline YAML::Node crd_version() {
  return read_crd()["spec"]["versions"][0];
}

inline YAML::Node crd_schema() {
  return crd_version()["schema"]["openAPIV3Schema"];
}

// Calls `visit` for a schema and all below it, with names as image_build_fields() makes them.
inline void walk_schema(const std::string& name, const YAML::Node& schema,
                        const std::function<void(const std::string&, const YAML::Node&)>& visit) {
  visit(name, schema);
  if (const YAML::Node properties = schema["properties"]) {
    for (const auto& property : properties) {
      const std::string key = property.first.as<std::string>();
      walk_schema(name.empty() ? key : name + "." + key, property.second, visit);
    }
  }
  if (const YAML::Node items = schema["items"]) walk_schema(name + "[]", items, visit);
  if (const YAML::Node values = schema["additionalProperties"]) walk_schema(name + "{}", values, visit);
}

}  // namespace imagebuild::api
