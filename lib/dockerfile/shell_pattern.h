// The patterns of ${v#p}, ${v%p} and ${v/p/r}: `*`, `?`, and `\` before * ? \ } and /. No classes, as in BuildKit.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace imagebuild::dockerfile {

// Matching takes time proportional to pattern × text. Wildcards do not match a newline (BuildKit's regular
// expressions).
class ShellPattern {
 public:
  // kInvalidInput for a backslash before any other character or at the end.
  static Result<ShellPattern> parse(std::string_view pattern);

  // `text` without its shortest (or longest) beginning that matches; all of it when none does.
  std::string trim_prefix(std::string_view text, bool longest) const;
  std::string trim_suffix(std::string_view text, bool longest) const;
  // `text` with the first match, or with all, replaced; a match is leftmost, then longest; `replacement` is literal.
  // kLimit when the result exceeds `max_bytes`.
  Result<std::string> replace(std::string_view text, std::string_view replacement, bool all,
                              std::size_t max_bytes) const;

 private:
  enum class Kind { kRune, kAny, kStar };
  struct Element {
    Kind kind = Kind::kRune;
    char32_t rune = 0;
    bool takes(char32_t other) const;
  };
  struct Match {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  using Runes = std::vector<char32_t>;

  static std::optional<std::size_t> match_beginning(const std::vector<Element>& elements, const Runes& text,
                                                    bool longest);
  std::optional<Match> find(const Runes& text, std::size_t from) const;

  std::vector<Element> elements_;
};

}  // namespace imagebuild::dockerfile
