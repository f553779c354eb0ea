#include "api/yaml_json.h"

#include <yaml-cpp/yaml.h>

#include <string>

namespace imagebuild::api {

namespace {

using nlohmann::json;

constexpr int kMaxDepth = 100, kMaxNodes = 1'000'000;

// Never leaves this file.
struct TooBig {};

class Converter {
 public:
  json convert(const YAML::Node& node, int depth = 0) {
    // Aliases can make a small text large.
    if (depth > kMaxDepth || ++nodes_ > kMaxNodes) throw TooBig{};
    if (node.IsMap()) {
      json object = json::object();
      for (const auto& member : node) object[member.first.as<std::string>()] = convert(member.second, depth + 1);
      return object;
    }
    if (node.IsSequence()) {
      json array = json::array();
      for (const auto& element : node) array.push_back(convert(element, depth + 1));
      return array;
    }
    return node.IsScalar() ? json(node.Scalar()) : json();
  }

 private:
  int nodes_ = 0;
};

}  // namespace

Result<json> yaml_to_json(std::string_view text) {
  try {
    return Converter().convert(YAML::Load(std::string(text)));
  } catch (const TooBig&) {
    return Error{ErrorCode::kInvalidInput, "the YAML is too large or too deep"};
  } catch (const YAML::Exception& error) {
    const std::string where = std::to_string(error.mark.line + 1) + ":" + std::to_string(error.mark.column + 1) + ": ";
    return Error{ErrorCode::kInvalidInput, where + error.msg};
  }
}

}  // namespace imagebuild::api
