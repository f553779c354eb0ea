// Docker's variable expansion and quote removal inside one word of a Dockerfile, as BuildKit's shell lexer does it.
//
// Which part of which instruction expands (BuildKit's rule; expansion_of() is the same table for programs):
//   FROM         the base name and --platform: one word each, with the *global* scope only
//   ARG          each default value: one word; a value given with --build-arg is taken literally (the name never
//   expands) ENV, LABEL   each key and each value: one word each, all with the values from *before* the instruction
//   ADD, COPY    sources, destination, --chown, --chmod, --checksum, --exclude: one word each; --from is literal
//                (check_literal); a here-document with an unquoted delimiter: expand_heredoc
//   EXPOSE       each argument: split into words after expansion (expand_words)
//   VOLUME       each path: one word (also in the JSON form)
//   USER, WORKDIR, STOPSIGNAL   the whole argument: one word
//   ONBUILD      nothing when it is written; the instruction it holds expands in the stage it triggers in
//   RUN          only the option values of --mount, one word each (but from=, which is literal); the shell does the
//   rest CMD ENTRYPOINT SHELL HEALTHCHECK MAINTAINER   nothing
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace imagebuild::dockerfile {

// The value of a variable, or nothing when it is not set. Positional and special parameters (`1`, `@`, `*`, `#`, `?`,
// `-`, `$`, `!`, `0`) are asked for by that name like any other, as BuildKit does: there they are simply never set.
using VariableLookup = std::function<std::optional<std::string>(std::string_view name)>;

struct ExpandOptions {
  char escape = '\\';         // '\\' or '`', from the `# escape=` directive.
  bool keep_quotes = false;   // Quotes stay in the text (BuildKit's RawQuotes).
  bool keep_escapes = false;  // Escape characters stay in the text (BuildKit's RawEscapes).
  bool plain_quotes = false;  // Quotes are ordinary characters (BuildKit's SkipProcessQuotes).
  bool keep_unset = false;    // `$x` and `${x…}` of an unset x stay in the text (BuildKit's SkipUnsetEnv).
};

struct Expanded {
  std::string text;                // The word with variables expanded and quotes and escapes removed.
  std::vector<std::string> words;  // The same, split at unquoted white space, that from variables included; none empty.
  std::set<std::string> matched;   // The variables asked for that are set.
  std::set<std::string> unmatched;  // The variables asked for that are not set, for the lint rule UndefinedVar.
};

// Expands `word`. Forms: $v ${v} ${v:-w} ${v-w} ${v:+w} ${v+w} ${v:?w} ${v?w} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/r}
// ${v//p/r}; w, p and r expand in turn; p is a pattern of *, ? and \-escapes. An unset variable expands to nothing.
// kInvalidInput: an unterminated quote or brace, a bad substitution, an unset variable with `?`, a bad pattern.
// kLimit: the result is larger than kMaxExpandedBytes, or braces nest deeper than kMaxExpansionDepth.
// On an error `*error_offset` becomes the byte offset inside `word` of what is wrong (the opening quote or `$`).
Result<Expanded> expand(std::string_view word, const ExpandOptions& options, const VariableLookup& lookup,
                        std::size_t* error_offset = nullptr);
inline constexpr std::size_t kMaxExpandedBytes = 1U << 20;
inline constexpr int kMaxExpansionDepth = 100;

// What each instruction needs, on top of expand():

// One word → one text.
Result<Expanded> expand_word(std::string_view word, char escape, const VariableLookup& lookup,
                             std::size_t* error_offset = nullptr);
// One word → `words` (EXPOSE). Same work as expand_word; the name says what the caller reads.
Result<Expanded> expand_words(std::string_view word, char escape, const VariableLookup& lookup,
                              std::size_t* error_offset = nullptr);
// The content of a COPY or ADD here-document: quotes are ordinary characters, and the escape character is always a
// backslash and is removed, whatever `# escape=` says (BuildKit's rule).
Result<Expanded> expand_heredoc(std::string_view content, const VariableLookup& lookup,
                                std::size_t* error_offset = nullptr);
// For values that may not hold variables or quotes (COPY --from, RUN --mount from=): kUnsupported with what to do
// instead when expansion would change `value`. `what` names it: "COPY --from".
Status check_literal(std::string_view value, char escape, std::string_view what, std::size_t* error_offset = nullptr);

// How the arguments of an instruction (not its flags) expand.
enum class ArgumentExpansion {
  kNone,       // Taken as they are.
  kWord,       // Each argument is one word: expand_word.
  kWords,      // Each argument may become several: expand_words.
  kKeyValue,   // Key and value are one word each: expand_word.
  kValueOnly,  // Only what follows `=`: expand_word, unless --build-arg gives the value.
  kGlobal,     // expand_word with the global scope.
};
// By the instruction's name in any case; nothing when there is no such instruction.
std::optional<ArgumentExpansion> expansion_of(std::string_view instruction);
// Whether the value of `--flag` of that instruction expands (with expand_word): {"copy", "chown"} does, {"copy",
// "from"} does not. For RUN's mount flag: each option's value, but not that of from=.
bool flag_expands(std::string_view instruction, std::string_view flag);

}  // namespace imagebuild::dockerfile
