#include "kube/config.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace imagebuild::kube {
namespace {

using namespace std::chrono_literals;

class ConfigTest : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder.path() / name).parent_path());
    EXPECT_TRUE(write_file_atomically(folder.path() / name, text).ok());
    return folder.path() / name;
  }
  Environment environment() {
    return [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      if (found == variables.end()) return {};
      return found->second;
    };
  }
  // A kubeconfig with one of everything, changed by a merge patch.
  std::filesystem::path kubeconfig(const std::string& patch = "{}") {
    Json config = Json::parse(R"({
      "current-context": "c",
      "clusters": [{"name": "k", "cluster": {"server": "https://k.example:6443"}}],
      "users": [{"name": "u", "user": {"token": "t"}}],
      "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "n"}}]})");
    config.merge_patch(Json::parse(patch));
    return write("config", config.dump());
  }
  std::filesystem::path with_user(const std::string& user) {
    return kubeconfig(R"({"users": [{"name": "u", "user": )" + user + "}]}");
  }
  std::filesystem::path with_cluster(const std::string& cluster) {
    return kubeconfig(R"({"clusters": [{"name": "k", "cluster": )" + cluster + "}]}");
  }
  TempDir folder = *TempDir::create("config");
  std::map<std::string, std::string> variables;
};

TEST_F(ConfigTest, ReadsAServiceAccount) {
  variables = {{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
  write("sa/token", "secret\n");
  write("sa/ca.crt", "pem");
  write("sa/namespace", "builds");
  const auto config = load_in_cluster(environment(), folder.path() / "sa");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->server.str(), "https://10.0.0.1/");
  EXPECT_EQ(config->ca_pem, "pem");
  EXPECT_EQ(config->ns, "builds");
  EXPECT_EQ(*config->token->token(), "secret");
}

TEST_F(ConfigTest, ReachesAnIpv6ClusterByName) {
  variables = {{"KUBERNETES_SERVICE_HOST", "fd00::1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
  write("sa/token", "secret");
  write("sa/ca.crt", "pem");
  const auto config = load_in_cluster(environment(), folder.path() / "sa");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->server.host(), "kubernetes.default.svc");
  EXPECT_EQ(config->ns, "default");
}

TEST_F(ConfigTest, KnowsWhenItIsNotInAPod) {
  EXPECT_EQ(load_in_cluster(environment()).error().code, ErrorCode::kNotFound);
}

TEST_F(ConfigTest, SaysWhatAPodLacks) {
  variables = {{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
  const auto config = load_in_cluster(environment(), folder.path() / "sa");
  ASSERT_FALSE(config.ok());
  EXPECT_NE(config.error().message.find("CA certificate"), std::string::npos) << config.error().message;
}

TEST_F(ConfigTest, ReadsARotatedTokenWithinAMinute) {
  WallTime now{std::chrono::hours(1000)};
  const auto file = write("token", "one\n");
  FileToken token(file, [&] { return now; });
  EXPECT_EQ(*token.token(), "one");
  write("token", "two\n");
  now += 59s;
  EXPECT_EQ(*token.token(), "one");
  now += 1s;
  EXPECT_EQ(*token.token(), "two");
  write("token", "three\n");
  token.refused();
  EXPECT_EQ(*token.token(), "three");
  std::filesystem::remove(file);
  now += 61s;
  EXPECT_EQ(*token.token(), "three") << "the last one stays while the file cannot be read";
}

TEST_F(ConfigTest, ReportsATokenThatWasNeverThere) {
  FileToken token(folder.path() / "none");
  EXPECT_EQ(token.token().error().code, ErrorCode::kNotFound);
  FileToken empty(write("empty", "\n"));
  EXPECT_EQ(empty.token().error().code, ErrorCode::kDenied);
}

TEST_F(ConfigTest, ReadsAKubeconfig) {
  const auto config = load_kubeconfig({kubeconfig()}, {});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->server.str(), "https://k.example:6443/");
  EXPECT_EQ(*config->token->token(), "t");
  EXPECT_EQ(config->ns, "n");
  EXPECT_FALSE(config->skip_verify);
}

TEST_F(ConfigTest, ReadsCertificatesFromDataAndFiles) {
  write("keys/client.key", "the key");
  const auto file = kubeconfig(R"({
    "clusters": [{"name": "k", "cluster": {"server": "https://k", "certificate-authority-data": "Y2EgcGVt"}}],
    "users": [{"name": "u", "user": {"client-certificate-data": "Y2VydA==", "client-key": "keys/client.key"}}]})");
  const auto config = load_kubeconfig({file}, {});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->ca_pem, "ca pem");
  EXPECT_EQ(config->client_cert_pem, "cert");
  EXPECT_EQ(config->client_key_pem, "the key") << "paths start at the file's folder";
  EXPECT_EQ(config->token, nullptr);
}

TEST_F(ConfigTest, PrefersATokenFileAndReadsItAgain) {
  write("token", "from file");
  const auto config = load_kubeconfig({with_user(R"({"token": "t", "tokenFile": "token"})")}, {});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(*config->token->token(), "from file");
}

TEST_F(ConfigTest, SkipsVerificationOnlyWhenTold) {
  for (const char* value : {"true", "\"true\""}) {
    const auto config = load_kubeconfig(
        {with_cluster(std::string(R"({"server": "https://k", "insecure-skip-tls-verify": )") + value + "}")}, {});
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_TRUE(config->skip_verify);
  }
}

TEST_F(ConfigTest, MergesFilesAsKubectlDoes) {
  const auto first = write("first", R"({"current-context": "c",
    "users": [{"name": "u", "user": {"token": "first"}}]})");
  const auto second = kubeconfig();
  const auto config = load_kubeconfig({folder.path() / "none", first, second}, {});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(*config->token->token(), "first");
}

TEST_F(ConfigTest, TakesTheContextThatIsAskedFor) {
  const auto file = kubeconfig(R"({"contexts": [{"name": "c", "context": {"cluster": "k"}},
                                                {"name": "d", "context": {"cluster": "k", "namespace": "m"}}]})");
  const auto config = load_kubeconfig({file}, {.context = "d"});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->ns, "m");
  EXPECT_EQ(config->token, nullptr);
}

TEST_F(ConfigTest, ReadsYamlThroughTheReaderItIsGiven) {
  const auto file = write("yaml", "current-context: c\n");
  EXPECT_EQ(load_kubeconfig({file}, {}).error().code, ErrorCode::kUnsupported);
  const auto read = [](std::string_view text) -> Result<Json> {
    EXPECT_EQ(text, "current-context: c\n");
    return Json::parse(R"({"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k"}}],
                           "clusters": [{"name": "k", "cluster": {"server": "https://k"}}]})");
  };
  EXPECT_TRUE(load_kubeconfig({file}, {.read_yaml = read}).ok());
}

TEST_F(ConfigTest, RefusesWhatItCannotHonour) {
  struct Row {
    std::filesystem::path file;
    ErrorCode code;
    const char* words;
  };
  const auto check = [](const Row& row) {
    const auto config = load_kubeconfig({row.file}, {});
    ASSERT_FALSE(config.ok()) << row.words;
    EXPECT_EQ(config.error().code, row.code) << config.error().message;
    EXPECT_NE(config.error().message.find(row.words), std::string::npos) << config.error().message;
  };
  check({with_user(R"({"exec": {"command": "x"}})"), ErrorCode::kUnsupported, "exec"});
  check({with_user(R"({"auth-provider": {"name": "oidc"}})"), ErrorCode::kUnsupported, "auth-provider"});
  check({with_user(R"({"username": "a", "password": "b"})"), ErrorCode::kUnsupported, "username"});
  check({with_user(R"({"token": "t", "as": "root"})"), ErrorCode::kUnsupported, "'as'"});
  check({with_user(R"({"client-certificate-data": "Y2E="})"), ErrorCode::kInvalidInput, "together"});
  check({with_user(R"({"client-certificate-data": "?", "client-key-data": "Y2E="})"), ErrorCode::kInvalidInput,
         "base64"});
  check({with_user(R"({"client-certificate": "none", "client-key": "none"})"), ErrorCode::kNotFound, "none"});
  check({with_cluster(R"({"server": "https://k", "proxy-url": "http://p"})"), ErrorCode::kUnsupported, "proxy-url"});
  check(
      {with_cluster(R"({"server": "https://k", "tls-server-name": "p"})"), ErrorCode::kUnsupported, "tls-server-name"});
  check({with_cluster(R"({"server": "ftp://k"})"), ErrorCode::kInvalidInput, "server of cluster 'k'"});
  check({kubeconfig(R"({"current-context": null})"), ErrorCode::kInvalidInput, "current-context"});
  check({kubeconfig(R"({"current-context": "x"})"), ErrorCode::kInvalidInput, "'x'"});
  check({kubeconfig(R"({"clusters": []})"), ErrorCode::kInvalidInput, "'k'"});
  check({kubeconfig(R"({"users": []})"), ErrorCode::kInvalidInput, "'u'"});
  check({kubeconfig(R"({"users": {}})"), ErrorCode::kInvalidInput, "not a list"});
}

TEST_F(ConfigTest, FindsTheFilesOfTheEnvironment) {
  using Paths = std::vector<std::filesystem::path>;
  EXPECT_EQ(kubeconfig_files(environment()), Paths{});
  variables["HOME"] = "/home/me";
  EXPECT_EQ(kubeconfig_files(environment()), Paths{"/home/me/.kube/config"});
  variables["KUBECONFIG"] = "/a::/b";
  EXPECT_EQ(kubeconfig_files(environment()), (Paths{"/a", "/b"}));
}

TEST_F(ConfigTest, SaysThatThereIsNoKubeconfig) {
  EXPECT_EQ(load_config(environment(), {}).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace imagebuild::kube
