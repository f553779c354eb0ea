// .dockerignore: which files of a context are not part of it. The rules of moby/patternmatcher and its ignorefile.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/glob.h"
#include "base/result.h"

namespace imagebuild::dockerfile {

// Patterns in the order of the file; the last one that matches a path or one of its parent folders decides.
//
// A line is a pattern: white space around it goes, an empty line or one with `#` in column 1 is skipped, `!` makes it
// an exception, path.Clean is applied and one leading slash goes. `*` and `?` stop at slashes, `**` does not, `[…]` is
// a class, `\` takes the next character as it is. A pattern that leaves the context (`..`) or names it (`.`, `/`)
// matches nothing. A byte order mark and carriage returns are accepted.
class IgnoreRules {
 public:
  // No rules: nothing is excluded.
  IgnoreRules() = default;

  // kInvalidInput for a bad pattern, naming the line: "line 3: …". kLimit beyond 1 MiB or 10 000 patterns.
  static Result<IgnoreRules> parse(std::string_view text);

  // The same rules for patterns that do not come from a file (COPY --exclude): no comments; errors name the pattern.
  static Result<IgnoreRules> from_patterns(std::span<const std::string> patterns);

  // Whether the file or folder at this path, relative to the context and with slashes, is left out. "." and "" never
  // are. A folder that is left out may still have to be made for what it contains: see may_contain_included.
  bool excludes(std::string_view relative_path) const;

  // Whether an excluded folder may have something in it that is not excluded. False: a walker skips it whole. True is
  // a "perhaps". Always true for a folder that is not excluded.
  bool may_contain_included(std::string_view relative_directory) const;

  bool empty() const { return rules_.empty(); }

 private:
  struct Rule {
    Glob pattern;
    bool exception = false;
  };
  Status add(std::string_view written);
  std::vector<Rule> rules_;
};

// Reads a file by its path; nothing when there is none.
using ReadOptionalFile = std::function<Result<std::optional<std::string>>(const std::filesystem::path&)>;

struct IgnoreFile {
  IgnoreRules rules;
  std::optional<std::filesystem::path> path;  // The file the rules come from; absent when there is none.
};
// `<dockerfile>.dockerignore` beside the Dockerfile when there is one, else `.dockerignore` at the root of the context,
// else no rules. `dockerfile` is empty when it does not come from a file (stdin). Errors name the file and the line.
// The rules say what instructions may copy: the Dockerfile and the ignore file themselves are read whether or not they
// are excluded.
Result<IgnoreFile> read_ignore_file(const std::filesystem::path& context, const std::filesystem::path& dockerfile,
                                    const ReadOptionalFile& read);
// The same, from the file system.
Result<IgnoreFile> read_ignore_file(const std::filesystem::path& context, const std::filesystem::path& dockerfile);

}  // namespace imagebuild::dockerfile
