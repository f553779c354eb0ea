// Which instruction expands what: the table at the top of expand.h.
#include <algorithm>
#include <array>
#include <utility>

#include "dockerfile/expand.h"

namespace imagebuild::dockerfile {

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

constexpr std::array<std::pair<std::string_view, ArgumentExpansion>, 18> kArguments{{
    {"add", ArgumentExpansion::kWord},
    {"arg", ArgumentExpansion::kValueOnly},
    {"cmd", ArgumentExpansion::kNone},
    {"copy", ArgumentExpansion::kWord},
    {"entrypoint", ArgumentExpansion::kNone},
    {"env", ArgumentExpansion::kKeyValue},
    {"expose", ArgumentExpansion::kWords},
    {"from", ArgumentExpansion::kGlobal},
    {"healthcheck", ArgumentExpansion::kNone},
    {"label", ArgumentExpansion::kKeyValue},
    {"maintainer", ArgumentExpansion::kNone},
    {"onbuild", ArgumentExpansion::kNone},
    {"run", ArgumentExpansion::kNone},
    {"shell", ArgumentExpansion::kNone},
    {"stopsignal", ArgumentExpansion::kWord},
    {"user", ArgumentExpansion::kWord},
    {"volume", ArgumentExpansion::kWord},
    {"workdir", ArgumentExpansion::kWord},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kExpandingFlags{{
    {"add", "checksum"},
    {"add", "chmod"},
    {"add", "chown"},
    {"add", "exclude"},
    {"copy", "chmod"},
    {"copy", "chown"},
    {"copy", "exclude"},
    {"from", "platform"},
    {"run", "mount"},
}};

}  // namespace

Result<Expanded> expand_word(std::string_view word, char escape, const VariableLookup& lookup,
                             std::size_t* error_offset) {
  ExpandOptions options;
  options.escape = escape;
  return expand(word, options, lookup, error_offset);
}

Result<Expanded> expand_words(std::string_view word, char escape, const VariableLookup& lookup,
                              std::size_t* error_offset) {
  return expand_word(word, escape, lookup, error_offset);
}

Result<Expanded> expand_heredoc(std::string_view content, const VariableLookup& lookup, std::size_t* error_offset) {
  ExpandOptions options;
  options.plain_quotes = true;
  return expand(content, options, lookup, error_offset);
}

Status check_literal(std::string_view value, char escape, std::string_view what, std::size_t* error_offset) {
  const Result<Expanded> expanded = expand_word(value, escape, nullptr, error_offset);
  if (!expanded.ok()) return expanded.error();
  if (expanded->text == value) return ok();
  if (error_offset != nullptr) *error_offset = std::min(value.find_first_of("$'\""), value.size());
  return Error{ErrorCode::kUnsupported,
               std::string(what) +
                   " takes no variables, quotes or escapes; give the image a name first: FROM <image> AS <name>"};
}

std::optional<ArgumentExpansion> expansion_of(std::string_view instruction) {
  const std::string name = lower(instruction);
  for (const auto& [known, expansion] : kArguments) {
    if (known == name) return expansion;
  }
  return std::nullopt;
}

bool flag_expands(std::string_view instruction, std::string_view flag) {
  const std::string name = lower(instruction);
  return std::any_of(kExpandingFlags.begin(), kExpandingFlags.end(),
                     [&](const auto& entry) { return entry.first == name && entry.second == flag; });
}

}  // namespace imagebuild::dockerfile
