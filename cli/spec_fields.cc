#include "cli/spec_fields.h"

#include <algorithm>

#include "base/nearest.h"

namespace imagebuild::cli {

namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidInput, std::move(message)};
}

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  if (const auto near = nearest(word, known)) return "; did you mean " + quoted(*near) + "?";
  std::string list = "; it can be ";
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (i > 0) list += i + 1 == known.size() ? " or " : ", ";
    list += known[i];
  }
  return list;
}

Result<std::vector<SpecField>> parse_spec_fields(std::string_view option, std::string_view text,
                                                 const std::vector<std::string>& known) {
  std::vector<SpecField> fields;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string_view part = text.substr(at, comma - at);
    at = comma + 1;
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) {
      return invalid(std::string(option) + ": expected KEY=VALUE, not " + quoted(part) + " in " + quoted(text));
    }
    SpecField field{std::string(part.substr(0, equals)), std::string(part.substr(equals + 1))};
    if (std::ranges::find(known, field.key) == known.end()) {
      return invalid(std::string(option) + ": unknown key " + quoted(field.key) + did_you_mean(field.key, known));
    }
    if (field.value.empty()) return invalid(std::string(option) + ": " + quoted(field.key) + " has no value");
    if (std::ranges::any_of(fields, [&](const SpecField& other) { return other.key == field.key; })) {
      return invalid(std::string(option) + ": " + quoted(field.key) + " is given twice");
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

std::optional<std::string> spec_value(const std::vector<SpecField>& fields, std::string_view key) {
  for (const SpecField& field : fields) {
    if (field.key == key) return field.value;
  }
  return std::nullopt;
}

}  // namespace imagebuild::cli
