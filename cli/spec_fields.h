// Values of options that are lists of fields: "type=registry,ref=host/repository".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace imagebuild::cli {

struct SpecField {
  std::string key;
  std::string value;
};

// The fields of "key=value,key=value", each key known and at most once, each with a value. kInvalidInput names `option`
// and what was probably meant.
Result<std::vector<SpecField>> parse_spec_fields(std::string_view option, std::string_view text,
                                                 const std::vector<std::string>& known);

// The value of the field `key`, if there is one.
std::optional<std::string> spec_value(const std::vector<SpecField>& fields, std::string_view key);

// "; did you mean 'word'?", or else "; it can be a, b or c".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace imagebuild::cli
