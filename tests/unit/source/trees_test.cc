// What a plan takes from elsewhere, from servers and repositories of this machine to the volume.
#include "builder/source/trees.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "api/volume.h"
#include "archive/tree.h"
#include "base/file.h"
#include "fakes/http_server.h"
#include "http/curl_transport.h"
#include "unit/source/archives.h"
#include "unit/source/git_server.h"
#include "unit/source/test_git.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using fakes::Exchange;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kDockerfile = "FROM scratch\nADD x /\n";

class TreesTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::create("trees-test-");
    ASSERT_TRUE(made.ok());
    temp_.emplace(std::move(*made));
    request_.volume = temp_->path() / "volume";
    request_.dockerfile_text = kDockerfile;
    request_.own_machine = true;
    request_.retry.base = std::chrono::milliseconds(0);
  }

  Status fetch(std::variant<api::NamedContext, api::HttpDownload, api::GitCheckout> origin) {
    plan_ = api::Plan{};
    plan_.dockerfile = "Dockerfile";
    plan_.trees.push_back({std::move(origin), {2, 5}});
    const SourceSeams seams{processes_, transport_, {}, {}};
    return fetch_trees(plan_, request_, seams);
  }
  // "path mode mtime content" of all but folders.
  std::vector<std::string> content() const {
    auto index = archive::TreeIndex::load(request_.volume / api::volume::tree_index(0));
    if (!index.ok()) return {index.error().message};
    const auto tree = archive::Tree::open_tar(request_.volume / api::volume::tree_tar(0), *index);
    if (!tree.ok()) return {tree.error().message};
    std::vector<std::string> lines;
    for (const auto& [path, node] : index->nodes()) {
      if (node.type == archive::NodeType::kDirectory) continue;
      std::string line = path;
      if (node.type == archive::NodeType::kSymlink) {
        line += "->" + node.link;
      } else {
        char mode[8];
        std::snprintf(mode, sizeof mode, "%04o", node.mode);
        const auto source = tree->open(node);
        const auto text = source.ok() ? read_all(**source, 1U << 20) : Result<std::string>(source.error());
        line += std::string(" ") + mode + " " + std::to_string(node.mtime_s) + " " +
                (text.ok() ? *text : text.error().message);
      }
      lines.push_back(line);
    }
    return lines;
  }
  // Everything below the volume's trees/.
  std::vector<std::string> left_behind() const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(request_.volume / "trees", error)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((temp_->path() / path).parent_path());
    std::ofstream(temp_->path() / path) << text;
  }

  std::optional<TempDir> temp_;
  SystemProcessRunner processes_;
  http::CurlTransport transport_;
  TreesRequest request_;
  api::Plan plan_;
};

// --- Downloads ------------------------------------------------------------------------------------------------------

TEST_F(TreesTest, ADownloadIsOneFileWithTheServersTime) {
  fakes::HttpServer server([&](Exchange& exchange) {
    if (exchange.path == "/from") return exchange.respond(302, {{"Location", "/real?signature=1"}});
    exchange.respond(200, {{"Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"}, {"Content-Disposition", "filename=z"}},
                     "hello");
  });
  const struct {
    const char* path;
    const char* name;
  } rows[] = {
      {"/a/b.txt", "b.txt"}, {"/b.txt?x=y/z", "b.txt"}, {"/", "__unnamed__"}, {"/from", "from"}, {"/a%20b", "a b"}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.path);
    const Status fetched = fetch(api::HttpDownload{server.url() + row.path, oci::Digest::of("hello").str()});
    ASSERT_TRUE(fetched.ok()) << fetched.error().message;
    EXPECT_THAT(content(), ElementsAre(std::string(row.name) + " 0600 1700000000 hello"));
  }
  EXPECT_THAT(left_behind(), testing::UnorderedElementsAre("0.index", "0.tar"));
}

TEST_F(TreesTest, ADownloadWithoutATimeIsFrom1970) {
  fakes::HttpServer server([&](Exchange& exchange) {
    exchange.respond(200, {{"Last-Modified", exchange.path == "/bad" ? "yesterday" : ""}}, "");
  });
  ASSERT_TRUE(fetch(api::HttpDownload{server.url() + "/bad", ""}).ok());
  EXPECT_THAT(content(), ElementsAre("bad 0600 0 "));
}

TEST_F(TreesTest, DownloadsThatFailSayWhereAndLeaveNothing) {
  const std::string wrong = "sha256:" + std::string(64, '0');
  const struct {
    const char* name;
    std::function<void(Exchange&)> answer;
    std::string checksum;
    ErrorCode code;
    const char* message;
  } rows[] = {
      {"404", [](Exchange& e) { e.respond(404); }, "", ErrorCode::kNotFound, "there is no such file"},
      {"401", [](Exchange& e) { e.respond(401); }, "", ErrorCode::kDenied, "wants credentials"},
      {"always 500", [](Exchange& e) { e.respond(500); }, "", ErrorCode::kUnavailable, "failed (status 500)"},
      {"another content", [](Exchange& e) { e.respond(200, {}, "x"); }, wrong, ErrorCode::kInvalidInput,
       "as it should"},
      {"a bad checksum", [](Exchange& e) { e.respond(200, {}, "x"); }, "md5:1", ErrorCode::kInvalidInput,
       "must be sha256:"},
      {"endless redirects",
       [](Exchange& e) {
         e.respond(302, {{"Location", "/b"}});
       },
       "", ErrorCode::kInvalidInput, "redirects more than"},
      {"a redirect to a file",
       [](Exchange& e) {
         e.respond(302, {{"Location", "file:///etc/passwd"}});
       },
       "", ErrorCode::kInvalidInput, "redirects to an address that is not one"},
      {"always half",
       [](Exchange& e) {
         e.begin(200, {}, 1000);
         e.write("half");
         e.drop();
       },
       "", ErrorCode::kUnavailable, "the download from"},
      {"an absurd size",
       [](Exchange& e) {
         e.begin(200, {}, 1ULL << 62);
         e.drop();
       },
       "", ErrorCode::kLimit, "larger than"},
      {"an unannounced size",
       [](Exchange& e) {
         e.begin(200, {}, std::nullopt);
         for (int i = 0; i < 40; ++i) e.write_chunk(std::string(1000, 'x'));
         e.write_chunk("");
       },
       "", ErrorCode::kLimit, "larger than"},
  };
  request_.max_download_bytes = 20'000;
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    fakes::HttpServer server(row.answer);
    const Status fetched = fetch(api::HttpDownload{server.url() + "/a?signature=abc", row.checksum});
    ASSERT_FALSE(fetched.ok());
    EXPECT_EQ(fetched.error().code, row.code) << fetched.error().message;
    EXPECT_THAT(fetched.error().message, StartsWith("Dockerfile:2:5: "));
    EXPECT_THAT(fetched.error().message, HasSubstr(row.message));
    EXPECT_THAT(fetched.error().message, HasSubstr("2 | ADD x /"));
    EXPECT_THAT(fetched.error().message, Not(HasSubstr("signature")));
    EXPECT_THAT(left_behind(), ElementsAre());
  }
}

TEST_F(TreesTest, ADownloadThatBreaksIsTriedAgainFromTheStart) {
  std::atomic<int> tries = 0;
  fakes::HttpServer server([&](Exchange& exchange) {
    if (++tries == 1) return exchange.respond(500);
    if (tries == 2) {
      exchange.begin(200, {}, 10);
      exchange.write("wrong");
      return exchange.drop();
    }
    exchange.respond(200, {}, "right");
  });
  const Status fetched = fetch(api::HttpDownload{server.url() + "/a", oci::Digest::of("right").str()});
  ASSERT_TRUE(fetched.ok()) << fetched.error().message;
  EXPECT_THAT(content(), ElementsAre("a 0600 0 right"));
  EXPECT_EQ(tries, 3);
}

// --- Git ------------------------------------------------------------------------------------------------------------

class GitTreesTest : public TreesTest {
 protected:
  void SetUp() override {
    TreesTest::SetUp();
    write("served/app/run", "#!");
    write("served/app/docs/a", "1");
    ::chmod((temp_->path() / "served/app/run").c_str(), 0700);
    fs::create_symlink("run", temp_->path() / "served/app/link");
    fs::create_symlink("/etc", temp_->path() / "served/app/out");
    git({"init", "-q"});
    git({"add", "."});
    git({"commit", "-q", "-m", "first"});
    git({"tag", "v1"});
    server_.emplace(temp_->path() / "served");
  }
  std::string git(const std::vector<std::string>& words) const {
    return run_git(temp_->path() / "served/app", temp_->path(), words);
  }
  api::GitCheckout checkout() const {
    api::GitCheckout wanted;
    wanted.url = server_->url("app");
    return wanted;
  }
  std::optional<GitServer> server_;
};

TEST_F(GitTreesTest, ACheckoutHasTheCommitsTimeAndPlainModes) {
  const mode_t before = ::umask(077);
  const Status fetched = fetch(checkout());
  ::umask(before);
  ASSERT_TRUE(fetched.ok()) << fetched.error().message;
  EXPECT_THAT(content(), ElementsAre("docs/a 0644 1700000000 1", "link->run", "out->/etc", "run 0755 1700000000 #!"));
}

TEST_F(GitTreesTest, AFolderOfTheRepositoryIsTheTree) {
  api::GitCheckout wanted = checkout();
  wanted.folder = "docs";
  wanted.keep_git_dir = true;  // Of the repository's root, so it is not in the folder.
  ASSERT_TRUE(fetch(wanted).ok());
  EXPECT_THAT(content(), ElementsAre("a 0644 1700000000 1"));
  for (const char* folder : {"none", "run", "out"}) {
    SCOPED_TRACE(folder);
    wanted.folder = folder;
    const Status fetched = fetch(wanted);
    ASSERT_FALSE(fetched.ok());
    EXPECT_THAT(fetched.error().message, StartsWith("Dockerfile:2:5: '" + std::string(folder) + "' in the repository"));
  }
}

TEST_F(GitTreesTest, AKeptGitFolderIsTheSameEachTime) {
  api::GitCheckout wanted = checkout();
  wanted.ref = "v1";
  wanted.keep_git_dir = true;
  ASSERT_TRUE(fetch(wanted).ok());
  const std::vector<std::string> first = content();
  const auto bytes = read_file(request_.volume / api::volume::tree_tar(0), 1U << 24);
  ASSERT_TRUE(fetch(wanted).ok());
  EXPECT_EQ(content(), first);
  EXPECT_EQ(*read_file(request_.volume / api::volume::tree_tar(0), 1U << 24), *bytes);
  EXPECT_THAT(first, testing::Contains(StartsWith(".git/HEAD 0644 1700000000 " + git({"rev-parse", "v1"}))));
  EXPECT_THAT(first, testing::Contains(StartsWith(".git/refs/tags/v1 ")));
  EXPECT_THAT(first, Not(testing::Contains(HasSubstr("FETCH_HEAD"))));
  EXPECT_THAT(first, Not(testing::Contains(HasSubstr("imagebuild"))));
}

TEST_F(GitTreesTest, AnotherCommitThanTheChecksumIsRefused) {
  api::GitCheckout wanted = checkout();
  wanted.checksum = git({"rev-parse", "HEAD"}).substr(0, 10);
  ASSERT_TRUE(fetch(wanted).ok());
  wanted.checksum = "0123456789";
  const Status fetched = fetch(wanted);
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(fetched.error().message, HasSubstr("HEAD is the commit "));
}

TEST_F(GitTreesTest, SshInAClusterHasNoKey) {
  request_.own_machine = false;
  const Status fetched = fetch(api::GitCheckout{"git@127.0.0.1:app.git", "", "", "", false, true});
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(fetched.error().message, HasSubstr("no SSH key"));
}

// --- Named contexts -------------------------------------------------------------------------------------------------

TEST_F(TreesTest, AFolderIsFilteredByItsOwnIgnoreFile) {
  write("deps/a.txt", "1");
  write("deps/dir/b.log", "2");
  write("deps/.dockerignore", "**/*.log\n.dockerignore\n");
  ::chmod((temp_->path() / "deps/a.txt").c_str(), 0640);
  request_.contexts = {{"deps", ContextFolder{temp_->path() / "deps"}}};
  const Status fetched = fetch(api::NamedContext{"deps"});
  ASSERT_TRUE(fetched.ok()) << fetched.error().message;
  ASSERT_EQ(content().size(), 1U);
  EXPECT_THAT(content()[0], StartsWith("a.txt 0640 "));
}

TEST_F(TreesTest, AnAddressIsUnpackedIfItIsAnArchiveElseOneFile) {
  const std::string tar = tar_of({{"d/a", "1"}, {".dockerignore", "d"}});
  const struct {
    const char* name;
    std::string bytes;
    std::vector<std::string> expected;
  } rows[] = {
      {"tar.gz", compressed(tar, archive::Compression::kGzip), {".dockerignore 0644 0 d", "d/a 0644 0 1"}},
      {"zip", zip_of({{"a", "1"}}), {}},
      {"text", "hello", {"context 0600 0 hello"}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    fakes::HttpServer server([&](Exchange& exchange) { exchange.respond(200, {}, row.bytes); });
    const auto context = parse_named_context("deps=" + server.url() + "/a");
    ASSERT_TRUE(context.ok());
    request_.contexts = {*context};
    const Status fetched = fetch(api::NamedContext{"deps"});
    ASSERT_TRUE(fetched.ok()) << fetched.error().message;
    if (row.expected.empty()) {
      EXPECT_THAT(content(), ElementsAre(StartsWith("a 0644 ")));
    } else {
      EXPECT_EQ(content(), row.expected);
    }
  }
}

TEST_F(GitTreesTest, ARepositoryIsANamedContext) {
  const auto context = parse_named_context("deps=" + server_->url("app") + "#v1:docs");
  ASSERT_TRUE(context.ok());
  request_.contexts = {*context};
  const Status fetched = fetch(api::NamedContext{"deps"});
  ASSERT_TRUE(fetched.ok()) << fetched.error().message;
  EXPECT_THAT(content(), ElementsAre("a 0644 1700000000 1"));
}

TEST_F(TreesTest, ASourceOfTheSpecIsANamedContext) {
  api::Source source;
  source.inline_files = api::InlineSource{{{"x/a", "1"}, {"x/b", "2"}, {"x/.dockerignore", "b\n"}}};
  source.sub_path = "x";
  request_.own_machine = false;
  request_.contexts = {{"deps", ContextSource{source, {}, {}}}};
  const Status fetched = fetch(api::NamedContext{"deps"});
  ASSERT_TRUE(fetched.ok()) << fetched.error().message;
  EXPECT_THAT(content(), ElementsAre(StartsWith(".dockerignore 0644 "), StartsWith("a 0644 ")));
}

TEST_F(TreesTest, AFolderThatIsNotThereIsNamedWithItsPlace) {
  request_.contexts = {{"deps", ContextFolder{temp_->path() / "none"}}};
  const Status fetched = fetch(api::NamedContext{"deps"});
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(fetched.error().message, StartsWith("Dockerfile:2:5: the build context 'deps': "));
}

TEST(NamedContexts, AreRead) {
  const struct {
    const char* text;
    NamedContext expected;
  } rows[] = {
      {"deps=../deps", {"deps", ContextFolder{"../deps"}}},
      {"Deps=.", {"deps", ContextFolder{"."}}},
      {"alpine=docker-image://alpine:3.18", {"alpine", ContextImage{"alpine:3.18"}}},
      {"docker.io/library/alpine:latest=docker-image://x", {"alpine", ContextImage{"x"}}},
      {"base=oci-layout:///srv/base:1", {"base", ContextImage{"oci-layout:///srv/base:1"}}},
      {"a=b=c", {"a", ContextFolder{"b=c"}}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto context = parse_named_context(row.text);
    ASSERT_TRUE(context.ok()) << context.error().message;
    EXPECT_TRUE(*context == row.expected);
  }
  const auto remote = parse_named_context("src=https://example.com/x.git#v1");
  ASSERT_TRUE(remote.ok());
  EXPECT_EQ(std::get<dockerfile::RemoteUrl>(remote->value).ref, "v1");
  EXPECT_THAT(images_by_name({*remote, {"a", ContextImage{"x"}}}),
              ElementsAre(testing::Pair("a", "x"), testing::Pair("src", "")));
}

TEST(NamedContexts, SayWhatIsAllowed) {
  for (const char* text : {"deps", "=.", "deps=", "de ps=.", "a=docker-image://", "a=oci-layout://", "a=ftp://x/y",
                           "a=target:b", "a=https://example.com/x.git?y=1"}) {
    SCOPED_TRACE(text);
    const auto context = parse_named_context(text);
    ASSERT_FALSE(context.ok());
    EXPECT_THAT(context.error().message, HasSubstr("'"));
  }
}

}  // namespace
}  // namespace imagebuild::builder
