// What a request to a Kubernetes API server names (an object or a collection by its path, some of it by selectors), and
// the words of an answer that refuses.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kube/resource.h"

namespace imagebuild::fakes {

using kube::Json;

// What a request's path names.
struct ApiTarget {
  std::string group, version, ns, plural, name, subresource;

  // Nothing for paths that are no objects ("/version").
  static std::optional<ApiTarget> parse(const std::string& path);
  std::string collection() const { return group + "/" + version + "/" + plural; }
};

struct ApiSelector {
  std::string labels, fields;
  bool matches(const Json& object) const;
  // The field that lists of this resource cannot be selected by; empty when there is none.
  std::string unknown_field(const std::string& plural) const;
};

struct ApiAnswer {
  int status = 200;
  Json body;
};

// A refusal as the API server words it.
ApiAnswer refusal(int status, const std::string& reason, const std::string& message, Json causes = Json::array());

ApiAnswer not_found(const ApiTarget& target);
ApiAnswer conflict(const ApiTarget& target, const std::string& why);
// What `why` is when somebody else was faster.
inline constexpr const char* kModified =
    "the object has been modified; please apply your changes to the latest version and try again";

// The parts of a text between separators that are in no parentheses.
std::vector<std::string> split_outside_parentheses(const std::string& text, char separator);

}  // namespace imagebuild::fakes
