// RUN --mount=…: a typed mount, and how it is made from its text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dockerfile/location.h"

namespace imagebuild::dockerfile {

enum class MountType { kBind, kCache, kTmpfs, kSecret, kSsh };
enum class CacheSharing { kShared, kPrivate, kLocked };

// "bind", "cache", …
std::string_view name_of(MountType type);
std::string_view name_of(CacheSharing sharing);

// One `key[=value]` of a mount; keys are lower-case and by their long name ("source", "target", "readonly").
struct MountOption {
  std::string key;
  Position at;
  std::optional<Word> value;
};

// The typed fields hold the values as written. When `needs_expansion`, a value that decides a typed field (the type,
// a number, a yes/no) contains a variable: call resolve() before looking at any field but `options` and `from`.
struct Mount {
  Word spec;  // The whole value of the flag.
  std::vector<MountOption> options;
  bool needs_expansion = false;

  MountType type = MountType::kBind;
  std::optional<Word> from;    // bind, cache: a stage, image or named context. Never contains a variable. Its position
                               // is that of the option (`from=…`).
  std::optional<Word> source;  // bind, cache: path in `from` (or the context). secret: older spelling of `id`.
  std::optional<Word> target;  // Where it appears in the container.
  std::optional<Word> id;      // cache, secret, ssh.
  std::optional<Word> env;     // secret: the environment variable that receives the value.
  bool read_only = false;      // Defaults: true for bind, secret and ssh; false for cache and tmpfs.
  bool required = false;       // secret, ssh.
  CacheSharing sharing = CacheSharing::kShared;  // cache.
  std::optional<std::uint64_t> size_bytes;       // tmpfs.
  std::optional<std::uint32_t> mode;             // cache, secret, ssh; octal in the text.
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
};

// Expands one word (see expand.h). Its error says no position: who calls it adds that of the word.
using ExpandWord = std::function<Result<std::string>(const Word&)>;

// Parses the value of --mount (its rules are BuildKit's: comma-separated fields with CSV quoting, later fields win).
// What contains a variable is checked later, by resolve(). `locate` gives the position of a byte of spec.text (quotes
// and continuations are gone from it, so it cannot be reckoned). Nothing, with at least one new error, on failure.
std::optional<Mount> parse_mount(const Word& spec, const std::function<Position(std::size_t)>& locate,
                                 std::vector<Diagnostic>& errors);

// The mount with every value expanded, typed and checked. Errors are located in `file`.
Result<Mount> resolve(std::string_view file, const Mount& mount, const ExpandWord& expand);

}  // namespace imagebuild::dockerfile
