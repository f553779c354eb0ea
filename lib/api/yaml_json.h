// YAML as JSON, for files whose reader knows JSON only (kubeconfig).
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/result.h"

namespace imagebuild::api {

// One document. Scalars become strings, empty ones null: whoever reads a flag or number takes its text. kInvalidInput
// with line and column for broken YAML, or more than 100 levels or a million nodes.
Result<nlohmann::json> yaml_to_json(std::string_view text);

}  // namespace imagebuild::api
