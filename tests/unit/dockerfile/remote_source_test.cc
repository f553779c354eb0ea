#include "dockerfile/remote_source.h"

#include <gtest/gtest.h>

#include <vector>

namespace imagebuild::dockerfile {
namespace {

struct Case {
  const char* name;
  const char* text;
  RemoteUrl expected;
};

RemoteUrl http(std::string url, std::string file_name) {
  RemoteUrl remote;
  remote.url = std::move(url);
  remote.file_name = std::move(file_name);
  return remote;
}

RemoteUrl git(std::string url, std::string ref = "", std::string folder = "") {
  RemoteUrl remote;
  remote.kind = RemoteUrl::Kind::kGit;
  remote.url = std::move(url);
  remote.ref = std::move(ref);
  remote.folder = std::move(folder);
  return remote;
}

RemoteUrl with(RemoteUrl remote, std::string checksum, std::optional<bool> keep, std::optional<bool> submodules) {
  remote.checksum = std::move(checksum);
  remote.keep_git_dir = keep;
  remote.submodules = submodules;
  return remote;
}

TEST(RemoteSource, IsRead) {
  const std::vector<Case> cases = {
      {"a file", "https://example.com/a/app.tar.gz", http("https://example.com/a/app.tar.gz", "app.tar.gz")},
      {"no path", "https://example.com", http("https://example.com", "__unnamed__")},
      {"only a slash", "http://example.com/", http("http://example.com/", "__unnamed__")},
      {"a trailing slash", "http://example.com/a/b/", http("http://example.com/a/b/", "b")},
      {"a query stays", "http://example.com/a?b=c/d", http("http://example.com/a?b=c/d", "a")},
      {"a fragment goes", "http://example.com/a#b", http("http://example.com/a", "a")},
      {"an encoded name", "http://example.com/x/a%20b", http("http://example.com/x/a%20b", "a b")},
      {"an encoded slash", "http://example.com/x%2Fy", http("http://example.com/x%2Fy", "y")},
      {"dots", "http://example.com/x/..", http("http://example.com/x/..", "__unnamed__")},
      {"git behind a slash", "https://example.com/foo.git/", http("https://example.com/foo.git/", "foo.git")},
      {"git in a name", "https://example.com/foo.git.bar", http("https://example.com/foo.git.bar", "foo.git.bar")},
      {"a repository without .git", "https://github.com/moby/buildkit",
       http("https://github.com/moby/buildkit", "buildkit")},
      {"a repository", "https://example.com/foo.git", git("https://example.com/foo.git")},
      {"with a user", "https://foo:bar@example.com/x.git", git("https://foo:bar@example.com/x.git")},
      {"a revision", "https://example.com/foo.git#release/1.2", git("https://example.com/foo.git", "release/1.2")},
      {"a folder", "https://example.com/foo.git#:my", git("https://example.com/foo.git", "", "my")},
      {"both", "https://example.com/foo.git#a/b:c/d", git("https://example.com/foo.git", "a/b", "c/d")},
      {"an absolute folder", "https://example.com/foo.git#a:/c/./d/", git("https://example.com/foo.git", "a", "c/d")},
      {"a folder above", "https://example.com/foo.git#a:../c", git("https://example.com/foo.git", "a", "c")},
      {"the root as folder", "https://example.com/foo.git#a:.", git("https://example.com/foo.git", "a")},
      {"a query", "https://example.com/d.git?ref=v1.0.0&subdir=/s", git("https://example.com/d.git", "v1.0.0", "s")},
      {"a tag", "https://example.com/d.git?tag=v1", git("https://example.com/d.git", "refs/tags/v1")},
      {"a branch", "https://example.com/d.git?branch=b", git("https://example.com/d.git", "refs/heads/b")},
      {"a branch twice", "https://example.com/d.git?branch=b&ref=refs/heads/b",
       git("https://example.com/d.git", "refs/heads/b")},
      {"a commit is the revision", "https://example.com/d.git?checksum=abcd",
       with(git("https://example.com/d.git", "abcd"), "abcd", {}, {})},
      {"a checked tag", "https://example.com/d.git?tag=v1&commit=abcd",
       with(git("https://example.com/d.git", "refs/tags/v1"), "abcd", {}, {})},
      {"switches", "https://example.com/d.git?keep-git-dir&submodules=false",
       with(git("https://example.com/d.git"), "", true, false)},
      {"a query beside a fragment", "https://example.com/d.git?keep-git-dir=1#v1:s",
       with(git("https://example.com/d.git", "v1", "s"), "", true, {})},
      {"scp", "git@github.com:moby/buildkit", git("git@github.com:moby/buildkit")},
      {"scp with a revision", "git@github.com:moby/buildkit.git#v1:d",
       git("git@github.com:moby/buildkit.git", "v1", "d")},
      {"another user", "user@example.com:x.git", git("user@example.com:x.git")},
      {"ssh", "ssh://git@example.com:22/x#main", git("ssh://git@example.com:22/x", "main")},
      {"git protocol", "git://example.com/foo", git("git://example.com/foo")},
      {"a scheme in capitals", "HTTPS://example.com/x.git", git("https://example.com/x.git")},
  };
  for (const Case& row : cases) {
    SCOPED_TRACE(row.name);
    const auto parsed = parse_remote(row.text);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    ASSERT_TRUE(parsed->has_value());
    EXPECT_EQ((*parsed)->kind, row.expected.kind);
    EXPECT_EQ((*parsed)->url, row.expected.url);
    EXPECT_EQ((*parsed)->ref, row.expected.ref);
    EXPECT_EQ((*parsed)->folder, row.expected.folder);
    EXPECT_EQ((*parsed)->file_name, row.expected.file_name);
    EXPECT_TRUE(**parsed == row.expected);
  }
}

TEST(RemoteSource, LeavesPathsAlone) {
  for (const char* text : {"", ".", "./.git", "../x.git", ".git", "a/b", "github.com/moby/buildkit", "a:b", "@x:y",
                           "custom.xyz/moby/buildkit.git", "a b@c:d", "x@y", "a/http://b", "://x", "dir/git@host:x"}) {
    SCOPED_TRACE(text);
    const auto parsed = parse_remote(text);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_FALSE(parsed->has_value());
  }
}

TEST(RemoteSource, SaysWhatIsBroken) {
  struct Row {
    const char* text;
    ErrorCode code;
    const char* says;
  };
  for (const Row& row : std::vector<Row>{
           {"ftp://example.com/x", ErrorCode::kUnsupported, "only http, https, ssh and git"},
           {"http://", ErrorCode::kInvalidInput, "has no host"},
           {"https:///x", ErrorCode::kInvalidInput, "has no host"},
           {"https://example.com/%zz", ErrorCode::kInvalidInput, "path that is not encoded well"},
           {"https://example.com/%00", ErrorCode::kInvalidInput, "path that is not encoded well"},
           {"https://example.com/a b", ErrorCode::kInvalidInput, "write a blank as %20"},
           {"https://example.com/x.git?foo=1", ErrorCode::kInvalidInput, "unknown query 'foo'"},
           {"https://example.com/x.git?ref=", ErrorCode::kInvalidInput, "gives 'ref' no value"},
           {"https://example.com/x.git?ref=a&ref=a", ErrorCode::kInvalidInput, "says 'ref' twice"},
           {"https://example.com/x.git?ref=a#b", ErrorCode::kInvalidInput, "two things of 'ref': 'b' and 'a'"},
           {"https://example.com/x.git?tag=a&branch=b", ErrorCode::kInvalidInput, "both a tag and a branch"},
           {"https://example.com/x.git?tag=a&ref=a", ErrorCode::kInvalidInput, "two things of 'ref'"},
           {"https://example.com/x.git?submodules=maybe", ErrorCode::kInvalidInput, "true or false"},
           {"https://example.com/x.git#-x", ErrorCode::kInvalidInput, "begins with '-'"},
           {"git@example.com:", ErrorCode::kInvalidInput, "names no repository"},
           {"git://example.com", ErrorCode::kInvalidInput, "names no repository"},
       }) {
    SCOPED_TRACE(row.text);
    const auto parsed = parse_remote(row.text);
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().code, row.code);
    EXPECT_NE(parsed.error().message.find(row.says), std::string::npos) << parsed.error().message;
  }
}

}  // namespace
}  // namespace imagebuild::dockerfile
