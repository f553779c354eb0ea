// Fetching with the real git, from repositories that a git daemon on loopback serves.
#include "builder/source/git.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "builder/source/git_failure.h"
#include "builder/source/git_settings.h"
#include "unit/source/git_server.h"
#include "unit/source/test_git.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class GitTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::create("git-test-");
    ASSERT_TRUE(made.ok());
    temp_.emplace(std::move(*made));
    fs::create_directories(root());
    server_.emplace(root());
  }
  fs::path root() const { return temp_->path() / "served"; }

  std::string git(const std::string& repository, const std::vector<std::string>& words) const {
    return run_git(root() / repository, temp_->path(), words);
  }
  std::string commit(const std::string& repository, const std::string& file, const std::string& text) {
    fs::create_directories((root() / repository / file).parent_path());
    std::ofstream(root() / repository / file) << text;
    git(repository, {"add", "."});
    git(repository, {"commit", "-q", "-m", text});
    return git(repository, {"rev-parse", "HEAD"});
  }
  void make(const std::string& repository) {
    fs::create_directories(root() / repository);
    git(repository, {"init", "-q"});
  }
  // main: first, second, third; tag v1 (annotated) at second; branch feature/x beside; a ref of a pull request.
  void make_app() {
    make("app");
    first_ = commit("app", "file", "first");
    second_ = commit("app", "file", "second");
    git("app", {"tag", "-a", "-m", "release", "v1"});
    git("app", {"checkout", "-q", "-b", "feature/x"});
    side_ = commit("app", "file", "side");
    git("app", {"update-ref", "refs/pull/7/head", side_});
    git("app", {"checkout", "-q", "main"});
    third_ = commit("app", "file", "third");
  }

  Result<GitCheckout> fetch(api::GitSource source) {
    auto scratch = TempDir::create("scratch-", temp_->path());
    EXPECT_TRUE(scratch.ok());
    scratches_.push_back(std::move(*scratch));
    GitRequest request{std::move(source), {}, scratches_.back().path(), {}};
    return fetch_git(request, processes_, {});
  }
  static std::string text_of(const fs::path& path) {
    const auto text = read_file(path, 1U << 20);
    return text.ok() ? *text : text.error().message;
  }

  SystemProcessRunner processes_;
  std::optional<TempDir> temp_;
  std::vector<TempDir> scratches_;
  std::optional<GitServer> server_;
  std::string first_, second_, third_, side_;
};

TEST_F(GitTest, FindsBranchesTagsRefsAndCommits) {
  make_app();
  const struct {
    const char* name;
    std::string revision, shown, content;
  } rows[] = {
      {"the remote's HEAD", "", "main@sha1:" + third_, "third"},
      {"a branch", "main", "main@sha1:" + third_, "third"},
      {"a branch with a slash", "feature/x", "feature/x@sha1:" + side_, "side"},
      {"an annotated tag", "v1", "v1@sha1:" + second_, "second"},
      {"a full ref name", "refs/tags/v1", "refs/tags/v1@sha1:" + second_, "second"},
      {"a pull request", "pull/7/head", "pull/7/head@sha1:" + side_, "side"},
      {"an old commit", first_, "sha1:" + first_, "first"},
      {"the start of a commit", first_.substr(0, 10), "sha1:" + first_, "first"},
  };
  for (const auto& row : rows) {
    for (const int depth : {1, 0}) {
      SCOPED_TRACE(std::string(row.name) + ", depth " + std::to_string(depth));
      const auto checkout = fetch({.url = server_->url("app"), .revision = row.revision, .depth = depth});
      ASSERT_TRUE(checkout.ok()) << checkout.error().message;
      EXPECT_EQ(checkout->revision, row.shown);
      EXPECT_EQ(text_of(checkout->folder / "file"), row.content);
      EXPECT_EQ(checkout->epoch_s, 1700000000);
      EXPECT_FALSE(fs::exists(checkout->folder / ".git"));
      EXPECT_TRUE(checkout->warnings.empty());
    }
  }
}

TEST_F(GitTest, ABranchComesBeforeATagOfItsName) {
  make_app();
  git("app", {"tag", "main", first_});
  const auto checkout = fetch({.url = server_->url("app"), .revision = "main"});
  ASSERT_TRUE(checkout.ok()) << checkout.error().message;
  EXPECT_EQ(checkout->revision, "main@sha1:" + third_);
}

TEST_F(GitTest, WhatIsNotThereIsNamed) {
  make_app();
  make("empty");
  const struct {
    const char* name;
    std::string repository, revision;
    ErrorCode code;
    std::string message;
  } rows[] = {
      {"a name", "app", "nope", ErrorCode::kNotFound, "there is no branch, tag or commit 'nope'"},
      {"a part of a name", "app", "x", ErrorCode::kNotFound, "there is no branch, tag or commit 'x'"},
      {"a pattern", "app", "mai*", ErrorCode::kNotFound, "'mai*'"},
      {"a short commit", "app", "abcdef1", ErrorCode::kNotFound, "'abcdef1'"},
      {"a commit", "app", std::string(40, 'a'), ErrorCode::kNotFound, "there is no branch, tag or commit 'aaaa"},
      {"an option", "app", "--upload-pack=x", ErrorCode::kInvalidInput, "must not begin with '-'"},
      {"a repository", "none", "main", ErrorCode::kNotFound, "there is no such repository on 127.0.0.1"},
      {"a commit of an empty repository", "empty", "", ErrorCode::kNotFound, "is it empty?"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto checkout = fetch({.url = server_->url(row.repository), .revision = row.revision});
    ASSERT_FALSE(checkout.ok());
    EXPECT_EQ(checkout.error().code, row.code);
    EXPECT_THAT(checkout.error().message, HasSubstr(row.message));
  }
}

TEST_F(GitTest, AServerThatDoesNotListenMayBeTriedAgain) {
  const std::string url = server_->url("app");
  server_.reset();
  const auto checkout = fetch({.url = url});
  ASSERT_FALSE(checkout.ok());
  EXPECT_EQ(checkout.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(checkout.error().message, HasSubstr("cannot be reached"));
}

TEST_F(GitTest, FilesOfThisMachineAreNoSource) {
  make_app();
  for (const std::string& url : {"file://" + (root() / "app").string(), (root() / "app").string()}) {
    const auto checkout = fetch({.url = url});
    ASSERT_FALSE(checkout.ok()) << url;
    EXPECT_EQ(checkout.error().code, ErrorCode::kInvalidInput);
  }
}

TEST_F(GitTest, SubmodulesComeOnRequest) {
  make("library");
  const std::string old = commit("library", "code", "old");
  commit("library", "code", "new");
  make_app();
  std::ofstream(root() / "app/.gitmodules") << "[submodule \"lib\"]\n\tpath = lib\n\turl = ../library\n";
  git("app", {"update-index", "--add", "--cacheinfo", "160000," + old + ",lib"});
  git("app", {"add", ".gitmodules"});
  git("app", {"commit", "-q", "-m", "submodule"});
  const auto without = fetch({.url = server_->url("app")});
  ASSERT_TRUE(without.ok()) << without.error().message;
  EXPECT_FALSE(fs::exists(without->folder / "lib/code"));
  EXPECT_THAT(without->warnings, ElementsAre(HasSubstr("set submodules")));
  for (const int depth : {1, 0}) {
    const auto with = fetch({.url = server_->url("app"), .depth = depth, .submodules = true});
    ASSERT_TRUE(with.ok()) << with.error().message;
    EXPECT_EQ(text_of(with->folder / "lib/code"), "old");
    EXPECT_FALSE(fs::exists(with->folder / "lib/.git"));
    EXPECT_TRUE(with->warnings.empty());
  }
}

TEST_F(GitTest, ASubmoduleOfThisMachineIsRefused) {
  make("library");
  const std::string inside = commit("library", "code", "secret");
  make_app();
  std::ofstream(root() / "app/.gitmodules")
      << "[submodule \"lib\"]\n\tpath = lib\n\turl = file://" << (root() / "library").string() << "\n";
  git("app", {"update-index", "--add", "--cacheinfo", "160000," + inside + ",lib"});
  git("app", {"add", ".gitmodules"});
  git("app", {"commit", "-q", "-m", "submodule"});
  const auto checkout = fetch({.url = server_->url("app"), .submodules = true});
  ASSERT_FALSE(checkout.ok());
  EXPECT_EQ(checkout.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(checkout.error().message, HasSubstr("a submodule: "));
}

TEST_F(GitTest, FilesOfGitLfsAreWarnedOf) {
  make_app();
  commit("app", ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
  commit("app", "big.bin", "version https://git-lfs.github.com/spec/v1\n");
  const auto checkout = fetch({.url = server_->url("app")});
  ASSERT_TRUE(checkout.ok()) << checkout.error().message;
  EXPECT_THAT(checkout->warnings, ElementsAre(AllOf(HasSubstr("Git LFS"), HasSubstr("big.bin"))));
}

// --- Settings and credentials -------------------------------------------------------------------------------------

class GitSettingsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::create("git-settings-");
    ASSERT_TRUE(made.ok());
    temp_.emplace(std::move(*made));
    fs::create_directories(temp_->path() / "home");
    fs::create_directories(temp_->path() / "secret's");
  }
  void key(const std::string& name, const std::string& value) {
    std::ofstream(temp_->path() / "secret's" / name) << value;
  }
  Result<GitSettings> settings(const std::string& url, bool with_secret = true) {
    const auto address = GitAddress::parse(url);
    if (!address.ok()) return address.error();
    std::optional<SourceSecret> secret;
    if (with_secret) secret.emplace(temp_->path() / "secret's", "git-login");
    return GitSettings::create(*address, secret, temp_->path() / "home");
  }
  // What git itself gets for an address.
  std::string credential_for(const GitSettings& settings, const std::string& protocol, const std::string& host) {
    ProcessSpec spec;
    spec.argv = {"git", "credential", "fill"};
    spec.environment = settings.environment();
    spec.stdin_text = "protocol=" + protocol + "\nhost=" + host + "\n\n";
    const auto result = processes_.run(spec);
    return result.ok() ? result->stdout_text : result.error().message;
  }
  SystemProcessRunner processes_;
  std::optional<TempDir> temp_;
};

TEST_F(GitSettingsTest, PasswordsAreGivenToTheirHostOnlyAndAreInNoSetting) {
  key("username", "anna\n");
  key("password", "pa's\"$(x)w0rd\n");
  const auto made = settings("https://git.example:8443/team/app");
  ASSERT_TRUE(made.ok()) << made.error().message;
  for (const std::string& variable : made->environment()) EXPECT_THAT(variable, Not(HasSubstr("w0rd")));
  const std::string own = credential_for(*made, "https", "git.example:8443");
  EXPECT_THAT(own, HasSubstr("username=anna\n"));
  EXPECT_THAT(own, HasSubstr("password=pa's\"$(x)w0rd\n"));
  for (const auto& [protocol, host] : {std::pair{"https", "git.example"}, std::pair{"https", "evil.example:8443"},
                                       std::pair{"http", "git.example:8443"}}) {
    EXPECT_THAT(credential_for(*made, protocol, host), Not(HasSubstr("w0rd"))) << protocol << " " << host;
  }
  EXPECT_EQ(made->without_secrets("fatal: pa's\"$(x)w0rd is wrong"), "fatal: *** is wrong");
}

TEST_F(GitSettingsTest, ATokenIsAPassword) {
  key("token", "t0ken");
  const auto made = settings("https://git.example/app");
  ASSERT_TRUE(made.ok());
  EXPECT_THAT(credential_for(*made, "https", "git.example"), HasSubstr("password=t0ken\n"));
}

TEST_F(GitSettingsTest, SshKnowsTheServerByKnownHosts) {
  key("ssh-privatekey", "KEY");
  key("known_hosts", "git.example ssh-ed25519 AAAA\n");
  const auto made = settings("git@git.example:team/app.git");
  ASSERT_TRUE(made.ok()) << made.error().message;
  const auto& environment = made->environment();
  const auto ssh = std::ranges::find_if(environment, [](const std::string& v) { return v.starts_with("GIT_SSH_C"); });
  ASSERT_NE(ssh, environment.end());
  EXPECT_THAT(*ssh, HasSubstr("StrictHostKeyChecking=yes"));
  EXPECT_THAT(*ssh, HasSubstr("BatchMode=yes"));
  EXPECT_THAT(*ssh, Not(HasSubstr("KEY ")));
}

TEST_F(GitSettingsTest, IncompleteSecretsAreExplained) {
  const struct {
    const char* name;
    std::map<std::string, std::string> keys;
    std::string url;
    bool secret;
    std::string message;
  } rows[] = {
      {"no key", {}, "https://h/a", true, "must have the keys username and password, or token"},
      {"no password", {{"username", "u"}}, "https://h/a", true, "must have the keys username and password"},
      {"two lines", {{"username", "u"}, {"password", "a\nb"}}, "https://h/a", true, "must have one line"},
      {"ssh without Secret", {}, "ssh://git@h/a", false, "needs secretRef"},
      {"ssh without key", {{"known_hosts", "x"}}, "ssh://git@h/a", true, "must have the key ssh-privatekey"},
      {"ssh without known_hosts", {{"ssh-privatekey", "x"}}, "git@h:a", true, "ssh-keyscan h"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    for (const auto& entry : fs::directory_iterator(temp_->path() / "secret's")) fs::remove(entry.path());
    for (const auto& [name, value] : row.keys) key(name, value);
    const auto made = settings(row.url, row.secret);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidInput);
    EXPECT_THAT(made.error().message, HasSubstr(row.message));
  }
}

TEST_F(GitTest, ACommitIsCheckedByItsDigits) {
  make_app();
  const std::string tag = git("app", {"rev-parse", "v1"});
  const struct {
    const char* name;
    std::string revision, checksum, message;
  } rows[] = {
      {"the commit", "main", third_, ""},
      {"how it begins", "main", third_.substr(0, 7), ""},
      {"a tag's commit", "v1", second_.substr(0, 12), ""},
      {"the tag itself", "v1", tag, ""},
      {"another commit", "main", first_, "'main' is the commit " + third_ + ", not " + first_},
      {"too few digits", "main", third_.substr(0, 6), "at least 7"},
      {"no digits", "main", "sha256:abc", "at least 7"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    auto scratch = TempDir::create("scratch-", temp_->path());
    ASSERT_TRUE(scratch.ok());
    GitRequest request{{.url = server_->url("app"), .revision = row.revision}, {}, scratch->path(), {}};
    request.checksum = row.checksum;
    const auto checkout = fetch_git(request, processes_, {});
    EXPECT_EQ(checkout.ok(), row.message.empty());
    if (!checkout.ok()) {
      EXPECT_EQ(checkout.error().code, ErrorCode::kInvalidInput);
      EXPECT_THAT(checkout.error().message, HasSubstr(row.message));
    }
  }
}

TEST(GitFailureTest, SaysWhatItMeans) {
  const struct {
    const char* text;
    bool had_secret;
    ErrorCode code;
    const char* message;
  } rows[] = {
      {"fatal: could not read Username for 'https://h': terminal prompts disabled\n", false, ErrorCode::kDenied,
       "h wants credentials: name a Secret in secretRef"},
      {"remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://h/a/'\n", true, ErrorCode::kDenied,
       "h refused the credentials"},
      {"git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.\n", true,
       ErrorCode::kDenied, "h refused the credentials"},
      {"Host key verification failed.\nfatal: Could not read from remote repository.\n", true, ErrorCode::kDenied,
       "the SSH key of h is not the one in known_hosts"},
      {"fatal: unable to access 'https://h/a/': Could not resolve host: h\n", false, ErrorCode::kUnavailable,
       "the name h cannot be resolved"},
      {"fatal: unable to access 'https://h/': Failed to connect to h port 443\n", false, ErrorCode::kUnavailable,
       "h cannot be reached"},
      {"fatal: unable to access 'https://h/': The requested URL returned error: 503\n", false, ErrorCode::kUnavailable,
       "503"},
      {"remote: not here\nfatal: repository 'https://h/a/' not found\n", false, ErrorCode::kNotFound,
       "there is no such repository on h"},
      {"fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate\n", false,
       ErrorCode::kDenied, "the certificate of h is not trusted"},
      {"error: file write error: No space left on device\nfatal: fetch-pack: invalid index-pack output\n", false,
       ErrorCode::kExhausted, "the disk is full"},
      {"fatal: the remote end hung up\n", false, ErrorCode::kUnavailable, "git failed"},
      {"", false, ErrorCode::kUnavailable, "git ended without saying why"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const Error error = git_failure(row.text, "h", row.had_secret ? "" : "name a Secret in secretRef");
    EXPECT_EQ(error.code, row.code);
    EXPECT_THAT(error.message, HasSubstr(row.message));
  }
}

}  // namespace
}  // namespace imagebuild::builder
