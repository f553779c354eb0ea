#include "builder/cache/inputs_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace imagebuild::builder {

namespace {

using build::InputKind;
using build::KeyInput;
using build::StageInputs;
using nlohmann::json;

constexpr std::size_t kKeptDigits = 16;
constexpr int kLastKind = static_cast<int>(InputKind::kExports);

void cut(std::vector<KeyInput>& inputs) {
  for (KeyInput& input : inputs) input.value.resize(std::min(input.value.size(), kKeptDigits));
}

// An input is [kind, name, value]: there are many of them.
json write(const std::vector<KeyInput>& inputs) {
  json list = json::array();
  for (const KeyInput& input : inputs) {
    list.push_back(json::array({static_cast<int>(input.kind), input.name, input.value}));
  }
  return list;
}

Error broken() {
  return Error{ErrorCode::kCorrupt, "the inputs of a stage in the cache cannot be read"};
}

Result<std::vector<KeyInput>> read(const json& list) {
  if (!list.is_array()) return broken();
  std::vector<KeyInput> inputs;
  for (const json& it : list) {
    if (!it.is_array() || it.size() != 3 || !it[0].is_number_integer() || !it[1].is_string() || !it[2].is_string()) {
      return broken();
    }
    const auto kind = it[0].get<std::int64_t>();
    if (kind < 0 || kind > kLastKind) return broken();
    inputs.push_back({static_cast<InputKind>(kind), it[1].get<std::string>(), it[2].get<std::string>()});
  }
  return inputs;
}

}  // namespace

StageInputs cut_values(StageInputs inputs) {
  cut(inputs.start);
  for (build::StepInputs& step : inputs.steps) cut(step.inputs);
  cut(inputs.end);
  return inputs;
}

std::string inputs_json(const StageInputs& inputs) {
  const StageInputs it = cut_values(inputs);
  json steps = json::array();
  for (const build::StepInputs& step : it.steps) {
    steps.push_back({{"step", step.step}, {"inputs", write(step.inputs)}});
  }
  const json document{{"start", write(it.start)}, {"steps", steps}, {"end", write(it.end)}};
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<StageInputs> parse_inputs(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return broken();
  for (const char* key : {"start", "steps", "end"}) {
    if (!document.contains(key) || !document[key].is_array()) return broken();
  }
  StageInputs inputs;
  ASSIGN_OR_RETURN(inputs.start, read(document["start"]));
  ASSIGN_OR_RETURN(inputs.end, read(document["end"]));
  for (const json& step : document["steps"]) {
    if (!step.is_object() || !step.contains("step") || !step["step"].is_number_integer() || !step.contains("inputs")) {
      return broken();
    }
    ASSIGN_OR_RETURN(std::vector<KeyInput> of_step, read(step["inputs"]));
    inputs.steps.push_back({step["step"].get<int>(), std::move(of_step)});
  }
  return inputs;
}

}  // namespace imagebuild::builder
