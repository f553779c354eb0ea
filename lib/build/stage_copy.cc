// COPY and ADD.
#include <algorithm>
#include <utility>

#include "build/stage_solver.h"
#include "dockerfile/expand.h"
#include "dockerfile/values.h"

namespace imagebuild::build {

namespace {

using dockerfile::Word;

bool names_a_folder(const std::string& destination) {
  return destination.empty() || destination.ends_with('/') || destination == "." || destination.ends_with("/.");
}

// As CopyStep::sources has it: cleaned, and with --parents the first "/./" kept.
std::string source_pattern(const std::string& written, bool parents) {
  const auto clean = [](const std::string& path) { return clean_join("/", path).substr(1); };
  const std::size_t pivot = parents ? written.find("/./") : std::string::npos;
  if (pivot == std::string::npos) return clean(written);
  return clean(written.substr(0, pivot)) + "/./" + clean(written.substr(pivot + 3));
}

// What a stage has to export so that `pattern` can be copied from it.
std::string export_pattern(std::string pattern) {
  if (const std::size_t pivot = pattern.find("/./"); pivot != std::string::npos) pattern.erase(pivot, 2);
  return pattern.starts_with('/') ? pattern.substr(1) : pattern;
}

}  // namespace

Result<api::CopyStep> StageSolver::copy_of(const dockerfile::CopySources& sources, const std::string& keyword,
                                           bool parents) {
  api::CopyStep step;
  step.parents = parents;
  step.link = sources.link;
  std::string shown = keyword;
  if (sources.chown) {
    ASSIGN_OR_RETURN(step.owner, expand(*sources.chown));
    shown += " --chown=" + step.owner;
  }
  if (sources.chmod) {
    ASSIGN_OR_RETURN(step.mode, expand(*sources.chmod));
    const Status valid = dockerfile::check_mode(step.mode);
    if (!valid.ok()) return fail(sources.chmod->at, valid.error().message);
    shown += " --chmod=" + step.mode;
  }
  if (step.link) shown += " --link";
  if (parents) shown += " --parents";
  for (const Word& pattern : sources.exclude) {
    ASSIGN_OR_RETURN(std::string excluded, expand(pattern));
    shown += " --exclude=" + excluded;
    step.exclude.push_back(std::move(excluded));
  }
  remotes_.clear();
  for (const Word& path : sources.paths) {
    ASSIGN_OR_RETURN(std::string source, expand(path));
    shown += " " + source;
    Result<std::optional<dockerfile::RemoteUrl>> remote = dockerfile::parse_remote(source);
    if (!remote.ok()) return fail(path.at, remote.error().message, remote.error().code);
    if (!*remote) {
      step.sources.push_back(source_pattern(source, parents));
    } else if (keyword == "ADD") {
      remotes_.push_back(Remote{std::move(**remote), path.at});
    } else {
      return fail(path.at, "COPY takes no files from the network; use ADD");
    }
  }
  for (const dockerfile::InlineFile& file : sources.files) {
    std::string content = file.text();
    if (file.expand) {
      Result<dockerfile::Expanded> expanded = dockerfile::expand_heredoc(content, scope_.lookup());
      if (!expanded.ok()) return fail(file.at, expanded.error().message, expanded.error().code);
      content = std::move(expanded->text);
    }
    step.inline_sources.push_back(api::InlineFile{file.name, std::move(content)});
    shown += " " + file.name;
  }
  ASSIGN_OR_RETURN(const std::string destination, expand(sources.destination));
  step.destination = absolute(destination);
  const std::size_t count = step.sources.size() + remotes_.size() + step.inline_sources.size();
  step.destination_is_folder = names_a_folder(destination) || count > 1;
  created_by_ = shown + " " + destination;
  return step;
}

Status StageSolver::on(const dockerfile::Copy& copy) {
  ASSIGN_OR_RETURN(api::CopyStep step, copy_of(copy.sources, "COPY", copy.parents));
  if (copy.from) {
    std::vector<std::string> exported;
    for (const std::string& source : step.sources) exported.push_back(export_pattern(source));
    ASSIGN_OR_RETURN(step.from, elsewhere_.resolve_from(*copy.from, place_.file, exported));
  }
  add_step(created_by_, std::move(step));
  return ok();
}

Status StageSolver::add_remotes(const dockerfile::Add& add, api::CopyStep& step) {
  std::string checksum;
  if (add.checksum) {
    ASSIGN_OR_RETURN(checksum, expand(*add.checksum));
    if (remotes_.size() != 1 || !step.sources.empty() || !step.inline_sources.empty()) {
      return fail(add.checksum->at, "ADD --checksum is for one source from the network; give it an ADD of its own");
    }
  }
  bool has_git = false;
  for (const Remote& remote : remotes_) {
    api::FileTree tree{api::HttpDownload{remote.url.url, checksum}, {remote.at.line, remote.at.column}};
    if (remote.url.kind == dockerfile::RemoteUrl::Kind::kGit) {
      has_git = true;
      tree.origin = api::GitCheckout{remote.url.url,
                                     remote.url.ref,
                                     remote.url.folder,
                                     checksum.empty() ? remote.url.checksum : checksum,
                                     add.keep_git_dir.value_or(remote.url.keep_git_dir.value_or(false)),
                                     remote.url.submodules.value_or(true)};
    }
    step.remotes.push_back({elsewhere_.tree(tree), add.unpack.value_or(false)});
  }
  if (add.keep_git_dir.value_or(false) && !has_git) {
    return fail(place_.at, "ADD --keep-git-dir is for Git repositories; remove the flag");
  }
  return ok();
}

Status StageSolver::on(const dockerfile::Add& add) {
  ASSIGN_OR_RETURN(api::CopyStep step, copy_of(add.sources, "ADD"));
  step.unpack_archives = add.unpack.value_or(true);
  RETURN_IF_ERROR(add_remotes(add, step));
  add_step(created_by_, std::move(step));
  return ok();
}

}  // namespace imagebuild::build
