#include "base/utf8.h"

namespace imagebuild {

Rune decode_rune(std::string_view text, std::size_t at) {
  if (at >= text.size()) return Rune{};
  constexpr Rune kInvalid{kReplacementRune, 1, false};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return Rune{first, 1};
  const std::size_t width = first >= 0xF0 ? 4U : first >= 0xE0 ? 3U : 2U;
  if (first < 0xC2 || first > 0xF4 || text.size() - at < width) return kInvalid;
  char32_t value = first & (0x7FU >> width);
  for (std::size_t i = 1; i < width; ++i) {
    const unsigned char next = byte(at + i);
    if ((next & 0xC0U) != 0x80U) return kInvalid;
    value = value << 6U | (next & 0x3FU);
  }
  const bool overlong = (width == 3 && value < 0x800) || (width == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (overlong || surrogate || value > 0x10FFFF) return kInvalid;
  return Rune{value, width};
}

}  // namespace imagebuild
