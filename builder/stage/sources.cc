#include "builder/stage/sources.h"

#include <algorithm>
#include <utility>

#include "base/nearest.h"

namespace imagebuild::builder {
namespace {

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

std::pair<std::string, std::string> split_at_pivot(const std::string& source) {
  constexpr std::string_view kPivot = "/./";
  const std::size_t at = source.find(kPivot);
  if (at == std::string::npos) return {"", source};
  return {source.substr(0, at), source.substr(at + kPivot.size())};
}

// Goes through a folder and tells of a parent when the first thing in it that is taken is met.
class CopySelection::Walk {
 public:
  Walk(const TreeView& tree, const CopySelection& selection, const std::optional<Glob>& inside, const Visitor& visit)
      : tree_(tree), selection_(selection), inside_(inside), visit_(visit) {}

  Status below(const std::string& folder, const std::string& inner) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, tree_.list(folder));
    for (const std::string& name : names) {
      const std::string here = join_path(inner, name);
      ASSIGN_OR_RETURN(const std::optional<Found> found, tree_.lookup(join_path(folder, name)));
      if (found) RETURN_IF_ERROR(meet(*found, here));
    }
    return imagebuild::ok();
  }

 private:
  Status meet(const Found& found, const std::string& inner) {
    const bool excluded = selection_.exclude_.excludes(inner);
    const bool taken = !excluded && (!inside_ || inside_->matches_or_parent(inner));
    if (taken) {
      RETURN_IF_ERROR(tell_parents());
      RETURN_IF_ERROR(visit_(found, inner, As::kTaken));
    }
    if (found.node.type != archive::NodeType::kDirectory || !may_hold_taken(inner, taken, excluded)) {
      return imagebuild::ok();
    }
    untold_.emplace_back(found, inner);
    if (taken) told_ = untold_.size();
    RETURN_IF_ERROR(below(found.node.path, inner));
    untold_.pop_back();
    told_ = std::min(told_, untold_.size());
    return imagebuild::ok();
  }

  bool may_hold_taken(const std::string& inner, bool taken, bool excluded) const {
    if (excluded && !selection_.exclude_.may_contain_included(inner)) return false;
    return taken || !inside_ || inside_->matches_or_parent(inner) || inside_->may_match_below(inner);
  }

  Status tell_parents() {
    for (; told_ < untold_.size(); ++told_) {
      RETURN_IF_ERROR(visit_(untold_[told_].first, untold_[told_].second, As::kParent));
    }
    return imagebuild::ok();
  }

  const TreeView& tree_;
  const CopySelection& selection_;
  const std::optional<Glob>& inside_;
  const Visitor& visit_;
  std::vector<std::pair<Found, std::string>> untold_;  // The folders on the way down.
  std::size_t told_ = 0;                               // How many of them the visitor knows.
};

Status CopySelection::walk(const TreeView& tree, const std::string& folder, const NamedSource& source,
                           const Visitor& visit) const {
  if (exclude_.empty() && !source.inside) {
    const std::size_t start = folder.empty() ? 0 : folder.size() + 1;
    return tree.walk(folder,
                     [&](const Found& found) { return visit(found, found.node.path.substr(start), As::kTaken); });
  }
  return Walk(tree, *this, source.inside, visit).below(folder, "");
}

Result<CopySelection> CopySelection::of(const api::CopyStep& step) {
  CopySelection selection;
  selection.sources_ = step.sources;
  selection.parents_ = step.parents;
  ASSIGN_OR_RETURN(selection.exclude_, dockerfile::IgnoreRules::from_patterns(step.exclude).in("--exclude"));
  selection.has_exceptions_ =
      std::ranges::any_of(step.exclude, [](const std::string& pattern) { return pattern.starts_with('!'); });
  return selection;
}

Result<std::vector<NamedSource>> CopySelection::find(const TreeView& tree, std::vector<std::string>* passed) const {
  std::vector<NamedSource> found;
  for (const std::string& source : sources_) {
    if (parents_) {
      RETURN_IF_ERROR(find_with_parents(tree, source, passed, found));
      continue;
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> matches, match_sources(tree, source, passed));
    for (const std::string& match : matches) {
      ASSIGN_OR_RETURN(const bool left_out, leaves_out(tree, match, has_glob_characters(source)));
      if (!left_out) found.push_back(NamedSource{match, std::nullopt});
    }
  }
  return found;
}

// A source that names a file is left out when its name or its path is excluded, as the reference says of
// `COPY --exclude=*.txt hom* /mydir/`; so is a folder that a wildcard found, as far as nothing in it comes back.
Result<bool> CopySelection::leaves_out(const TreeView& tree, const std::string& path, bool by_wildcard) const {
  if (exclude_.empty() || !(exclude_.excludes(last_part(path)) || exclude_.excludes(path))) return false;
  ASSIGN_OR_RETURN(const std::string real, tree.resolve(path, true));
  ASSIGN_OR_RETURN(const std::optional<Found> found, tree.lookup(real));
  if (!found) return by_wildcard;
  return found->node.type != archive::NodeType::kDirectory || (by_wildcard && !has_exceptions_);
}

Status CopySelection::find_with_parents(const TreeView& tree, const std::string& source,
                                        std::vector<std::string>* passed, std::vector<NamedSource>& found) const {
  const auto [folder, pattern] = split_at_pivot(source);
  std::optional<Glob> inside;
  if (!pattern.empty()) {
    ASSIGN_OR_RETURN(inside, Glob::parse(pattern, Glob::Syntax::kIgnore));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> folders, match_sources(tree, folder, passed));
  for (const std::string& match : folders) found.push_back(NamedSource{match, inside});
  return imagebuild::ok();
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
