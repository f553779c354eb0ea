// Which objects of a tree a COPY source or an export pattern names (base/glob.h, as BuildKit resolves wildcards).
#pragma once

#include <string>
#include <vector>

#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

// The paths that `pattern` matches, sorted. Symlinks are followed in the part before the first wildcard; a path without
// a wildcard is returned whether it exists or not. `passed`, if given, gets each existing path on the way to them.
Result<std::vector<std::string>> match_sources(const TreeView& tree, const std::string& pattern,
                                               std::vector<std::string>* passed = nullptr);

// "; did you mean 'x'?" when the tree has something with a similar name beside `path`, else "".
std::string nearest_path_hint(const TreeView& tree, const std::string& path);

}  // namespace imagebuild::builder
