// The registry client's contract against docker-registry, a real one on loopback.
#include "unit/registry/contract.h"

#include <charconv>
#include <future>
#include <thread>

#include "base/file.h"
#include "base/process.h"
#include "http/curl_transport.h"

namespace imagebuild::registry {
namespace {

// A docker-registry on a free port, with an empty folder for storage; both go with it.
class DockerRegistry {
 public:
  DockerRegistry() {
    const auto config = folder_->path() / "config.yml";
    const std::string text =
        "version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\nstorage:\n  filesystem: {" +
        ("rootdirectory: \"" + (folder_->path() / "storage").string()) +
        "\"}\n  delete: {enabled: true}\nhttp: {addr: \"127.0.0.1:0\"}\n";
    EXPECT_TRUE(write_file_atomically(config, text).ok());
    thread_ = std::jthread([this, config](const std::stop_token& stop) { run(config.string(), stop); });
    port_ = announced_.get_future().get();
  }

  // "127.0.0.1:PORT"; empty when it could not be started, and then log() says why.
  std::string host() const { return port_ == 0 ? "" : "127.0.0.1:" + std::to_string(port_); }
  const std::string& log() const { return log_; }  // Only for when it did not start.

 private:
  void run(const std::string& config, const std::stop_token& stop) {
    bool told = false;
    const ProcessSpec spec{.argv = {"docker-registry", "serve", config},
                           .stop_grace = std::chrono::milliseconds(1000),
                           .on_output = [&](int, std::string_view piece) {
                             if (told) return;
                             log_ += piece;
                             if (const int port = port_in(log_); port != 0) {
                               told = true;
                               announced_.set_value(port);
                             }
                           }};
    const auto ended = runner_.run(spec, stop);
    if (told) return;
    log_ += ended.ok() ? "it ended with status " + std::to_string(ended->exit_status) : ended.error().message;
    announced_.set_value(0);
  }
  // Its log says which port it got, as soon as it listens there.
  static int port_in(std::string_view log) {
    constexpr std::string_view kMark = "listening on 127.0.0.1:";
    const auto at = log.find(kMark);
    if (at == log.npos || log.find('\n', at) == log.npos) return 0;
    int port = 0;
    std::from_chars(log.data() + at + kMark.size(), log.data() + log.size(), port);
    return port;
  }

  Result<TempDir> folder_ = TempDir::create("registry-contract");
  SystemProcessRunner runner_;
  std::string log_;
  std::promise<int> announced_;
  int port_ = 0;
  std::jthread thread_;  // Last: the process ends before its folder goes.
};

struct Row {
  std::string name;
  std::uint64_t chunk_bytes;
};

class RegistryContract : public testing::TestWithParam<std::tuple<Row, ContractCase>> {};

TEST_P(RegistryContract, Holds) {
  const auto& [row, contract_case] = GetParam();
  const DockerRegistry registry;
  ASSERT_FALSE(registry.host().empty()) << "docker-registry did not start: " << registry.log();
  http::CurlTransport transport({.trust = {}, .proxy = {}});
  Client client(transport, {.hosts = {},
                            .credentials = {},
                            .retry = {.attempts = 1},
                            .seams = {},
                            .timeouts = {.connect = std::chrono::seconds(10), .idle = std::chrono::seconds(10)},
                            .chunk_bytes = row.chunk_bytes});
  contract_case.check(client, registry.host());
}

INSTANTIATE_TEST_SUITE_P(DockerRegistry, RegistryContract,
                         testing::Combine(testing::Values(Row{"InOnePiece", 0}, Row{"InChunks", 1000}),
                                          testing::ValuesIn(client_contract())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" + std::get<1>(test.param).name;
                         });

}  // namespace
}  // namespace imagebuild::registry
