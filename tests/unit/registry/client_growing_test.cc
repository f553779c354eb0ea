// Blobs that are uploaded while they are made.
#include <gtest/gtest.h>

#include "unit/registry/client_bench.h"

namespace imagebuild::registry {
namespace {

using contract::describe;
using contract::message_of;
using contract::reference;
using contract::some_bytes;
using fakes::FakeRegistry;
using fakes::FakeRegistryOptions;
using fakes::Fault;

const std::string kBytes = some_bytes(3500, "growing");

class GrowingUpload : public testing::Test {
 protected:
  void start(FakeRegistryOptions options = {}) { registry_.emplace(std::move(options)); }

  // Uploads kBytes, which grows as far as it is waited for.
  Status upload(std::stop_token stop = {}) {
    const BlobGrowth grow = [this](std::uint64_t wanted_bytes) -> Result<BlobSoFar> {
      waited_for_.push_back(wanted_bytes);
      if (on_wait_) RETURN_IF_ERROR(on_wait_(wanted_bytes));
      if (wanted_bytes <= kBytes.size()) return BlobSoFar{wanted_bytes, std::nullopt};
      return BlobSoFar{kBytes.size(), describe(promised_)};
    };
    const BlobOpener open = [this](std::uint64_t offset) {
      opened_.push_back(offset);
      return contract::opener_of(kBytes)(offset);
    };
    return bench_.client(bench_.options(1000)).push_growing_blob(reference(registry_->host(), "a/b"), grow, open, stop);
  }
  void expect_uploaded() {
    const Status uploaded = upload();
    ASSERT_TRUE(uploaded.ok()) << message_of(uploaded);
    EXPECT_EQ(registry_->blob("a/b", oci::Digest::of(kBytes)), kBytes);
    EXPECT_EQ(registry_->count("DELETE", ""), 0U);
  }
  // Fails with this, and leaves no blob and no upload.
  void expect_forgotten(ErrorCode code, std::stop_token stop = {}) {
    const Status uploaded = upload(std::move(stop));
    ASSERT_FALSE(uploaded.ok());
    EXPECT_EQ(uploaded.error().code, code) << uploaded.error().message;
    EXPECT_EQ(registry_->open_uploads(), 0U);
    EXPECT_EQ(registry_->blob("a/b", oci::Digest::of(kBytes)), std::nullopt);
  }
  std::vector<std::string> content_ranges() {
    std::vector<std::string> all;
    for (const auto& request : registry_->log()) {
      if (request.method == "PATCH") all.push_back(request.headers.find("Content-Range").value_or("none"));
    }
    return all;
  }

  std::optional<FakeRegistry> registry_;
  ClientBench bench_;
  std::string promised_ = kBytes;
  std::function<Status(std::uint64_t)> on_wait_;
  std::vector<std::uint64_t> waited_for_;
  std::vector<std::uint64_t> opened_;
};

TEST_F(GrowingUpload, SendsEachChunkWhenItIsThere) {
  start();
  on_wait_ = [this](std::uint64_t wanted_bytes) {
    EXPECT_EQ(registry_->count("PATCH", ""), wanted_bytes / 1000 - 1);  // All before has gone.
    return ok();
  };
  expect_uploaded();
  EXPECT_EQ(waited_for_, (std::vector<std::uint64_t>{1000, 2000, 3000, 4000}));
  EXPECT_EQ(content_ranges(), (std::vector<std::string>{"0-999", "1000-1999", "2000-2999", "3000-3499"}));
  EXPECT_EQ(opened_, std::vector<std::uint64_t>{0});
  EXPECT_EQ(registry_->count("HEAD", ""), 0U);
}

TEST_F(GrowingUpload, SendsNoChunkThatIsSmallerThanTheRegistryWants) {
  start({.min_chunk_bytes = 1700});
  expect_uploaded();
  EXPECT_EQ(content_ranges(), (std::vector<std::string>{"0-1699", "1700-3399", "3400-3499"}));
}

TEST_F(GrowingUpload, ResumesFromTheServersOffset) {
  start();
  registry_->inject({.kind = Fault::Kind::kDrop, .method = "PATCH", .skip = 1, .bytes = 400});
  expect_uploaded();
  EXPECT_EQ(registry_->count("POST", ""), 1U);
  EXPECT_EQ(opened_, (std::vector<std::uint64_t>{0, 1400}));
}

TEST_F(GrowingUpload, AsksForTheOffsetWhenAChunkIsOutOfPlace) {
  start();
  registry_->inject({.kind = Fault::Kind::kStatus, .method = "PATCH", .skip = 1, .status = 416});
  expect_uploaded();
  EXPECT_EQ(registry_->count("POST", ""), 1U);
}

TEST_F(GrowingUpload, StartsAnewWhenTheRegistryForgotIt) {
  start();
  registry_->inject({.kind = Fault::Kind::kStatus, .method = "PATCH", .skip = 2, .status = 404});
  registry_->inject({.kind = Fault::Kind::kStatus, .method = "GET", .path_part = "/uploads/", .status = 404});
  expect_uploaded();
  EXPECT_EQ(registry_->count("POST", ""), 2U);
  EXPECT_EQ(opened_, (std::vector<std::uint64_t>{0, 0}));
}

TEST_F(GrowingUpload, IsDoneWhenOnlyTheLastAnswerWasLost) {
  start();
  registry_->inject({.kind = Fault::Kind::kAnswerLost, .method = "PUT"});
  expect_uploaded();
  EXPECT_EQ(registry_->count("POST", ""), 1U);
}

TEST_F(GrowingUpload, IsNotForRegistriesThatTakeNoChunks) {
  start({.takes_chunks = false});
  expect_forgotten(ErrorCode::kUnsupported);
  EXPECT_EQ(registry_->count("PUT", ""), 0U);
}

TEST_F(GrowingUpload, LeavesNothingWhenTheBlobIsNeverWhole) {
  start();
  on_wait_ = [](std::uint64_t wanted_bytes) {
    return wanted_bytes < 3000 ? ok() : Status(Error{ErrorCode::kCancelled, "the stage failed"});
  };
  expect_forgotten(ErrorCode::kCancelled);
  EXPECT_EQ(registry_->count("PATCH", ""), 2U);
  EXPECT_EQ(registry_->count("POST", ""), 1U);
}

TEST_F(GrowingUpload, LeavesNothingWhenItIsStopped) {
  start();
  std::stop_source stop;
  on_wait_ = [&](std::uint64_t wanted_bytes) {
    if (wanted_bytes == 3000) stop.request_stop();
    return ok();
  };
  expect_forgotten(ErrorCode::kCancelled, stop.get_token());
}

TEST_F(GrowingUpload, LeavesNothingWhenTheBytesWereOthers) {
  start();
  promised_ = some_bytes(3500, "other");
  const Status uploaded = upload();
  ASSERT_FALSE(uploaded.ok());
  EXPECT_EQ(registry_->open_uploads(), 0U);
  EXPECT_EQ(registry_->blob("a/b", oci::Digest::of(promised_)), std::nullopt);
}

TEST_F(GrowingUpload, GivesUpAfterTheLastTry) {
  start();
  registry_->inject({.kind = Fault::Kind::kStatus, .method = "PATCH", .times = 1000, .status = 503});
  registry_->inject(
      {.kind = Fault::Kind::kStatus, .method = "GET", .path_part = "/uploads/", .times = 1000, .status = 503});
  expect_forgotten(ErrorCode::kUnavailable);
}

TEST_F(GrowingUpload, OpensNothingWithoutCredentials) {
  start({.auth = fakes::RegistryAuth::kBasic});
  expect_forgotten(ErrorCode::kDenied);
  EXPECT_EQ(registry_->count("PATCH", ""), 0U);
}

}  // namespace
}  // namespace imagebuild::registry
