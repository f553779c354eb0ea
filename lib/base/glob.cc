#include "base/glob.h"

#include <algorithm>
#include <array>

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
    if (syntax_ == Glob::Syntax::kIgnore) widen_leading_run();
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

  // `**name` at the beginning, with no other wildcard, matches every path that ends so ("my.name" for `**.name`), while
  // `**/name` needs a whole last part: patternmatcher's suffix rule.
  void widen_leading_run() {
    std::vector<Glob::Element>& elements = glob_.elements_;
    if (elements.empty() || elements.front().kind != Kind::kGate || pattern_.substr(0, 3) == "**/") return;
    const auto plain = [](const Glob::Element& element) { return element.kind == Kind::kRune; };
    if (pattern_.find('\\') != std::string_view::npos || !std::all_of(elements.begin() + 2, elements.end(), plain))
      return;
    elements.erase(elements.begin());
    elements.front().kind = Kind::kAnyRun;
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

// The positions in the pattern that a beginning of the name leads to; elements_.size() is "all of it".
class Glob::States {
 public:
  explicit States(std::size_t elements) : size_(elements + 1) {
    if (size_ > kInline) many_.resize(2 * size_);
    now_ = size_ > kInline ? many_.data() : few_.data();
    next_ = now_ + size_;
  }
  States(const States&) = delete;
  States& operator=(const States&) = delete;

  bool has(std::size_t at) const { return now_[at] != 0; }
  bool accepted() const { return now_[size_ - 1] != 0; }
  void put(std::size_t at) { next_[at] = 1; }
  bool is_put(std::size_t at) const { return next_[at] != 0; }
  void advance() {
    std::swap(now_, next_);
    std::fill_n(next_, size_, char{0});
  }
  // Whether a further character may still lead to a match.
  bool alive() const { return std::find(now_, now_ + size_ - 1, char{1}) != now_ + size_ - 1; }

 private:
  static constexpr std::size_t kInline = 64;  // Nearly every pattern: no allocation for a match.
  std::size_t size_;
  std::array<char, 2 * kInline> few_{};
  std::vector<char> many_;
  char* now_;
  char* next_;
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
  for (std::size_t i = 0; i < elements_.size(); ++i) {
    if (!states.has(i)) continue;
    const Element& element = elements_[i];
    const bool slash = rune == U'/';
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
  }
  states.advance();
  return states.alive() || states.accepted();
}

bool Glob::run(std::string_view name, Stop stop) const {
  if (is_literal_) {
    if (stop == Stop::kAtEnd || name.size() <= literal_.size()) return name == literal_;
    return name[literal_.size()] == '/' && name.substr(0, literal_.size()) == literal_;
  }
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
