// Yes and no as Go's strconv.ParseBool reads them; BuildKit uses it for mount options and check directives.
#pragma once

#include <optional>
#include <string_view>

namespace imagebuild::dockerfile {

inline std::optional<bool> parse_boolean(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

}  // namespace imagebuild::dockerfile
