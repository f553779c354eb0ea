#include "builder/stage/sources.h"

#include <algorithm>

#include "base/glob.h"
#include "base/nearest.h"

namespace imagebuild::builder {
namespace {

// "a/b*/c" → "a" and "b*/c"; the second part is empty when nothing is a wildcard.
std::pair<std::string, std::string> split_at_wildcard(const std::string& pattern) {
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t end = std::min(pattern.find('/', at), pattern.size());
    if (has_glob_characters(std::string_view(pattern).substr(at, end - at))) {
      return {at == 0 ? std::string() : pattern.substr(0, at - 1), pattern.substr(at)};
    }
    at = end + 1;
  }
  return {pattern, {}};
}

class Matching {
 public:
  Matching(const TreeView& tree, const Glob& glob, std::size_t depth, std::vector<std::string>* passed)
      : tree_(tree), glob_(glob), depth_(depth), passed_(passed) {}

  // Looks below `folder`, whose path from where the wildcards begin is `inner`. Only as many levels as the pattern has
  // can match: no wildcard takes a slash.
  Status below(const std::string& folder, const std::string& inner, std::size_t level) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, tree_.list(folder));
    for (const std::string& name : names) {
      const std::string here = join_path(inner, name);
      const std::string path = join_path(folder, name);
      if (level == depth_) {
        if (glob_.matches(here)) matches.push_back(path);
        continue;
      }
      if (!glob_.may_match_below(here)) continue;
      ASSIGN_OR_RETURN(const std::optional<Found> found, tree_.lookup(path));
      if (!found || found->node.type != archive::NodeType::kDirectory) continue;
      if (passed_ != nullptr) passed_->push_back(path);
      RETURN_IF_ERROR(below(path, here, level + 1));
    }
    return imagebuild::ok();
  }

  std::vector<std::string> matches;

 private:
  const TreeView& tree_;
  const Glob& glob_;
  std::size_t depth_;
  std::vector<std::string>* passed_;
};

}  // namespace

Result<std::vector<std::string>> match_sources(const TreeView& tree, const std::string& pattern,
                                               std::vector<std::string>* passed) {
  const auto [literal, wild] = split_at_wildcard(pattern);
  if (wild.empty()) {
    // The last part is not followed: a link's own name decides what the copy is called.
    ASSIGN_OR_RETURN(std::string path, tree.resolve(literal, false, passed));
    return std::vector<std::string>{std::move(path)};
  }
  ASSIGN_OR_RETURN(const Glob glob, Glob::parse(wild));
  ASSIGN_OR_RETURN(const std::string start, tree.resolve(literal, true, passed));
  ASSIGN_OR_RETURN(const std::optional<Found> folder, tree.lookup(start));
  if (!folder || folder->node.type != archive::NodeType::kDirectory) return std::vector<std::string>();
  const auto depth = static_cast<std::size_t>(std::count(wild.begin(), wild.end(), '/'));
  Matching matching(tree, glob, depth, passed);
  RETURN_IF_ERROR(matching.below(start, "", 0));
  return std::move(matching.matches);
}

std::string nearest_path_hint(const TreeView& tree, const std::string& path) {
  std::string folder = parent_path(path);
  std::string wanted = path;
  while (true) {
    const auto real = tree.resolve(folder, true);
    const auto found = real.ok() ? tree.lookup(*real) : Result<std::optional<Found>>(real.error());
    if (found.ok() && *found && (*found)->node.type == archive::NodeType::kDirectory) {
      const auto names = tree.list(*real);
      if (!names.ok()) return "";
      const auto near = nearest(last_part(wanted), *names);
      return near ? "; did you mean '" + join_path(folder, *near) + "'?" : "";
    }
    if (folder.empty()) return "";
    wanted = folder;
    folder = parent_path(folder);
  }
}

}  // namespace imagebuild::builder
