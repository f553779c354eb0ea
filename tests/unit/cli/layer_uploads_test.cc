#include "cli/layer_uploads.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "fakes/fake_registry.h"
#include "http/curl_transport.h"
#include "unit/cli/sample_plan.h"

namespace imagebuild::cli {
namespace {

namespace fs = std::filesystem;
using fakes::FakeRegistry;

constexpr std::uint64_t kLarge = 10'000;
constexpr std::uint64_t kChunk = 4'000;
constexpr int kStage = 1;  // Of sample_plan(): the one that is pushed; its step 0 is a COPY.

std::string some_bytes(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i * 7919) + "\n";
  text.resize(size);
  return text;
}

// Lets a test wait for what was answered.
class Watched final : public http::HttpTransport {
 public:
  Result<http::Response> send(const http::Request& request, std::stop_token stop) override {
    auto response = curl_.send(request, std::move(stop));
    const std::lock_guard lock(mutex_);
    ++answers_[request.method];
    changed_.notify_all();
    return response;
  }
  void wait_for(const std::string& method, int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answers_[method] >= count; });
  }

 private:
  http::CurlTransport curl_{{.trust = {}, .proxy = {}}};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, int> answers_;
};

class LayerUploadsTest : public testing::Test {
 protected:
  LayerUploadsTest() {
    fs::create_directories(layers());
    start();
  }

  void start() {
    uploads_.emplace(client_, plan_, folder_.path(), archive::Compression::kGzip,
                     pushed_stages(plan_, {{"", {*oci::Reference::parse(registry_.host() + "/a/b:1")}}}),
                     stop_.get_token(), kLarge);
  }
  fs::path layers() const { return folder_.path() / "stages/1/layers"; }
  void append(const std::string& name, std::string_view bytes) const {
    std::ofstream(layers() / name, std::ios::app | std::ios::binary) << bytes;
  }
  static api::StageReport report(const std::string& bytes) {
    api::LayerReport layer;
    layer.step = 0;
    layer.file = "layers/0.tar.gz";
    layer.media_type = oci::media_type::kOciLayerGzip;
    layer.digest = oci::Digest::of(bytes).str();
    layer.size_bytes = bytes.size();
    api::StageReport report;
    report.layers = {layer};
    return report;
  }
  bool has(const std::string& bytes) { return registry_.blob("a/b", oci::Digest::of(bytes)) == bytes; }

  const TempDir folder_ = std::move(TempDir::create("layer-uploads-test-")).value();
  const api::Plan plan_ = sample_plan();
  FakeRegistry registry_;
  Watched transport_;
  registry::Client client_{transport_,
                           {.hosts = {}, .credentials = {}, .retry = {.attempts = 1}, .chunk_bytes = kChunk}};
  std::stop_source stop_;
  std::optional<LayerUploads> uploads_;
};

TEST_F(LayerUploadsTest, SendsALargeLayerWhileItGrows) {
  const std::string bytes = some_bytes(30'001);
  uploads_->begin(kStage);
  append("0.tar.gz", std::string_view(bytes).substr(0, kLarge));
  transport_.wait_for("PATCH", 2);
  EXPECT_FALSE(has(bytes));
  append("0.tar.gz", std::string_view(bytes).substr(kLarge));
  transport_.wait_for("PATCH", 7);
  const api::StageReport whole = report(bytes);
  uploads_->end(kStage, &whole);
  uploads_->wait();
  EXPECT_TRUE(has(bytes));
  EXPECT_EQ(registry_.count("POST", ""), 1U);
  EXPECT_EQ(registry_.open_uploads(), 0U);
  EXPECT_EQ(registry_.count("", "/manifests/"), 0U);
}

TEST_F(LayerUploadsTest, LeavesNothingOfAStageThatFails) {
  uploads_->begin(kStage);
  append("0.tar.gz", some_bytes(kLarge));
  transport_.wait_for("PATCH", 2);
  uploads_->end(kStage, nullptr);
  uploads_->wait();
  EXPECT_EQ(registry_.open_uploads(), 0U);
  EXPECT_FALSE(has(some_bytes(kLarge)));
}

TEST_F(LayerUploadsTest, LeavesNothingWhenTheBuildIsStopped) {
  uploads_->begin(kStage);
  append("0.tar.gz", some_bytes(kLarge));
  transport_.wait_for("PATCH", 2);
  stop_.request_stop();
  uploads_->end(kStage, nullptr);
  uploads_->wait();
  EXPECT_EQ(registry_.open_uploads(), 0U);
}

TEST_F(LayerUploadsTest, LeavesNothingWhenTheBuildIsOver) {
  uploads_->begin(kStage);
  append("0.tar.gz", some_bytes(kLarge));
  transport_.wait_for("PATCH", 2);
  uploads_.reset();
  EXPECT_EQ(registry_.open_uploads(), 0U);
}

TEST_F(LayerUploadsTest, LeavesALayerThatBecameAnotherOneToThePushAtTheEnd) {
  uploads_->begin(kStage);
  append("0.tar.gz", some_bytes(kLarge));
  transport_.wait_for("PATCH", 2);
  const api::StageReport other = report(some_bytes(2 * kLarge));
  uploads_->end(kStage, &other);
  uploads_->wait();
  EXPECT_EQ(registry_.open_uploads(), 0U);
  EXPECT_FALSE(has(some_bytes(2 * kLarge)));
}

TEST_F(LayerUploadsTest, FailsSilentlyWhereTheRegistryTakesNoChunks) {
  registry_.inject({.kind = fakes::Fault::Kind::kStatus, .method = "PATCH", .times = 100, .status = 405});
  const std::string bytes = some_bytes(2 * kLarge);
  uploads_->begin(kStage);
  append("0.tar.gz", bytes);
  transport_.wait_for("DELETE", 1);
  const api::StageReport whole = report(bytes);
  uploads_->end(kStage, &whole);
  uploads_->wait();
  EXPECT_FALSE(has(bytes));
  EXPECT_EQ(registry_.open_uploads(), 0U);
}

TEST_F(LayerUploadsTest, TakesOnlyFilesThatTheStageItselfWrites) {
  const std::string large = some_bytes(kLarge);
  append("0.tar.gz", large);  // Was there before.
  uploads_->begin(kStage);
  append("elsewhere", large);
  fs::create_symlink("elsewhere", layers() / "1.tar.gz");
  append("2.tar.gz", large);  // There is no such step.
  uploads_->end(kStage, nullptr);
  uploads_->wait();
  EXPECT_EQ(registry_.count("", ""), 0U);
}

TEST_F(LayerUploadsTest, CaresOnlyForStagesOfAPushedImage) {
  uploads_->begin(0);
  uploads_->end(0, nullptr);
  uploads_->wait();
  EXPECT_EQ(registry_.count("", ""), 0U);
}

TEST(PushedStages, AreTheTargetsWithATagAndWhatTheyAreBuiltOn) {
  const oci::Reference app = *oci::Reference::parse("registry.example/app:1");
  const oci::Reference other = *oci::Reference::parse("registry.example/other:1");
  api::Plan plan = sample_plan();
  EXPECT_EQ(pushed_stages(plan, {{"", {app, other}}}), (std::map<int, oci::Reference>{{1, app}}));
  EXPECT_EQ(pushed_stages(plan, {{"", {}}}), (std::map<int, oci::Reference>{}));
  EXPECT_EQ(pushed_stages(plan, {{"another", {app}}}), (std::map<int, oci::Reference>{}));
  plan.stages[1].base = api::OnStage{0};
  EXPECT_EQ(pushed_stages(plan, {{"", {app}}}), (std::map<int, oci::Reference>{{0, app}, {1, app}}));
}

}  // namespace
}  // namespace imagebuild::cli
