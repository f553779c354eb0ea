// Working folders that depend on the base image, and sources that .dockerignore leaves out.
#include <filesystem>
#include <string>

#include "dockerfile/expand.h"
#include "lint/checks/checks.h"

namespace imagebuild::lint {

namespace {

using dockerfile::Word;

std::optional<std::string> expand(const Turn& turn, const Word& word) {
  Result<dockerfile::Expanded> expanded = dockerfile::expand_word(word.text, turn.escape, turn.scope.lookup());
  if (!expanded.ok()) return std::nullopt;
  return std::move(expanded->text);
}

void check_workdir(const Turn& turn, const Word& word, Findings& findings) {
  if (turn.workdir_set) return;  // What the first one is relative to decides about all that follow.
  const std::optional<std::string> path = expand(turn, word);
  if (!path || path->starts_with('/')) return;
  findings.add("WorkdirRelativePath", word.at,
               "the folder '" + *path +
                   "' is below whatever WORKDIR the base image has, which a new version of it may change; write an "
                   "absolute path");
}

bool is_remote(const std::string& source) {
  for (const char* scheme : {"http://", "https://", "git://", "ssh://", "git@"}) {
    if (source.starts_with(scheme)) return true;
  }
  return false;
}

void check_sources(const Turn& turn, const std::string& keyword, const dockerfile::CopySources& sources,
                   Findings& findings) {
  for (const Word& word : sources.paths) {
    const std::optional<std::string> source = expand(turn, word);
    if (!source || is_remote(*source)) continue;
    const std::string path = std::filesystem::path("/" + *source).lexically_normal().string();
    std::string relative =
        path.substr(path.find_first_not_of('/') == std::string::npos ? path.size() : path.find_first_not_of('/'));
    while (relative.ends_with('/')) relative.pop_back();
    const dockerfile::IgnoreRules& ignore = *turn.input.ignore;
    if (relative.empty() || !ignore.excludes(relative) || ignore.may_contain_included(relative)) continue;
    findings.add("CopyIgnoredFile", word.at,
                 "'" + relative + "' is left out of the context by .dockerignore, so " + keyword +
                     " will not find it; take it out of .dockerignore or do not copy it");
  }
}

}  // namespace

void check_paths(const Turn& turn, Findings& findings) {
  if (const auto* workdir = std::get_if<dockerfile::Workdir>(&turn.instruction.command)) {
    check_workdir(turn, workdir->path, findings);
  }
  if (turn.input.ignore == nullptr) return;
  if (const auto* copy = std::get_if<dockerfile::Copy>(&turn.instruction.command); copy != nullptr && !copy->from) {
    check_sources(turn, "COPY", copy->sources, findings);
  }
  if (const auto* add = std::get_if<dockerfile::Add>(&turn.instruction.command)) {
    check_sources(turn, "ADD", add->sources, findings);
  }
}

}  // namespace imagebuild::lint
