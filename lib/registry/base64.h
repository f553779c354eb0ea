// Base64 (RFC 4648 section 4), as HTTP's Basic scheme and Docker's config.json use it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace imagebuild::registry {

std::string base64_encode(std::string_view bytes);
// Nothing when the text is not base64; missing padding and trailing white space are accepted.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace imagebuild::registry
