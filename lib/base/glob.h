// Path patterns with wildcards. Matching takes time proportional to pattern × name, whatever the pattern.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace imagebuild {

class Glob {
 public:
  enum class Syntax {
    // Go's filepath.Match, which COPY and ADD sources follow: `*` any run without a slash, `?` one character but a
    // slash, `[a-z]` `[^x]` a class (never empty), `\c` the character c. `**` is `*`.
    kPath,
    // The same with `**`: any run, slashes included; `**/` also nothing. As .dockerignore has it.
    kIgnore,
  };

  // kInvalidInput when the pattern is malformed: an open or empty class, a range without an end (kIgnore: or one that
  // runs backwards; kPath: that matches nothing), a final backslash. kLimit beyond 64 KiB.
  static Result<Glob> parse(std::string_view pattern, Syntax syntax = Syntax::kPath);

  // Whether the pattern matches all of `name`.
  bool matches(std::string_view name) const { return run(name, Stop::kAtEnd); }
  // Whether it matches all of `path` or one of its parent folders ("a" and "a/b" for "a/b/c").
  bool matches_or_parent(std::string_view path) const { return run(path, Stop::kAtSlashes); }
  // Whether there may be a path below the folder `directory` that it matches (not the folder itself). "" or ".": any.
  bool may_match_below(std::string_view directory) const;

  // The pattern has no wildcard: it matches exactly literal().
  bool is_literal() const { return is_literal_; }
  // The pattern without its escapes; of use only when is_literal().
  const std::string& literal() const { return literal_; }
  const std::string& pattern() const { return pattern_; }

 private:
  enum class Kind : std::uint8_t { kRune, kAnyButSlash, kClass, kStar, kAnyRun, kGate, kFolders };
  enum class Stop : std::uint8_t { kAtEnd, kAtSlashes };
  struct Element {
    Kind kind = Kind::kRune;
    bool negated = false;                               // kClass
    char32_t rune = 0;                                  // kRune
    std::vector<std::pair<char32_t, char32_t>> ranges;  // kClass, both ends included
  };
  class States;
  friend class GlobParser;

  bool run(std::string_view name, Stop stop) const;
  bool has_name(std::string_view path, Stop stop) const;
  bool consume(States& states, char32_t rune) const;
  void enter(States& states, std::size_t at) const;

  std::string pattern_;
  std::string literal_;
  bool is_literal_ = false;
  bool is_name_anywhere_ = false;  // `**/` and then literal_, which has no wildcard.
  std::vector<Element> elements_;
};

// Glob::parse and matches in one, for a pattern that is used once.
Result<bool> glob_match(std::string_view pattern, std::string_view name);
// Whether the text has a character that means something to Glob: * ? [ or a backslash.
bool has_glob_characters(std::string_view text);

}  // namespace imagebuild
