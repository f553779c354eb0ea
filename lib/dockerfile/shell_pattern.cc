#include "dockerfile/shell_pattern.h"

#include <algorithm>
#include <limits>

#include "base/utf8.h"

namespace imagebuild::dockerfile {

namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

// A text as characters, and where each begins; `offsets` has one more, the end.
struct Decoded {
  std::vector<char32_t> runes;
  std::vector<std::size_t> offsets;
};

Decoded decode(std::string_view text) {
  Decoded result;
  result.runes.reserve(text.size());
  result.offsets.reserve(text.size() + 1);
  for (std::size_t at = 0; at < text.size();) {
    const Rune rune = decode_rune(text, at);
    result.runes.push_back(rune.value);
    result.offsets.push_back(at);
    at += rune.width;
  }
  result.offsets.push_back(text.size());
  return result;
}

}  // namespace

bool ShellPattern::Element::takes(char32_t other) const {
  return kind == Kind::kRune ? rune == other : other != U'\n';
}

Result<ShellPattern> ShellPattern::parse(std::string_view pattern) {
  ShellPattern result;
  for (std::size_t at = 0; at < pattern.size();) {
    Rune rune = decode_rune(pattern, at);
    at += rune.width;
    Kind kind = Kind::kRune;
    if (rune.value == U'*') kind = Kind::kStar;
    if (rune.value == U'?') kind = Kind::kAny;
    if (rune.value == U'\\') {
      rune = decode_rune(pattern, at);
      const bool known = rune.width > 0 && std::u32string_view(U"*?\\}/").find(rune.value) != std::u32string_view::npos;
      if (!known) {
        return Error{ErrorCode::kInvalidInput, "bad pattern '" + std::string(pattern) +
                                                   "': a backslash stands only before *, ?, /, } or another backslash"};
      }
      at += rune.width;
    }
    result.elements_.push_back(Element{kind, rune.value});
  }
  return result;
}

std::optional<std::size_t> ShellPattern::match_beginning(const std::vector<Element>& elements, const Runes& text,
                                                         bool longest) {
  const std::size_t accept = elements.size();
  std::vector<char> now(accept + 1, 0);
  std::vector<char> next(accept + 1, 0);
  now[0] = 1;
  std::optional<std::size_t> found;
  for (std::size_t position = 0;; ++position) {
    for (std::size_t i = 0; i < accept; ++i) {
      if (now[i] != 0 && elements[i].kind == Kind::kStar) now[i + 1] = 1;
    }
    if (now[accept] != 0) {
      found = position;
      if (!longest) return found;
    }
    if (position == text.size()) return found;
    std::fill(next.begin(), next.end(), char{0});
    bool alive = false;
    for (std::size_t i = 0; i < accept; ++i) {
      if (now[i] == 0 || !elements[i].takes(text[position])) continue;
      next[elements[i].kind == Kind::kStar ? i : i + 1] = 1;
      alive = true;
    }
    if (!alive) return found;
    now.swap(next);
  }
}

std::string ShellPattern::trim_prefix(std::string_view text, bool longest) const {
  const Decoded decoded = decode(text);
  const std::optional<std::size_t> length = match_beginning(elements_, decoded.runes, longest);
  return std::string(text.substr(length ? decoded.offsets[*length] : 0));
}

std::string ShellPattern::trim_suffix(std::string_view text, bool longest) const {
  Decoded decoded = decode(text);
  std::reverse(decoded.runes.begin(), decoded.runes.end());
  const std::vector<Element> reversed(elements_.rbegin(), elements_.rend());
  const std::optional<std::size_t> length = match_beginning(reversed, decoded.runes, longest);
  return std::string(text.substr(0, decoded.offsets[decoded.runes.size() - length.value_or(0)]));
}

// Every state keeps the earliest beginning that leads to it, so one pass finds the leftmost match and its longest end.
std::optional<ShellPattern::Match> ShellPattern::find(const Runes& text, std::size_t from) const {
  const std::size_t accept = elements_.size();
  std::vector<std::size_t> now(accept + 1, kNone);
  std::vector<std::size_t> next(accept + 1, kNone);
  std::optional<Match> found;
  for (std::size_t position = from;; ++position) {
    if (!found) now[0] = std::min(now[0], position);
    for (std::size_t i = 0; i < accept; ++i) {
      if (elements_[i].kind == Kind::kStar) now[i + 1] = std::min(now[i + 1], now[i]);
    }
    if (now[accept] != kNone && (!found || now[accept] <= found->begin)) found = Match{now[accept], position};
    if (position == text.size()) return found;
    std::fill(next.begin(), next.end(), kNone);
    bool alive = false;
    for (std::size_t i = 0; i < accept; ++i) {
      if (now[i] == kNone || (found && now[i] > found->begin) || !elements_[i].takes(text[position])) continue;
      std::size_t& target = next[elements_[i].kind == Kind::kStar ? i : i + 1];
      target = std::min(target, now[i]);
      alive = true;
    }
    if (!alive && found) return found;
    now.swap(next);
  }
}

// An empty match right behind another match is not replaced, so `*` replaces a text once (Go's ReplaceAll).
Result<std::string> ShellPattern::replace(std::string_view text, std::string_view replacement, bool all,
                                          std::size_t max_bytes) const {
  const Decoded decoded = decode(text);
  std::string result;
  std::size_t copied = 0;
  std::size_t from = 0;
  const auto copy_until = [&](std::size_t end) {
    result.append(text.substr(decoded.offsets[copied], decoded.offsets[end] - decoded.offsets[copied]));
  };
  while (from <= decoded.runes.size()) {
    const std::optional<Match> match = find(decoded.runes, from);
    if (!match) break;
    copy_until(match->begin);
    if (match->end > copied || match->begin == 0) result.append(replacement);
    if (result.size() > max_bytes) {
      return Error{ErrorCode::kLimit, "a substitution makes more than " + std::to_string(max_bytes) + " bytes"};
    }
    copied = match->end;
    from = std::max(from + 1, match->end);
    if (!all) break;
  }
  copy_until(decoded.runes.size());
  return result;
}

}  // namespace imagebuild::dockerfile
