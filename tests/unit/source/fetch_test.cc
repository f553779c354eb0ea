// Every kind of source but Git, from the spec to the context that prepare() makes of it.
#include "builder/source/fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "builder/prepare/context.h"
#include "builder/prepare/images.h"
#include "fakes/fake_registry.h"
#include "fakes/http_server.h"
#include "http/curl_transport.h"
#include "oci/manifest.h"
#include "unit/source/archives.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using archive::Compression;
using fakes::Exchange;
using testing::ElementsAre;
using testing::HasSubstr;

class SourceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDir::create("source-test-");
    ASSERT_TRUE(made.ok());
    temp_.emplace(std::move(*made));
    for (const char* folder : {"mounted", "secret"}) fs::create_directories(temp_->path() / folder);
  }
  fs::path mounted() const { return temp_->path() / "mounted"; }
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((temp_->path() / path).parent_path());
    std::ofstream(temp_->path() / path) << text;
  }
  Result<FetchedSource> fetch(const api::Source& source) {
    fs::remove_all(temp_->path() / "scratch");
    fs::create_directories(temp_->path() / "scratch");
    const SourcePlaces places{mounted(), temp_->path() / "secret", temp_->path() / "scratch"};
    registry::Client client(transport_, {});
    const SourceSeams seams{
        processes_, transport_, [&](const std::string& name) { return open_image(client, name); }, {}};
    return fetch_source(source, places, seams, {});
  }
  // "path=content" of every file, and links.
  Result<std::vector<std::string>> files(const api::Source& source) {
    ASSIGN_OR_RETURN(const FetchedSource fetched, fetch(source));
    ASSIGN_OR_RETURN(const Context context, Context::open(fetched.context.string(), temp_->path() / "context.tar",
                                                          ContextOptions{fetched.tar_sub_path, true, {}}));
    ASSIGN_OR_RETURN(const archive::TreeIndex index, context.index({}));
    std::vector<std::string> result;
    for (const auto& [path, node] : index.nodes()) {
      if (node.type == archive::NodeType::kSymlink) result.push_back(path + "->" + node.link);
      if (node.type != archive::NodeType::kFile) continue;
      ASSIGN_OR_RETURN(const std::optional<std::string> text, context.read(path, 1U << 20));
      result.push_back(path + "=" + text.value_or("?"));
    }
    return result;
  }
  static api::Source http(const std::string& url, const std::string& sha256 = "") {
    api::Source source;
    source.http = api::HttpSource{url, sha256, {}};
    return source;
  }

  std::optional<TempDir> temp_;
  SystemProcessRunner processes_;
  http::CurlTransport transport_;
};

TEST_F(SourceTest, InlineFilesAreWritten) {
  api::Source source;
  source.inline_files = api::InlineSource{{{"Dockerfile", "FROM scratch"}, {"a/b/c", "1"}, {"a/d", "2"}}};
  const auto found = files(source);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_THAT(*found, ElementsAre("Dockerfile=FROM scratch", "a/b/c=1", "a/d=2"));
  source.sub_path = "a/b";
  EXPECT_THAT(*files(source), ElementsAre("c=1"));
}

TEST_F(SourceTest, InlineFilesStayInside) {
  for (const char* path : {"../a", "/a", "a/../../b", "", "a//b", "./a"}) {
    api::Source source;
    source.inline_files = api::InlineSource{{{path, "1"}}};
    const auto found = files(source);
    ASSERT_FALSE(found.ok()) << path;
    EXPECT_EQ(found.error().code, ErrorCode::kInvalidInput);
  }
}

TEST_F(SourceTest, AConfigMapsLinksAreFollowedAndItsFoldersHidden) {
  write("mounted/..2026_11_21/Dockerfile", "FROM scratch");
  write("mounted/..2026_11_21/src/main.c", "int");
  fs::create_symlink("..2026_11_21", mounted() / "..data");
  fs::create_symlink("..data/Dockerfile", mounted() / "Dockerfile");
  fs::create_symlink("..data/src", mounted() / "src");
  api::Source source;
  source.config_map = api::ConfigMapRef{"files"};
  const auto found = files(source);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_THAT(*found, ElementsAre("Dockerfile=FROM scratch", "src/main.c=int"));
}

TEST_F(SourceTest, AClaimIsUsedWhereItLies) {
  write("mounted/team/app/Dockerfile", "FROM scratch");
  fs::create_symlink("team/app", mounted() / "latest");
  fs::create_symlink("/etc", mounted() / "out");
  write("mounted/file", "");
  api::Source source;
  source.claim = api::ClaimSource{"sources"};
  EXPECT_EQ(fetch(source)->context, mounted());
  source.sub_path = "latest";
  EXPECT_THAT(*files(source), ElementsAre("Dockerfile=FROM scratch"));
  const struct {
    const char* sub_path;
    ErrorCode code;
    const char* message;
  } rows[] = {{"none", ErrorCode::kNotFound, "there is no folder 'none' (subPath)"},
              {"out", ErrorCode::kInvalidInput, "leads out of the source"},
              {"file", ErrorCode::kInvalidInput, "is not a folder"},
              {"../x", ErrorCode::kInvalidInput, "must be relative"}};
  for (const auto& row : rows) {
    source.sub_path = row.sub_path;
    const auto fetched = fetch(source);
    ASSERT_FALSE(fetched.ok()) << row.sub_path;
    EXPECT_EQ(fetched.error().code, row.code);
    EXPECT_THAT(fetched.error().message, HasSubstr(row.message));
  }
}

TEST_F(SourceTest, ADockerfileDoesNotLeadOutOfItsSource) {
  write("secret/password", "hidden");
  fs::create_symlink("../secret/password", mounted() / "Dockerfile");
  const auto context = Context::open(mounted().string(), temp_->path() / "x.tar", ContextOptions{"", true, {}});
  ASSERT_TRUE(context.ok());
  const auto text = context->read("Dockerfile", 100);
  ASSERT_FALSE(text.ok());
  EXPECT_THAT(text.error().message, HasSubstr("leads out of the context"));
}

TEST_F(SourceTest, AnImagesFileSystemIsTheContext) {
  fakes::FakeRegistry registry;
  const std::string below = tar_of({{"app/Dockerfile", "FROM scratch"}, {"app/old", "1"}});
  const std::string above = tar_of({{"app/.wh.old", ""}, {"app/new", "2"}});
  oci::ImageConfig config;
  oci::Manifest manifest{std::string(oci::media_type::kOciManifest),
                         {std::string(oci::media_type::kOciConfig), oci::Digest::of(""), 0, {}, {}},
                         {},
                         {}};
  for (const std::string& layer : {below, above}) {
    config.diff_ids.push_back(oci::Digest::of(layer));
    manifest.layers.push_back(
        {std::string(oci::media_type::kOciLayer), registry.add_blob("src", layer), layer.size(), {}, {}});
  }
  const std::string text = config.json();
  manifest.config.digest = registry.add_blob("src", text);
  manifest.config.size_bytes = text.size();
  registry.add_manifest("src", "1", manifest.media_type, manifest.json());
  api::Source source;
  source.oci = api::OciSource{registry.host() + "/src:1"};
  source.sub_path = "app";
  const auto found = files(source);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_THAT(*found, ElementsAre("Dockerfile=FROM scratch", "new=2"));
}

// --- HTTP -----------------------------------------------------------------------------------------------------------

TEST_F(SourceTest, ArchivesOfEveryKindAreUnpacked) {
  const std::vector<ArchiveEntry> entries = {{"top/Dockerfile", "FROM scratch"}, {"top/dir/a", "1"}, {"b", "2"}};
  const struct {
    const char* name;
    std::string bytes;
  } rows[] = {{"tar", tar_of(entries)},
              {"tar.gz", compressed(tar_of(entries), Compression::kGzip)},
              {"tar.zst", compressed(tar_of(entries), Compression::kZstd)},
              {"zip", zip_of(entries)}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    fakes::HttpServer server([&](Exchange& exchange) { exchange.respond(200, {}, row.bytes); });
    api::Source source = http(server.url() + "/a", std::string(oci::Digest::of(row.bytes).hex()));
    const auto found = files(source);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_THAT(*found, ElementsAre("b=2", "top/Dockerfile=FROM scratch", "top/dir/a=1"));
    source.sub_path = "top";
    EXPECT_THAT(*files(source), ElementsAre("Dockerfile=FROM scratch", "dir/a=1"));
    source.sub_path = "to";
    const auto missing = files(source);
    ASSERT_FALSE(missing.ok());
    EXPECT_THAT(missing.error().message, HasSubstr("there is no folder 'to'"));
  }
}

TEST_F(SourceTest, AZipKeepsLinksModesAndNames) {
  const std::string zip = zip_of({{"run", "#!", 0100755}, {"link", "run", 0120777}, {"d/", "", 040700}, {"é", "1"}});
  fakes::HttpServer server([&](Exchange& exchange) { exchange.respond(200, {}, zip); });
  const auto found = files(http(server.url() + "/a.zip"));
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_THAT(*found, ElementsAre("link->run", "run=#!", "é=1"));
  const auto index = Context::open((temp_->path() / "context.tar").string(), temp_->path() / "again.tar")->index({});
  EXPECT_EQ(index->find("run")->mode, 0755U);
  EXPECT_EQ(index->find("d")->mode, 0700U);
}

TEST_F(SourceTest, BadArchivesAreRefused) {
  const struct {
    const char* name;
    std::string bytes, sha256, message;
  } rows[] = {
      {"another sha256", tar_of({{"a", "1"}}), std::string(64, '0'), "has the sha256 "},
      {"no archive", "<html>not found</html>", "", "neither a tar nor a zip"},
      {"a zip out of the root", zip_of({{"../evil", "1"}}), "", "evil"},
      {"a zip with a wrong checksum", zip_of({{"a", "1"}}, true), "", "zip"},
      {"half a zip", zip_of({{"a", std::string(1000, 'x')}}).substr(0, 500), "", "zip"},
      {"half a tar.gz", compressed(tar_of({{"a", std::string(100000, 'x')}}), Compression::kGzip).substr(0, 150), "",
       ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    fakes::HttpServer server([&](Exchange& exchange) { exchange.respond(200, {}, row.bytes); });
    const auto found = files(http(server.url() + "/a", row.sha256));
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code, ErrorCode::kInvalidInput) << found.error().message;
    EXPECT_THAT(found.error().message, HasSubstr(row.message));
  }
}

TEST_F(SourceTest, CredentialsStayWithTheirServer) {
  const std::string tar = tar_of({{"a", "1"}});
  std::string seen = "nothing", own;
  fakes::HttpServer other([&](Exchange& exchange) {
    seen = exchange.headers.find("Authorization").value_or("");
    exchange.respond(200, {}, tar);
  });
  fakes::HttpServer server([&](Exchange& exchange) {
    own = exchange.headers.find("Authorization").value_or("");
    exchange.respond(302, {{"Location", other.url() + "/signed"}});
  });
  api::Source source = http(server.url() + "/a");
  source.http->secret = api::SecretRef{"login"};
  write("secret/token", "abc\n");
  ASSERT_TRUE(fetch(source).ok());
  EXPECT_EQ(own, "Bearer abc");
  EXPECT_EQ(seen, "");
  write("secret/username", "anna");
  write("secret/password", "pass");
  ASSERT_TRUE(fetch(source).ok());
  EXPECT_EQ(own, "Basic YW5uYTpwYXNz");
  EXPECT_EQ(seen, "");
}

TEST_F(SourceTest, AnswersAreExplained) {
  const struct {
    int status;
    ErrorCode code;
    const char* message;
  } rows[] = {{401, ErrorCode::kDenied, "wants credentials"},
              {404, ErrorCode::kNotFound, "there is no such file"},
              {418, ErrorCode::kInvalidInput, "status 418"}};
  for (const auto& row : rows) {
    fakes::HttpServer server([&](Exchange& exchange) { exchange.respond(row.status); });
    const auto fetched = fetch(http(server.url() + "/a?signature=abc"));
    ASSERT_FALSE(fetched.ok()) << row.status;
    EXPECT_EQ(fetched.error().code, row.code);
    EXPECT_THAT(fetched.error().message, HasSubstr(row.message));
    EXPECT_THAT(fetched.error().message, testing::Not(HasSubstr("signature")));
  }
}

TEST_F(SourceTest, ADownloadThatBreaksIsTriedAgain) {
  const std::string tar = tar_of({{"a", "1"}});
  std::atomic<int> tries = 0;
  fakes::HttpServer server([&](Exchange& exchange) {
    if (++tries == 1) return exchange.respond(503, {{"Retry-After", "0"}});
    if (tries == 2) {
      exchange.begin(200, {}, tar.size());
      exchange.write(tar.substr(0, 100));
      return exchange.drop();
    }
    exchange.respond(200, {}, tar);
  });
  const auto found = files(http(server.url() + "/a", std::string(oci::Digest::of(tar).hex())));
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_THAT(*found, ElementsAre("a=1"));
  EXPECT_EQ(tries, 3);
}

TEST_F(SourceTest, EndlessRedirectsEnd) {
  fakes::HttpServer server([&](Exchange& exchange) { exchange.respond(302, {{"Location", "/again"}}); });
  const auto fetched = fetch(http(server.url() + "/a"));
  ASSERT_FALSE(fetched.ok());
  EXPECT_THAT(fetched.error().message, HasSubstr("redirects more than"));
}

}  // namespace
}  // namespace imagebuild::builder
