#include "api/image_build_status.h"

#include <algorithm>

namespace imagebuild::api {

const Condition* find_condition(const ImageBuildStatus& status, std::string_view type) {
  const auto found = std::ranges::find(status.conditions, type, &Condition::type);
  return found == status.conditions.end() ? nullptr : &*found;
}

std::string shortened(std::string_view text, std::size_t bytes) {
  constexpr std::string_view kEllipsis = "\xE2\x80\xA6";
  if (text.size() <= bytes) return std::string(text);
  std::size_t end = bytes > kEllipsis.size() ? bytes - kEllipsis.size() : 0;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + std::string(kEllipsis);
}

}  // namespace imagebuild::api
