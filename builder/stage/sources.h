// Which objects of a tree a COPY takes: its sources' patterns (as BuildKit resolves wildcards), --exclude and
// --parents.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/plan.h"
#include "base/glob.h"
#include "builder/stage/tree_view.h"
#include "dockerfile/ignore.h"

namespace imagebuild::builder {

// The paths that `pattern` matches, sorted. Symlinks are followed in the part before the first wildcard; a path without
// a wildcard is returned whether it exists or not. `passed`, if given, gets each existing path on the way to them.
Result<std::vector<std::string>> match_sources(const TreeView& tree, const std::string& pattern,
                                               std::vector<std::string>* passed = nullptr);

// Something that a source names. Its last part is not followed yet: a link's own name decides what the copy is called.
struct NamedSource {
  std::string path;
  std::optional<Glob> inside;  // --parents: only what of the folder this matches, in the folders where it stands.
};

// What a COPY or ADD takes from one tree.
class CopySelection {
 public:
  // kInvalidInput for a bad pattern.
  static Result<CopySelection> of(const api::CopyStep& step);

  // What the sources name, in their order. A path without a wildcard is there whether it exists or not, unless it is
  // excluded by its name. `passed` as for match_sources().
  Result<std::vector<NamedSource>> find(const TreeView& tree, std::vector<std::string>* passed = nullptr) const;

  // How something below a source is met: it is taken, or it is a folder that holds something that is.
  enum class As { kTaken, kParent };
  // `inner` is the path from the folder on.
  using Visitor = std::function<Status(const Found& found, const std::string& inner, As as)>;
  // Everything below `folder`, a real folder, that is taken of `source`; each folder before what it holds. Symlinks are
  // not followed. --exclude counts from the folder on (fsutil's copy).
  Status walk(const TreeView& tree, const std::string& folder, const NamedSource& source, const Visitor& visit) const;

 private:
  class Walk;
  Status find_with_parents(const TreeView& tree, const std::string& source, std::vector<std::string>* passed,
                           std::vector<NamedSource>& found) const;
  Result<bool> leaves_out(const TreeView& tree, const std::string& path, bool by_wildcard) const;

  std::vector<std::string> sources_;
  bool parents_ = false;
  dockerfile::IgnoreRules exclude_;
  bool has_exceptions_ = false;  // --exclude=!…
};

// "; did you mean 'x'?" when the tree has something with a similar name beside `path`, else "".
std::string nearest_path_hint(const TreeView& tree, const std::string& path);

// "a/b*/c" → "a" and "b*/c"; the second part is empty when nothing is a wildcard.
std::pair<std::string, std::string> split_at_wildcard(const std::string& pattern);

// Where the folders end that --parents leaves away, and where those begin that it keeps: "a/./b" → "a" and "b".
std::pair<std::string, std::string> split_at_pivot(const std::string& source);

}  // namespace imagebuild::builder
