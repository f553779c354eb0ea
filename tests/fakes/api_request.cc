#include "fakes/api_request.h"

#include <algorithm>
#include <utility>

namespace imagebuild::fakes {
namespace {

using kube::at;

std::string trimmed(std::string text) {
  text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

bool label_matches(const Json& labels, const std::string& term) {
  const auto value_of = [&](const std::string& key) -> std::optional<std::string> {
    if (!labels.is_object() || !labels.contains(key)) return {};
    return labels.at(key).get<std::string>();
  };
  for (const std::string set : {" notin (", " in ("}) {
    const auto open = term.find(set);
    if (open == term.npos) continue;
    const auto value = value_of(trimmed(term.substr(0, open)));
    bool found = false;
    const std::string list = term.substr(open + set.size(), term.find(')') - open - set.size());
    for (const std::string& choice : split_outside_parentheses(list, ',')) found = found || value == trimmed(choice);
    return set == " in (" ? found : !found;
  }
  if (const auto unequal = term.find("!="); unequal != term.npos) {
    return value_of(trimmed(term.substr(0, unequal))) != trimmed(term.substr(unequal + 2));
  }
  if (const auto equal = term.find('='); equal != term.npos) {
    const auto begin = term.find_last_of('=') + 1;
    return value_of(trimmed(term.substr(0, equal))) == trimmed(term.substr(begin));
  }
  return term.starts_with('!') ? !value_of(term.substr(1)) : value_of(term).has_value();
}

bool field_matches(const Json& object, const std::string& term) {
  const bool unequal = term.find("!=") != term.npos;
  const auto end = term.find(unequal ? "!=" : "=");
  const Json* here = &object;
  for (const std::string& name : split_outside_parentheses(term.substr(0, end), '.')) here = &at(*here, {name});
  const std::string value = here->is_string() ? here->get<std::string>() : "";
  return (value == term.substr(term.find_last_of('=') + 1)) != unequal;
}

}  // namespace

std::vector<std::string> split_outside_parentheses(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  for (const char c : text) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == separator && depth == 0) {
      parts.push_back(std::exchange(part, {}));
    } else {
      part += c;
    }
  }
  parts.push_back(part);
  return parts;
}

std::optional<ApiTarget> ApiTarget::parse(const std::string& path) {
  std::vector<std::string> parts = split_outside_parentheses(path.substr(std::min<std::size_t>(1, path.size())), '/');
  ApiTarget target;
  std::size_t next = 0;
  if (parts.size() >= 3 && parts[0] == "api") {
    target.version = parts[1];
    next = 2;
  } else if (parts.size() >= 4 && parts[0] == "apis") {
    target.group = parts[1];
    target.version = parts[2];
    next = 3;
  } else {
    return {};
  }
  if (parts[next] == "namespaces" && parts.size() > next + 2 && parts[next + 2] != "status") {
    target.ns = parts[next + 1];
    next += 2;
  }
  const auto take = [&] { return next < parts.size() ? parts[next++] : std::string(); };
  target.plural = take();
  target.name = take();
  target.subresource = take();
  return target;
}

bool ApiSelector::matches(const Json& object) const {
  const auto holds = [](const std::string& selector, const auto& term_holds) {
    if (selector.empty()) return true;
    const auto terms = split_outside_parentheses(selector, ',');
    return std::all_of(terms.begin(), terms.end(), [&](const std::string& term) { return term_holds(trimmed(term)); });
  };
  const Json& its_labels = at(object, {"metadata", "labels"});
  return holds(labels, [&](const std::string& term) { return label_matches(its_labels, term); }) &&
         holds(fields, [&](const std::string& term) { return field_matches(object, term); });
}

std::string ApiSelector::unknown_field(const std::string& plural) const {
  if (fields.empty()) return "";
  for (const std::string& term : split_outside_parentheses(fields, ',')) {
    const std::string field = trimmed(term.substr(0, std::min(term.find("!="), term.find('='))));
    const bool known = field == "metadata.name" || field == "metadata.namespace" ||
                       (plural == "pods" && (field == "spec.nodeName" || field == "status.phase")) ||
                       (plural == "events" && (field.starts_with("involvedObject.") || field == "reason"));
    if (!known) return field;
  }
  return "";
}

ApiAnswer refusal(int status, const std::string& reason, const std::string& message, Json causes) {
  Json body = {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", Json::object()},
               {"status", "Failure"}, {"message", message}, {"reason", reason},
               {"code", status}};
  if (!causes.empty()) body["details"] = {{"causes", std::move(causes)}};
  return {status, std::move(body)};
}

ApiAnswer not_found(const ApiTarget& target) {
  const std::string group = target.group.empty() ? "" : "." + target.group;
  return refusal(404, "NotFound", target.plural + group + " \"" + target.name + "\" not found");
}

ApiAnswer conflict(const ApiTarget& target, const std::string& why) {
  return refusal(409, "Conflict",
                 "Operation cannot be fulfilled on " + target.plural + " \"" + target.name + "\": " + why);
}

}  // namespace imagebuild::fakes
