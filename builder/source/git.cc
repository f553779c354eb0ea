#include "builder/source/git.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "builder/source/git_failure.h"
#include "builder/source/git_settings.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kShaDigits = 40;
constexpr std::size_t kSha256Digits = 64;
constexpr std::size_t kShortestSha = 4;
constexpr std::size_t kShownFiles = 3;
constexpr const char* kFetched = "refs/imagebuild/fetched";

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_full_sha(std::string_view text) {
  return (text.size() == kShaDigits || text.size() == kSha256Digits) && is_hex(text);
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string lower_hex(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
  return text;
}

// "name:password@" of a web address, with its '@'; empty where there is none.
std::string user_of(const std::string& url) {
  if (!url.starts_with("http://") && !url.starts_with("https://")) return {};
  const std::size_t begin = url.find("://") + 3;
  const std::size_t at = url.substr(0, url.find('/', begin)).rfind('@');
  return at == std::string::npos ? "" : url.substr(begin, at + 1 - begin);
}

std::string without_user(std::string url) {
  const std::string user = user_of(url);
  if (!user.empty()) url.erase(url.find("://") + 3, user.size());
  return url;
}

// A ref of the remote, and what it points to.
struct RemoteRef {
  std::string sha;
  std::string name;  // "refs/heads/main"; "HEAD".
};

class GitFetch {
 public:
  GitFetch(const GitRequest& request, ProcessRunner& processes, GitAddress address, GitSettings settings,
           std::stop_token stop)
      : request_(request),
        processes_(processes),
        address_(std::move(address)),
        settings_(std::move(settings)),
        stop_(std::move(stop)),
        tree_(request.scratch / "tree") {}

  Result<GitCheckout> run() {
    const std::string& revision = request_.source.revision;
    if (request_.log) {
      request_.log("fetching " + without_user(request_.source.url) + (revision.empty() ? "" : " at " + revision));
    }
    RETURN_IF_ERROR(git({"init", "--quiet", "--template=", tree_.string()}, false));
    RETURN_IF_ERROR(git({"remote", "add", "origin", request_.source.url}));
    GitCheckout checkout;
    ASSIGN_OR_RETURN(const std::string name, fetch_revision(revision));
    ASSIGN_OR_RETURN(const std::string commit, git({"rev-parse", "--verify", std::string(kFetched) + "^{commit}"}));
    RETURN_IF_ERROR(check_commit(commit));
    checkout.revision = (name.empty() ? "" : name + "@") + "sha1:" + commit;
    ASSIGN_OR_RETURN(checkout.epoch_s, commit_time(commit));
    if (request_.log) request_.log("checking out " + checkout.revision);
    RETURN_IF_ERROR(git({"checkout", "--quiet", "--force", "--detach", commit}));
    RETURN_IF_ERROR(add_submodules(checkout));
    RETURN_IF_ERROR(look_for_lfs(checkout));
    RETURN_IF_ERROR(request_.keep_git_dir ? tidy_git_folder() : remove_git_folders());
    checkout.folder = tree_;
    return checkout;
  }

 private:
  // The output, without the line end. A failure of git is an Error in our words.
  Result<std::string> git(std::vector<std::string> arguments, bool in_tree = true) {
    ASSIGN_OR_RETURN(const ProcessResult result, start(std::move(arguments), in_tree));
    if (result.exit_status != 0) return failure(result);
    return trimmed(result.stdout_text);
  }

  Result<ProcessResult> start(std::vector<std::string> arguments, bool in_tree = true) {
    ProcessSpec spec;
    spec.argv = std::move(arguments);
    spec.argv.insert(spec.argv.begin(), "git");
    spec.environment = settings_.environment();
    if (in_tree) spec.directory = tree_.string();
    spec.stop_grace = std::chrono::milliseconds(2000);
    Result<ProcessResult> result = processes_.run(spec, stop_);
    if (!result.ok() && result.error().code == ErrorCode::kNotFound) {
      return Error{ErrorCode::kInternal, "git is not installed in the builder's image: " + result.error().message};
    }
    return result;
  }

  Error failure(const ProcessResult& result) const {
    std::string text = settings_.without_secrets(result.stderr_text);
    if (const std::string user = user_of(request_.source.url); user.size() > 1) {
      for (std::size_t at = text.find(user); at != std::string::npos; at = text.find(user)) text.erase(at, user.size());
    }
    return git_failure(text, address_.host, request_.secret ? "" : request_.credentials_hint);
  }

  Error no_such_revision() const {
    return Error{ErrorCode::kNotFound, "there is no branch, tag or commit '" + request_.source.revision + "'"};
  }

  // Fetches it to kFetched; returns the name to show before the commit, empty for a commit.
  Result<std::string> fetch_revision(const std::string& revision) {
    if (is_full_sha(lower_hex(revision))) {
      RETURN_IF_ERROR(fetch_commit(lower_hex(revision)));
      return std::string();
    }
    ASSIGN_OR_RETURN(const std::vector<RemoteRef> refs, list_refs(revision));
    if (revision.empty()) return fetch_head(refs);
    for (const std::string& name : {revision, "refs/heads/" + revision, "refs/tags/" + revision, "refs/" + revision}) {
      if (!name.starts_with("refs/") || !has(refs, name)) continue;
      RETURN_IF_ERROR(fetch_ref(name));
      return revision;
    }
    const std::string start_of_sha = lower_hex(revision);
    if (start_of_sha.size() < kShortestSha || start_of_sha.size() > kSha256Digits || !is_hex(start_of_sha)) {
      return no_such_revision();
    }
    RETURN_IF_ERROR(fetch_short_commit(start_of_sha));
    return std::string();
  }

  static bool has(const std::vector<RemoteRef>& refs, const std::string& name) {
    return std::ranges::any_of(refs, [&](const RemoteRef& ref) { return ref.name == name; });
  }

  // The remote's refs whose name ends in the revision (git's patterns), or its HEAD and what that stands for.
  Result<std::vector<RemoteRef>> list_refs(const std::string& revision) {
    ASSIGN_OR_RETURN(const std::string text, revision.empty() ? git({"ls-remote", "--symref", "origin", "HEAD"})
                                                              : git({"ls-remote", "origin", literal(revision)}));
    std::vector<RemoteRef> refs;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::size_t tab = text.find('\t', at);
      if (tab < end) refs.push_back(RemoteRef{text.substr(at, tab - at), text.substr(tab + 1, end - tab - 1)});
      at = end + 1;
    }
    return refs;
  }

  // A pattern that means the text itself.
  static std::string literal(const std::string& text) {
    std::string result;
    for (const char c : text) {
      if (std::string_view("*?[\\").find(c) != std::string_view::npos) result += '\\';
      result += c;
    }
    return result;
  }

  Result<std::string> fetch_head(const std::vector<RemoteRef>& refs) {
    constexpr std::string_view kSymref = "ref: ";
    constexpr std::string_view kBranch = "refs/heads/";
    if (refs.empty()) return Error{ErrorCode::kNotFound, "the repository has no HEAD: is it empty?"};
    RETURN_IF_ERROR(fetch_ref("HEAD"));
    for (const RemoteRef& ref : refs) {
      if (ref.name != "HEAD" || !ref.sha.starts_with(kSymref)) continue;
      const std::string target = ref.sha.substr(kSymref.size());
      fetched_ref_ = target;
      return target.starts_with(kBranch) ? target.substr(kBranch.size()) : target;
    }
    return std::string("HEAD");
  }

  std::vector<std::string> fetch_words() const {
    std::vector<std::string> words = {"fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--force"};
    const std::int64_t depth = request_.source.depth.value_or(api::kDefaultGitDepth);
    if (depth > 0) words.push_back("--depth=" + std::to_string(depth));
    words.emplace_back("origin");
    return words;
  }

  Status fetch_ref(const std::string& name) {
    fetched_ref_ = name;
    std::vector<std::string> words = fetch_words();
    words.push_back("+" + name + ":" + kFetched);
    const Result<std::string> fetched = git(std::move(words));
    return fetched.ok() ? ok() : Status(fetched.error());
  }

  // By its name, where the server lets anybody ask for any commit; else among everything that it has.
  Status fetch_commit(const std::string& sha) {
    std::vector<std::string> words = fetch_words();
    words.push_back(sha);
    ASSIGN_OR_RETURN(const ProcessResult result, start(std::move(words)));
    if (result.exit_status != 0) {
      const Error error = failure(result);
      const bool refused = error.code == ErrorCode::kNotFound || error.message.starts_with("git failed");
      if (!refused || error.message.find("repository") != std::string::npos) return error;
      RETURN_IF_ERROR(fetch_everything());
    }
    return point_at(sha);
  }

  Status fetch_short_commit(const std::string& sha) {
    RETURN_IF_ERROR(fetch_everything());
    return point_at(sha);
  }

  Status fetch_everything() {
    const Result<std::string> fetched = git({"fetch", "--quiet", "--no-recurse-submodules", "--force", "origin",
                                             "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"});
    return fetched.ok() ? ok() : Status(fetched.error());
  }

  Status point_at(const std::string& sha) {
    ASSIGN_OR_RETURN(const ProcessResult found, start({"rev-parse", "--verify", "--quiet", sha + "^{commit}"}));
    if (found.stderr_text.find("ambiguous") != std::string::npos) {
      return Error{ErrorCode::kInvalidInput,
                   "several commits begin with '" + request_.source.revision + "': give more of its digits"};
    }
    if (found.exit_status != 0) return no_such_revision();
    const Result<std::string> updated = git({"update-ref", kFetched, trimmed(found.stdout_text)});
    return updated.ok() ? ok() : Status(updated.error());
  }

  // An annotated tag's own digits count too (BuildKit).
  Status check_commit(const std::string& commit) {
    constexpr std::size_t kShortestChecksum = 7;
    if (request_.checksum.empty()) return ok();
    const std::string wanted = lower_hex(request_.checksum);
    if (wanted.size() < kShortestChecksum || wanted.size() > kSha256Digits || !is_hex(wanted)) {
      return Error{ErrorCode::kInvalidInput,
                   "the checksum of a repository must be a commit, or at least 7 of its digits"};
    }
    if (commit.starts_with(wanted)) return ok();
    ASSIGN_OR_RETURN(const std::string tag, git({"rev-parse", "--verify", kFetched}));
    if (tag.starts_with(wanted)) return ok();
    const std::string& revision = request_.source.revision;
    return Error{ErrorCode::kInvalidInput, (revision.empty() ? "HEAD" : "'" + revision + "'") + " is the commit " +
                                               commit + ", not " + request_.checksum + " as it should"};
  }

  Result<std::int64_t> commit_time(const std::string& commit) {
    ASSIGN_OR_RETURN(const std::string text,
                     git({"show", "--no-patch", "--no-show-signature", "--format=%ct", commit}));
    std::int64_t seconds = 0;
    std::from_chars(text.data(), text.data() + text.size(), seconds);
    return std::max<std::int64_t>(seconds, 0);
  }

  Status add_submodules(GitCheckout& checkout) {
    std::error_code error;
    if (!fs::exists(fs::symlink_status(tree_ / ".gitmodules", error))) return ok();
    if (!request_.source.submodules) {
      checkout.warnings.emplace_back("the repository has submodules, which are not fetched; set submodules to do so");
      return ok();
    }
    const std::int64_t depth = request_.source.depth.value_or(api::kDefaultGitDepth);
    std::vector<std::string> words = {"submodule", "--quiet", "update", "--init", "--recursive", "--force"};
    if (depth > 0) {
      std::vector<std::string> shallow = words;
      shallow.push_back("--depth=" + std::to_string(depth));
      ASSIGN_OR_RETURN(const ProcessResult result, start(std::move(shallow)));
      if (result.exit_status == 0) return ok();
      const Error why = failure(result);
      if (why.code == ErrorCode::kDenied || why.code == ErrorCode::kUnsupported || why.code == ErrorCode::kExhausted) {
        return why.in("a submodule");
      }
      fs::remove_all(tree_ / ".git" / "modules", error);  // What is there is too shallow to go on with.
      RETURN_IF_ERROR(git({"submodule", "--quiet", "deinit", "--all", "--force"}));
    }
    const Result<std::string> result = git(std::move(words));
    return result.ok() ? ok() : Status(result.error().in("a submodule"));
  }

  Status look_for_lfs(GitCheckout& checkout) {
    ASSIGN_OR_RETURN(const ProcessResult listed, start({"ls-files", "-z", "--", ":(attr:filter=lfs)"}));
    if (listed.exit_status != 0 || listed.stdout_text.empty()) return ok();
    std::string_view text = listed.stdout_text;
    std::size_t count = 0;
    std::string shown;
    for (std::size_t end = text.find('\0'); end != std::string_view::npos; end = text.find('\0')) {
      if (count++ < kShownFiles) shown += (shown.empty() ? "" : ", ") + std::string(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
    checkout.warnings.push_back("Git LFS is not supported: " + std::to_string(count) +
                                " files are only pointers to their content: " + shown +
                                (count > kShownFiles ? ", …" : ""));
    return ok();
  }

  // .git as a clone has it, but the same whenever and wherever it is made: an index without times and inodes, no traces
  // of the fetch, no password.
  Status tidy_git_folder() {
    constexpr std::string_view kBranch = "refs/heads/";
    std::string ref;
    if (fetched_ref_.starts_with("refs/tags/")) ref = fetched_ref_;
    if (fetched_ref_.starts_with(kBranch)) ref = "refs/remotes/origin/" + fetched_ref_.substr(kBranch.size());
    if (!ref.empty()) RETURN_IF_ERROR(git({"update-ref", ref, kFetched}));
    RETURN_IF_ERROR(git({"update-ref", "-d", kFetched}));
    RETURN_IF_ERROR(git({"remote", "set-url", "origin", without_user(request_.source.url)}));
    RETURN_IF_ERROR(git({"read-tree", "HEAD"}));
    std::error_code error;
    if (request_.source.submodules && fs::exists(fs::symlink_status(tree_ / ".gitmodules", error))) {
      RETURN_IF_ERROR(git({"submodule", "--quiet", "foreach", "--recursive", "git read-tree HEAD"}));
    }
    std::vector<fs::path> traces;
    for (auto it = fs::recursive_directory_iterator(tree_ / ".git", error);
         !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
      const fs::path name = it->path().filename();
      if (name == "FETCH_HEAD" || name == "ORIG_HEAD") traces.push_back(it->path());
    }
    for (const fs::path& path : traces) fs::remove(path, error);
    return error ? Status(system_error("cannot tidy .git", error.value())) : ok();
  }

  // No path in a commit is named .git, so each such folder or file is git's own.
  Status remove_git_folders() {
    std::error_code error;
    fs::remove_all(tree_ / ".git", error);
    if (error) return system_error("cannot remove .git", error.value());
    if (!request_.source.submodules) return ok();
    std::vector<fs::path> found;
    for (auto it = fs::recursive_directory_iterator(tree_, error); !error && it != fs::recursive_directory_iterator();
         it.increment(error)) {
      if (it->path().filename() == ".git") found.push_back(it->path());
    }
    for (const fs::path& path : found) fs::remove_all(path, error);
    return error ? Status(system_error("cannot remove .git", error.value())) : ok();
  }

  const GitRequest& request_;
  ProcessRunner& processes_;
  GitAddress address_;
  GitSettings settings_;
  std::stop_token stop_;
  fs::path tree_;
  std::string fetched_ref_;  // The full name of what was fetched; empty for a commit.
};

}  // namespace

Result<GitCheckout> fetch_git(const GitRequest& request, ProcessRunner& processes, std::stop_token stop) {
  if (request.source.revision.starts_with('-')) {
    return Error{ErrorCode::kInvalidInput, "a revision must not begin with '-'"};
  }
  ASSIGN_OR_RETURN(GitAddress address, GitAddress::parse(request.source.url));
  const fs::path home = request.scratch / "home";
  std::error_code error;
  fs::create_directories(home, error);
  if (error) return system_error(home.string(), error.value());
  ASSIGN_OR_RETURN(GitSettings settings, GitSettings::create(address, request.secret, home, request.own_ssh));
  return GitFetch(request, processes, std::move(address), std::move(settings), std::move(stop)).run();
}

}  // namespace imagebuild::builder
