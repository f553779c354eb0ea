#include "builder/source/trees.h"

#include <fcntl.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "api/volume.h"
#include "archive/tar_writer.h"
#include "base/file.h"
#include "base/overloaded.h"
#include "builder/prepare/context.h"
#include "builder/prepare/excerpt.h"
#include "builder/prepare/stoppable.h"
#include "builder/source/download.h"
#include "builder/source/folder.h"
#include "builder/source/git.h"
#include "builder/source/git_settings.h"
#include "dockerfile/ignore.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;
using archive::Node;
using archive::NodeType;
using archive::TreeIndex;

namespace {

constexpr const char* kContextFileName = "context";  // BuildKit's, for a named context that is a web file.
constexpr unsigned kDownloadMode = 0600;

// Without what is behind '?' and '#', and without a password.
std::string shown(const std::string& url) {
  std::string text = url.substr(0, url.find_first_of("?#"));
  const std::size_t begin = text.find("://");
  if (begin == std::string::npos) return text;
  const std::size_t end = std::min(text.find('/', begin + 3), text.size());
  const std::size_t at = text.substr(0, end).rfind('@');
  if (at != std::string::npos) text.erase(begin + 3, at + 1 - (begin + 3));
  return text;
}

// The digits of "sha256:…"; none for an empty text.
Result<std::string> sha256_of(const std::string& checksum) {
  if (checksum.empty()) return std::string();
  const Result<oci::Digest> digest = oci::Digest::parse(checksum);
  if (digest.ok()) return std::string(digest->hex());
  return Error{ErrorCode::kInvalidInput, "the checksum '" + checksum + "' must be sha256: and 64 hexadecimal digits"};
}

// As a checkout with umask 022 has it, whatever the umask was.
std::uint32_t mode_for_all(std::uint32_t mode) {
  const std::uint32_t own = mode & 0700U;
  const std::uint32_t shared = own & ~0200U;
  return own | (shared >> 3U) | (shared >> 6U);
}

// Fetches one tree into a folder of its own, which is gone at the end.
class TreeFetch {
 public:
  TreeFetch(const TreesRequest& request, const SourceSeams& seams, fs::path scratch, fs::path tar)
      : request_(request), seams_(seams), scratch_(std::move(scratch)), tar_(std::move(tar)) {}

  Result<TreeIndex> fetch(const api::FileTree& tree) {
    return std::visit(Overloaded{
                          [&](const api::NamedContext& context) { return from_context(context.name); },
                          [&](const api::HttpDownload& download) { return from_http(download); },
                          [&](const api::GitCheckout& checkout) { return from_git(checkout); },
                      },
                      tree.origin);
  }
  std::vector<std::string> take_warnings() { return std::move(warnings_); }

 private:
  Result<TreeIndex> from_http(const api::HttpDownload& wanted) {
    ASSIGN_OR_RETURN(const std::optional<dockerfile::RemoteUrl> url, dockerfile::parse_remote(wanted.url));
    std::string name = url ? url->file_name : "";
    if (name.empty()) return Error{ErrorCode::kInvalidInput, "'" + shown(wanted.url) + "' is no address of a file"};
    ASSIGN_OR_RETURN(const Downloaded file, download_file(wanted.url, wanted.checksum));
    return one_file(std::move(name), file.modified_s);
  }

  fs::path downloaded() const { return scratch_ / "download"; }

  Result<Downloaded> download_file(const std::string& url, const std::string& checksum) {
    DownloadRequest request;
    request.url = url;
    ASSIGN_OR_RETURN(request.sha256, sha256_of(checksum));
    request.file = downloaded();
    request.max_bytes = request_.max_download_bytes;
    request.credentials_hint = "none are sent here; fetch it in a RUN that mounts a secret";
    request.retry = request_.retry;
    request.seams = request_.retry_seams;
    return download(request, seams_.transport, request_.stop);
  }

  // The download as a tree.
  Result<TreeIndex> one_file(std::string name, std::int64_t mtime_s) {
    ASSIGN_OR_RETURN(UniqueFd fd, open_file(downloaded(), O_RDONLY));
    std::error_code error;
    Node node;
    node.path = std::move(name);
    node.mode = kDownloadMode;
    node.mtime_s = mtime_s;
    node.size_bytes = fs::file_size(downloaded(), error);
    if (error) return system_error(downloaded().string(), error.value());
    const auto content = stoppable(std::make_unique<FileSource>(std::move(fd)), request_.stop);
    ASSIGN_OR_RETURN(UniqueFd tar, open_file(tar_, O_WRONLY | O_CREAT | O_TRUNC));
    FileSink sink(std::move(tar));
    archive::TarWriter writer(sink);
    RETURN_IF_ERROR(writer.add(node, content.get()));
    node.data_offset = writer.last_content_offset();
    RETURN_IF_ERROR(writer.finish());
    TreeIndex index;
    index.put(std::move(node));
    return index;
  }

  Result<TreeIndex> from_git(const api::GitCheckout& wanted) {
    ASSIGN_OR_RETURN(const GitAddress address, GitAddress::parse(wanted.url));
    if (address.transport == GitTransport::kSsh && !request_.own_machine) {
      return Error{ErrorCode::kUnsupported,
                   "there is no SSH key for the repository here; use an https address, or name the repository in "
                   "spec.contexts with a secretRef and copy from that"};
    }
    api::GitSource source;
    source.url = wanted.url;
    source.revision = wanted.ref;
    source.submodules = wanted.submodules;
    GitRequest request{std::move(source), std::nullopt, scratch_, seams_.log};
    request.checksum = wanted.checksum;
    request.keep_git_dir = wanted.keep_git_dir && wanted.folder.empty();
    request.own_ssh = request_.own_machine;
    request.credentials_hint = "none are sent here; clone it in a RUN that mounts a secret, or use SSH";
    ASSIGN_OR_RETURN(GitCheckout checkout, fetch_git(request, seams_.processes, request_.stop));
    for (std::string& warning : checkout.warnings) warnings_.push_back(std::move(warning));
    const Result<fs::path> folder = enter(checkout.folder, wanted.folder);
    if (!folder.ok()) {
      const bool missing = folder.error().code == ErrorCode::kNotFound;
      return Error{folder.error().code,
                   "'" + wanted.folder + "' in the repository " + (missing ? "does not exist" : "is no folder of it")};
    }
    return pack(folder->string(), "", false, [&](Node& node) {
      node.mtime_s = checkout.epoch_s;
      if (node.type != NodeType::kSymlink) node.mode = mode_for_all(node.mode);
    });
  }

  Result<TreeIndex> from_context(const std::string& name) {
    const auto found = std::ranges::find_if(request_.contexts, [&](const NamedContext& c) { return c.name == name; });
    if (found == request_.contexts.end()) {
      return Error{ErrorCode::kInternal, "there is no build context '" + name + "'"};
    }
    return std::visit(Overloaded{
                          [](const ContextImage&) -> Result<TreeIndex> {
                            return Error{ErrorCode::kInternal, "an image is no tree of files"};
                          },
                          [&](const ContextFolder& folder) { return pack(folder.path.string(), "", true); },
                          [&](const dockerfile::RemoteUrl& remote) { return from_remote(remote); },
                          [&](const ContextSource& source) { return from_source(source); },
                      },
                      found->value)
        .in("the build context '" + name + "'");
  }

  Result<TreeIndex> from_remote(const dockerfile::RemoteUrl& remote) {
    if (remote.kind == dockerfile::RemoteUrl::Kind::kGit) {
      return from_git({remote.url, remote.ref, remote.folder, remote.checksum, remote.keep_git_dir.value_or(false),
                       remote.submodules.value_or(true)});
    }
    ASSIGN_OR_RETURN(const Downloaded file, download_file(remote.url, ""));
    ASSIGN_OR_RETURN(const std::optional<fs::path> tar, as_tar(downloaded(), scratch_));
    if (!tar) return one_file(kContextFileName, file.modified_s);
    return pack(tar->string(), "", false);
  }

  Result<TreeIndex> from_source(const ContextSource& source) {
    const SourcePlaces places{source.mounted, source.secret, scratch_};
    ASSIGN_OR_RETURN(FetchedSource fetched, fetch_source(source.source, places, seams_, request_.stop));
    for (std::string& warning : fetched.warnings) warnings_.push_back(std::move(warning));
    // As BuildKit: what comes from a server is taken whole.
    const bool ignoring = !source.source.git && !source.source.http && !source.source.oci;
    return pack(fetched.context.string(), fetched.tar_sub_path, ignoring, [&](Node& node) {
      if (source.source.git) node.mtime_s = fetched.epoch_s;
    });
  }

  // A folder or tar file, less what its .dockerignore excludes if that counts.
  Result<TreeIndex> pack(const std::string& from, const std::string& sub_path, bool ignoring,
                         const std::function<void(Node&)>& change = {}) {
    ASSIGN_OR_RETURN(const Context context,
                     Context::open(from, tar_, ContextOptions{sub_path, !request_.own_machine, request_.stop}));
    dockerfile::IgnoreRules rules;
    if (ignoring) {
      ASSIGN_OR_RETURN(const std::optional<std::string> text, context.read(".dockerignore", kMaxIgnoreBytes));
      ASSIGN_OR_RETURN(rules, dockerfile::IgnoreRules::parse(text.value_or("")).in(".dockerignore"));
    }
    ASSIGN_OR_RETURN(TreeIndex index, context.index(rules));
    if (change) {
      TreeIndex changed;
      for (const auto& [path, node] : index.nodes()) {
        Node copy = node;
        change(copy);
        changed.put(std::move(copy));
      }
      index = std::move(changed);
    }
    return context.folder().empty() ? index : context.pack(index, tar_);
  }

  static constexpr std::uint64_t kMaxIgnoreBytes = 1U << 20;

  const TreesRequest& request_;
  const SourceSeams& seams_;
  fs::path scratch_;
  fs::path tar_;
  std::vector<std::string> warnings_;
};

// The folder that everything is fetched into is nobody's business.
Error without_path(const Error& error, const fs::path& path) {
  std::string text = error.message;
  const std::string folder = path.string();
  for (std::size_t at = text.find(folder); at != std::string::npos; at = text.find(folder, at)) {
    text.replace(at, folder.size(), "…");
  }
  return Error{error.code, std::move(text)};
}

Result<std::vector<std::string>> fetch_to(const fs::path& volume, int number, const api::FileTree& tree,
                                          const TreesRequest& request, const SourceSeams& seams) {
  const fs::path tar = volume / api::volume::tree_tar(number);
  const fs::path index_file = volume / api::volume::tree_index(number);
  std::error_code error;
  fs::create_directories(tar.parent_path(), error);
  if (error) return system_error(tar.parent_path().string(), error.value());
  ASSIGN_OR_RETURN(const TempDir scratch, TempDir::create("fetch-", tar.parent_path()));
  const fs::path half = scratch.path() / "half.tar";
  const fs::path work = scratch.path() / "work";
  fs::create_directory(work, error);
  if (error) return system_error(work.string(), error.value());
  TreeFetch fetch(request, seams, work, half);
  const Result<TreeIndex> index = fetch.fetch(tree);
  if (!index.ok()) return without_path(index.error(), work);
  fs::rename(half, tar, error);
  if (error) return system_error(tar.string(), error.value());
  const Status saved = index->save(index_file);
  if (!saved.ok()) {
    fs::remove(tar, error);
    fs::remove(index_file, error);
    return saved.error();
  }
  return fetch.take_warnings();
}

}  // namespace

std::string title_of(const api::FileTree& tree) {
  return std::visit(
      Overloaded{
          [](const api::NamedContext& context) { return "load the build context '" + context.name + "'"; },
          [](const api::HttpDownload& download) { return "download " + shown(download.url); },
          [](const api::GitCheckout& checkout) {
            return "clone " + shown(checkout.url) + (checkout.ref.empty() ? "" : " at " + checkout.ref);
          },
      },
      tree.origin);
}

Result<std::vector<api::Warning>> fetch_tree(const api::Plan& plan, int tree, const TreesRequest& request,
                                             const SourceSeams& seams) {
  const api::FileTree& wanted = plan.trees[static_cast<std::size_t>(tree)];
  Result<std::vector<std::string>> warnings = fetch_to(request.volume, tree, wanted, request, seams);
  if (!warnings.ok()) {
    const Error error = dockerfile::located_error(plan.dockerfile, {wanted.at.line, wanted.at.column},
                                                  warnings.error().message, warnings.error().code);
    return with_excerpt(error, plan.dockerfile, request.dockerfile_text);
  }
  std::vector<api::Warning> result;
  for (std::string& warning : *warnings) result.push_back({"", std::move(warning), wanted.at});
  return result;
}

Status fetch_trees(api::Plan& plan, const TreesRequest& request, const SourceSeams& seams) {
  for (std::size_t i = 0; i < plan.trees.size(); ++i) {
    if (seams.log) seams.log(title_of(plan.trees[i]));
    ASSIGN_OR_RETURN(const std::vector<api::Warning> warnings, fetch_tree(plan, static_cast<int>(i), request, seams));
    plan.warnings.insert(plan.warnings.end(), warnings.begin(), warnings.end());
  }
  return ok();
}

}  // namespace imagebuild::builder
