// The small grammars of a spec: quantities, durations, names.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace imagebuild::api {

// A quantity's value in its base unit (bytes, cores): "500m" is 0.5, "2Ki" 2048. Nothing for what is none
// (k8s.io/apimachinery resource.Quantity). Good for comparing, not for accounting.
std::optional<double> parse_quantity(std::string_view text);

// "1h30m", "90s", "1.5h", "500ms": numbers with the units h m s ms, not negative, at most a year.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// What is wrong with a name by RFC 1123 (the names of Secrets, classes and claims); empty when it is fine.
std::string name_mistake(std::string_view name);
// What is wrong with the key of a Secret or ConfigMap; empty when it is fine.
std::string key_mistake(std::string_view key);
// What is wrong with a repository's name, which has no tag and no digest; empty when it is fine.
std::string repository_mistake(const std::string& repository);
// What is wrong with a path that must stay in the context; empty when it is fine.
std::string path_mistake(std::string_view path);

}  // namespace imagebuild::api
