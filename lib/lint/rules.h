// The table of all rules: everything that `imagebuild lint` and a build can find in a Dockerfile or an image.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace imagebuild::lint {

// Where what breaks a rule shows.
enum class Shows {
  kInFile,   // check() finds it.
  kInImage,  // Only check_image() does, after a build.
  kInBoth,   // check() finds it too; a build leaves it to check_image(), which says how many bytes it is about.
};

// The names of BuildKit's build checks are BuildKit's, so that `# check=skip=…` means the same here.
struct Rule {
  std::string_view name;      // "StageNameCasing"; what a warning and `# check=` say.
  std::string_view summary;   // One line, without a final full stop: what the rule wants.
  bool on_by_default = true;  // Otherwise only with `# check=experimental=NAME`.
  bool of_buildkit = false;   // One of BuildKit's own.
  Shows shows = Shows::kInFile;

  std::string page() const;  // "docs/rules/StageNameCasing.md": why, a wrong and a right example.
  // Docker's page about the rule, as an absolute URI; empty for rules that are not BuildKit's.
  std::string uri() const;
};

// Sorted by name.
std::span<const Rule> rules();

// nullptr when there is no such rule. Case matters, as in BuildKit.
const Rule* find_rule(std::string_view name);

}  // namespace imagebuild::lint
