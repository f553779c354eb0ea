#include "base/glob.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/utf8.h"

namespace imagebuild {

namespace {

constexpr std::size_t kLongestPatternBytes = 64 * 1024;

}  // namespace

// Reads a pattern into elements. Every error names the whole pattern.
class GlobParser {
 public:
  GlobParser(std::string_view pattern, Glob::Syntax syntax) : pattern_(pattern), syntax_(syntax) {}

  Result<Glob> parse() {
    if (pattern_.size() > kLongestPatternBytes) {
      return Error{ErrorCode::kLimit, "a pattern is longer than " + std::to_string(kLongestPatternBytes) + " bytes"};
    }
    glob_.pattern_ = std::string(pattern_);
    glob_.is_literal_ = true;
    while (at_ < pattern_.size()) RETURN_IF_ERROR(element());
    if (syntax_ == Glob::Syntax::kIgnore) note_leading_run();
    return std::move(glob_);
  }

 private:
  using Kind = Glob::Kind;

  Error bad(std::string_view why) const {
    return Error{ErrorCode::kInvalidInput, "bad pattern '" + std::string(pattern_) + "': " + std::string(why)};
  }
  bool next_is(char c) const { return at_ < pattern_.size() && pattern_[at_] == c; }
  void add(Kind kind) {
    glob_.elements_.push_back(Glob::Element{kind, false, 0, {}});
    glob_.is_literal_ = false;
  }

  Status element() {
    switch (pattern_[at_]) {
      case '*':
        ++at_;
        stars();
        return ok();
      case '?':
        ++at_;
        add(Kind::kAnyButSlash);
        return ok();
      case '[':
        ++at_;
        return character_class();
      case '\\':
        ++at_;
        if (at_ == pattern_.size()) return bad("nothing follows its final backslash");
        return literal();
      default:
        return literal();
    }
  }

  Status literal() {
    const Rune rune = decode_rune(pattern_, at_);
    glob_.literal_.append(pattern_.substr(at_, rune.width));
    glob_.elements_.push_back(Glob::Element{Kind::kRune, false, rune.value, {}});
    at_ += rune.width;
    return ok();
  }

  // Behind a star. `**` takes a slash behind it along; at the end of the pattern it is any run, elsewhere it is
  // nothing or any folders.
  void stars() {
    if (syntax_ == Glob::Syntax::kPath || !next_is('*')) {
      if (glob_.elements_.empty() || glob_.elements_.back().kind != Kind::kStar) add(Kind::kStar);
      return;
    }
    ++at_;
    if (next_is('/')) ++at_;
    if (at_ == pattern_.size()) {
      add(Kind::kAnyRun);
    } else {
      add(Kind::kGate);
      add(Kind::kFolders);
    }
  }

  // A pattern of `**` and plain text: `**/name` finds a whole name anywhere (by far the most usual such pattern, so it
  // gets a short way), and `**name` every path that ends so ("my.name" for `**.name`): patternmatcher's suffix rule.
  void note_leading_run() {
    std::vector<Glob::Element>& elements = glob_.elements_;
    const auto plain = [](const Glob::Element& element) { return element.kind == Kind::kRune; };
    if (elements.empty() || elements.front().kind != Kind::kGate) return;
    if (!std::all_of(elements.begin() + 2, elements.end(), plain)) return;
    if (pattern_.substr(0, 3) == "**/") {
      glob_.is_name_anywhere_ = true;
    } else if (pattern_.find('\\') == std::string_view::npos) {
      elements.erase(elements.begin());
      elements.front().kind = Kind::kAnyRun;
    }
  }

  // Behind `[`. A first `]` or a bare `-` is an error, as in Go.
  Status character_class() {
    Glob::Element element;
    element.kind = Kind::kClass;
    if (next_is('^')) {
      ++at_;
      element.negated = true;
    }
    while (!next_is(']') || element.ranges.empty()) {
      ASSIGN_OR_RETURN(const char32_t low, class_member());
      char32_t high = low;
      if (next_is('-')) {
        ++at_;
        ASSIGN_OR_RETURN(high, class_member());
        if (high < low && syntax_ == Glob::Syntax::kIgnore) return bad("a range in a class runs backwards");
      }
      element.ranges.emplace_back(low, high);
    }
    ++at_;
    glob_.elements_.push_back(std::move(element));
    glob_.is_literal_ = false;
    return ok();
  }

  Result<char32_t> class_member() {
    if (at_ == pattern_.size()) return bad("its '[' is never closed");
    if (next_is(']')) return bad("an empty class; write [\\]] for the bracket itself");
    if (next_is('-')) return bad("a '-' in a class stands between two characters; write \\- for the dash itself");
    if (next_is('\\') && ++at_ == pattern_.size()) return bad("nothing follows its final backslash");
    const Rune rune = decode_rune(pattern_, at_);
    if (!rune.valid) return bad("a class that is not UTF-8");
    at_ += rune.width;
    if (at_ == pattern_.size()) return bad("its '[' is never closed");
    return rune.value;
  }

  std::string_view pattern_;
  Glob::Syntax syntax_;
  std::size_t at_ = 0;
  Glob glob_;
};

// The positions in the pattern that a beginning of the name leads to, a bit each; elements_.size() is "all of it".
class Glob::States {
 public:
  explicit States(std::size_t elements) : last_(elements), words_(elements / 64 + 1) {
    if (words_ > 1) many_.resize(2 * words_);
    now_ = words_ > 1 ? many_.data() : few_.data();
    next_ = now_ + words_;
  }
  States(const States&) = delete;
  States& operator=(const States&) = delete;

  bool accepted() const { return has(now_, last_); }
  void put(std::size_t at) { next_[at / 64] |= bit(at); }
  bool is_put(std::size_t at) const { return has(next_, at); }
  void advance() {
    std::swap(now_, next_);
    std::fill_n(next_, words_, std::uint64_t{0});
  }
  // Whether a further character may still lead to a match.
  bool alive() const {
    for (std::size_t i = 0; i + 1 < words_; ++i) {
      if (now_[i] != 0) return true;
    }
    return (now_[words_ - 1] & ~bit(last_)) != 0;
  }
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (std::size_t i = 0; i < words_; ++i) {
      for (std::uint64_t word = now_[i]; word != 0; word &= word - 1) {
        visit(i * 64 + static_cast<std::size_t>(std::countr_zero(word)));
      }
    }
  }

 private:
  static std::uint64_t bit(std::size_t at) { return std::uint64_t{1} << (at % 64); }
  static bool has(const std::uint64_t* words, std::size_t at) { return (words[at / 64] & bit(at)) != 0; }

  std::size_t last_;
  std::size_t words_;
  std::array<std::uint64_t, 2> few_{};  // Up to 63 elements, nearly every pattern: no allocation for a match.
  std::vector<std::uint64_t> many_;
  std::uint64_t* now_;
  std::uint64_t* next_;
};

// Puts `at` and what can follow it without a character. Positions only grow, so a loop is enough: a run may be
// empty; a gate leads past the folders it guards, and to them.
void Glob::enter(States& states, std::size_t at) const {
  while (!states.is_put(at)) {
    states.put(at);
    if (at == elements_.size()) return;
    const Kind kind = elements_[at].kind;
    if (kind == Kind::kGate) {
      states.put(at + 1);
      at += 2;
    } else if (kind == Kind::kStar || kind == Kind::kAnyRun) {
      at += 1;
    } else {
      return;
    }
  }
}

bool Glob::consume(States& states, char32_t rune) const {
  const bool slash = rune == U'/';
  states.for_each([&](std::size_t i) {
    if (i == elements_.size()) return;
    const Element& element = elements_[i];
    switch (element.kind) {
      case Kind::kRune:
        if (rune == element.rune) enter(states, i + 1);
        break;
      case Kind::kAnyButSlash:
        if (!slash) enter(states, i + 1);
        break;
      case Kind::kClass: {
        const bool in = std::any_of(element.ranges.begin(), element.ranges.end(),
                                    [&](const auto& range) { return range.first <= rune && rune <= range.second; });
        if (in != element.negated) enter(states, i + 1);
        break;
      }
      case Kind::kStar:
        if (!slash) enter(states, i);
        break;
      case Kind::kAnyRun:
        enter(states, i);
        break;
      case Kind::kGate:
        break;
      case Kind::kFolders:
        enter(states, i);
        if (slash) enter(states, i + 1);
        break;
    }
  });
  states.advance();
  return states.alive() || states.accepted();
}

bool Glob::has_name(std::string_view path, Stop stop) const {
  for (std::size_t at = 0; (at = path.find(literal_, at)) != std::string_view::npos; ++at) {
    const std::size_t end = at + literal_.size();
    const bool begins = at == 0 || path[at - 1] == '/';
    const bool ends = end == path.size() || (stop == Stop::kAtSlashes && path[end] == '/');
    if (begins && ends) return true;
  }
  return false;
}

bool Glob::run(std::string_view name, Stop stop) const {
  if (is_literal_) {
    if (stop == Stop::kAtEnd || name.size() <= literal_.size()) return name == literal_;
    return name[literal_.size()] == '/' && name.substr(0, literal_.size()) == literal_;
  }
  if (is_name_anywhere_) return has_name(name, stop);
  States states(elements_.size());
  enter(states, 0);
  states.advance();
  for (std::size_t at = 0; at < name.size();) {
    const Rune rune = decode_rune(name, at);
    if (stop == Stop::kAtSlashes && at > 0 && rune.value == U'/' && states.accepted()) return true;
    if (!consume(states, rune.value)) return false;
    at += rune.width;
  }
  return states.accepted();
}

bool Glob::may_match_below(std::string_view directory) const {
  States states(elements_.size());
  enter(states, 0);
  states.advance();
  if (directory.empty() || directory == ".") return states.alive();
  for (std::size_t at = 0; at < directory.size();) {
    const Rune rune = decode_rune(directory, at);
    if (!consume(states, rune.value)) return false;
    at += rune.width;
  }
  return consume(states, U'/') && states.alive();
}

Result<Glob> Glob::parse(std::string_view pattern, Syntax syntax) {
  return GlobParser(pattern, syntax).parse();
}

Result<bool> glob_match(std::string_view pattern, std::string_view name) {
  ASSIGN_OR_RETURN(const Glob glob, Glob::parse(pattern));
  return glob.matches(name);
}

bool has_glob_characters(std::string_view text) {
  return text.find_first_of("*?[\\") != std::string_view::npos;
}

}  // namespace imagebuild
