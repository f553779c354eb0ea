#include "registry/credentials.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "registry/base64.h"

namespace imagebuild::registry {
namespace {

// Answers for credential helpers.
class FakeHelpers final : public ProcessRunner {
 public:
  Result<ProcessResult> run(const ProcessSpec& spec, std::stop_token) override {
    asked.push_back(spec.argv.at(0) + " " + spec.argv.at(1) + " " + spec.stdin_text);
    return answer;
  }
  Result<ProcessResult> answer = Error{ErrorCode::kNotFound, "no such program"};
  std::vector<std::string> asked;
};

class FindsCredentials : public testing::Test {
 protected:
  // "user:password (source)", "token T (source)", "none", or "error: …".
  std::string find(const std::string& json, const std::string& registry, const std::string& repository = "a/b") {
    auto file = CredentialsFile::parse(json, "/home/me/.docker/config.json");
    if (!file.ok()) return "error: " + file.error().message;
    const Credentials credentials({*file}, helpers_);
    const auto found = credentials.find(registry, repository);
    if (!found.ok()) return "error: " + found.error().message;
    if (!*found) return "none";
    const Credential& credential = **found;
    const std::string who = !credential.registry_token.empty()   ? "ready " + credential.registry_token
                            : !credential.identity_token.empty() ? "token " + credential.identity_token
                                                                 : credential.username + ":" + credential.password;
    return who + " (" + credential.source + ")";
  }
  static std::string auth(const std::string& text) { return R"({"auth":")" + base64_encode(text) + "\"}"; }
  FakeHelpers helpers_;
};

const std::string kPath = "/home/me/.docker/config.json";

TEST_F(FindsCredentials, ByHost) {
  const std::string json = R"({"auths":{"ghcr.io":)" + auth("me:pa:ss") + "}}";
  EXPECT_EQ(find(json, "ghcr.io"), "me:pa:ss (" + kPath + ")");
  EXPECT_EQ(find(json, "quay.io"), "none");
  EXPECT_EQ(find(json, "ghcr.io:444"), "none");
}

TEST_F(FindsCredentials, OfDockerHubUnderItsOldKey) {
  const std::string json = R"({"auths":{"https://index.docker.io/v1/":)" + auth("hub:x") + "}}";
  EXPECT_EQ(find(json, "docker.io", "library/alpine"), "hub:x (" + kPath + ")");
}

TEST_F(FindsCredentials, UnderKeysThatAreUrls) {
  EXPECT_EQ(find(R"({"auths":{"https://r.example:5000/v2/":)" + auth("u:p") + "}}", "r.example:5000"),
            "u:p (" + kPath + ")");
}

TEST_F(FindsCredentials, ByTheLongestPath) {
  const std::string json = R"({"auths":{"q.io":)" + auth("host:1") + R"(,"q.io/team":)" + auth("team:2") +
                           R"(,"q.io/team/app":)" + auth("app:3") + "}}";
  EXPECT_EQ(find(json, "q.io", "team/app"), "app:3 (" + kPath + ")");
  EXPECT_EQ(find(json, "q.io", "team/app/x"), "app:3 (" + kPath + ")");
  EXPECT_EQ(find(json, "q.io", "team/other"), "team:2 (" + kPath + ")");
  EXPECT_EQ(find(json, "q.io", "teams/app"), "host:1 (" + kPath + ")");
}

TEST_F(FindsCredentials, WrittenAsUserNameAndPasswordOrTokens) {
  EXPECT_EQ(find(R"({"auths":{"r.io":{"username":"u","password":"p"}}})", "r.io"), "u:p (" + kPath + ")");
  EXPECT_EQ(find(R"({"auths":{"r.io":{"identitytoken":"T"}}})", "r.io"), "token T (" + kPath + ")");
  EXPECT_EQ(find(R"({"auths":{"r.io":{"registrytoken":"R"}}})", "r.io"), "ready R (" + kPath + ")");
}

TEST_F(FindsCredentials, ThroughTheHelperOfTheHost) {
  helpers_.answer = ProcessResult{0, R"({"ServerURL":"x","Username":"hu","Secret":"hs"})", ""};
  EXPECT_EQ(find(R"({"credHelpers":{"r.io":"ecr"},"auths":{"r.io":)" + auth("u:p") + "}}", "r.io"),
            "hu:hs (docker-credential-ecr)");
  EXPECT_EQ(helpers_.asked, std::vector<std::string>{"docker-credential-ecr get r.io"});
}

TEST_F(FindsCredentials, ThroughTheStoreWhenNothingElseHasThem) {
  helpers_.answer = ProcessResult{0, R"({"Username":"<token>","Secret":"IT"})", ""};
  EXPECT_EQ(find(R"({"credsStore":"pass","auths":{"https://index.docker.io/v1/":{}}})", "docker.io"),
            "token IT (docker-credential-pass)");
  EXPECT_EQ(helpers_.asked, std::vector<std::string>{"docker-credential-pass get https://index.docker.io/v1/"});
}

TEST_F(FindsCredentials, NotWhenTheHelperHasNone) {
  helpers_.answer = ProcessResult{1, "credentials not found in native keychain\n", ""};
  EXPECT_EQ(find(R"({"credsStore":"pass"})", "r.io"), "none");
}

TEST_F(FindsCredentials, AndExplainsAMissingHelper) {
  EXPECT_EQ(find(R"({"credsStore":"desktop"})", "r.io"),
            "error: the credentials file '" + kPath +
                "' names the credential helper 'docker-credential-desktop', which is not in PATH");
}

TEST_F(FindsCredentials, AndReportsWhatAFailingHelperSaysButNeverASecret) {
  helpers_.answer = ProcessResult{1, "the store is locked\nmore", ""};
  EXPECT_EQ(find(R"({"credsStore":"pass"})", "r.io"),
            "error: the credential helper 'docker-credential-pass' gave no credentials for r.io: the store is locked");
  helpers_.answer = ProcessResult{1, R"({"Secret":"hunter2"})", ""};
  EXPECT_EQ(find(R"({"credsStore":"pass"})", "r.io").find("hunter2"), std::string::npos);
  helpers_.answer = ProcessResult{0, "Secret hunter2", ""};
  const std::string unreadable = find(R"({"credsStore":"pass"})", "r.io");
  EXPECT_TRUE(unreadable.starts_with("error: ")) << unreadable;
  EXPECT_EQ(unreadable.find("hunter2"), std::string::npos);
}

TEST_F(FindsCredentials, AndRefusesAHelperThatIsAPath) {
  EXPECT_NE(find(R"({"credsStore":"../evil"})", "r.io").find("not a plain name"), std::string::npos);
  EXPECT_TRUE(helpers_.asked.empty());
}

struct BadFile {
  const char* name;
  const char* json;
};

class RefusesCredentialsFile : public testing::TestWithParam<BadFile> {};

TEST_P(RefusesCredentialsFile, NamingItAndNotItsContent) {
  const auto file = CredentialsFile::parse(GetParam().json, "/etc/creds.json");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(file.error().message.find("/etc/creds.json"), std::string::npos);
  EXPECT_EQ(file.error().message.find("hunter2"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Table, RefusesCredentialsFile,
                         testing::Values(BadFile{"Empty", ""}, BadFile{"Cut", R"({"auths":{"r":{"auth":"hunter2")"},
                                         BadFile{"List", "[]"}, BadFile{"AuthsIsText", R"({"auths":"hunter2"})"},
                                         BadFile{"EntryIsText", R"({"auths":{"r":"hunter2"}})"},
                                         BadFile{"AuthIsNumber", R"({"auths":{"r":{"auth":7}}})"},
                                         BadFile{"AuthIsNotBase64", R"({"auths":{"r":{"auth":"hunter2!"}}})"},
                                         BadFile{"AuthHasNoColon", R"({"auths":{"r":{"auth":"aHVudGVyMg=="}}})"},
                                         BadFile{"HelperIsNumber", R"({"credHelpers":{"r":7}})"},
                                         BadFile{"StoreIsList", R"({"credsStore":[]})"}),
                         [](const auto& row) { return row.param.name; });

class CredentialsFromEnvironment : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"}) ::unsetenv(name);
    ::setenv("HOME", folder_->path().c_str(), 1);
  }
  void TearDown() override {
    for (const char* name : {"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"}) ::unsetenv(name);
  }
  std::string write(const std::string& name, const std::string& user) {
    const auto path = folder_->path() / name;
    std::filesystem::create_directories(path.parent_path());
    EXPECT_TRUE(
        write_file_atomically(path, R"({"auths":{"r.io":{"username":")" + user + R"(","password":"p"}}})").ok());
    return path.string();
  }
  std::string user() {
    const auto credentials = Credentials::from_environment(helpers_);
    if (!credentials.ok()) return "error: " + credentials.error().message;
    const auto found = credentials->find("r.io", "a");
    return found.ok() && *found ? (*found)->username : "none";
  }
  Result<TempDir> folder_ = TempDir::create("credentials");
  FakeHelpers helpers_;
};

TEST_F(CredentialsFromEnvironment, AreNoneWithoutFiles) {
  EXPECT_EQ(user(), "none");
  EXPECT_EQ(Credentials::from_environment(helpers_)->where(), (folder_->path() / ".docker/config.json").string());
}

TEST_F(CredentialsFromEnvironment, ComeFromTheHomeFolder) {
  write(".docker/config.json", "home");
  EXPECT_EQ(user(), "home");
}

TEST_F(CredentialsFromEnvironment, ComeFromDockerConfigInstead) {
  write(".docker/config.json", "home");
  write("other/config.json", "other");
  ::setenv("DOCKER_CONFIG", (folder_->path() / "other").c_str(), 1);
  EXPECT_EQ(user(), "other");
}

TEST_F(CredentialsFromEnvironment, ComeFromContainersFileAsWell) {
  write("run/containers/auth.json", "podman");
  ::setenv("XDG_RUNTIME_DIR", (folder_->path() / "run").c_str(), 1);
  EXPECT_EQ(user(), "podman");
}

TEST_F(CredentialsFromEnvironment, ComeOnlyFromRegistryAuthFileWhichMustExist) {
  write(".docker/config.json", "home");
  ::setenv("REGISTRY_AUTH_FILE", write("only.json", "only").c_str(), 1);
  EXPECT_EQ(user(), "only");
  ::setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
  EXPECT_NE(user().find("/nonexistent/auth.json"), std::string::npos);
}

}  // namespace
}  // namespace imagebuild::registry
