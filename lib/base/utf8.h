// Reading UTF-8 one character at a time, with Go's rule for what is not UTF-8.
#pragma once

#include <cstddef>
#include <string_view>

namespace imagebuild {

struct Rune {
  char32_t value = 0;
  std::size_t width = 0;  // In bytes; 0 at the end of the text.
  bool valid = true;
};

// What an invalid byte stands for, one for each byte.
inline constexpr char32_t kReplacementRune = 0xFFFD;

// The character that begins at `at`. Overlong forms, surrogates and values above U+10FFFF are invalid.
Rune decode_rune(std::string_view text, std::size_t at);

}  // namespace imagebuild
