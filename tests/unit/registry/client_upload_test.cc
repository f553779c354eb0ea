// Uploads that are interrupted: what is sent again, from where, and how often.
#include <gtest/gtest.h>

#include "unit/registry/client_bench.h"

namespace imagebuild::registry {
namespace {

using contract::describe;
using contract::message_of;
using contract::reference;
using contract::some_bytes;
using fakes::FakeRegistry;
using fakes::Fault;

const std::string kBytes = some_bytes(3500, "upload");

class FaultyUpload : public testing::Test {
 protected:
  // Uploads kBytes in chunks of that size, noting from where the bytes are asked for.
  Result<BlobOutcome> upload(std::uint64_t chunk_bytes = 1000) {
    Client client = bench_.client(bench_.options(chunk_bytes));
    const BlobOpener open = [this](std::uint64_t offset) {
      opened_.push_back(offset);
      return contract::opener_of(kBytes)(offset);
    };
    return client.push_blob(reference(registry_.host(), "a/b"), describe(kBytes), open);
  }
  void expect_uploaded(std::uint64_t chunk_bytes = 1000) {
    const auto uploaded = upload(chunk_bytes);
    ASSERT_TRUE(uploaded.ok()) << message_of(uploaded);
    EXPECT_EQ(*uploaded, BlobOutcome::kUploaded);
    EXPECT_EQ(registry_.blob("a/b", oci::Digest::of(kBytes)), kBytes);
  }
  std::vector<std::string> content_ranges() {
    std::vector<std::string> all;
    for (const auto& request : registry_.log()) {
      if (request.method == "PATCH") all.push_back(request.headers.find("Content-Range").value_or("none"));
    }
    return all;
  }
  FakeRegistry registry_;
  ClientBench bench_;
  std::vector<std::uint64_t> opened_;
};

TEST_F(FaultyUpload, ReadsTheContentOnceWhenNothingFails) {
  expect_uploaded();
  EXPECT_EQ(content_ranges(), (std::vector<std::string>{"0-999", "1000-1999", "2000-2999", "3000-3499"}));
  EXPECT_EQ(opened_, std::vector<std::uint64_t>{0});
}

TEST_F(FaultyUpload, ResumesAChunkFromTheServersOffset) {
  registry_.inject({.kind = Fault::Kind::kDrop, .method = "PATCH", .skip = 1, .bytes = 400});
  expect_uploaded();
  EXPECT_EQ(content_ranges(), (std::vector<std::string>{"0-999", "1000-1999", "1400-2399", "2400-3399", "3400-3499"}));
  EXPECT_EQ(opened_, (std::vector<std::uint64_t>{0, 1400}));
  EXPECT_EQ(registry_.count("POST", ""), 1U);
}

TEST_F(FaultyUpload, SendsAChunkNotAgainWhoseAnswerWasLost) {
  registry_.inject({.kind = Fault::Kind::kAnswerLost, .method = "PATCH", .skip = 1});
  expect_uploaded();
  EXPECT_EQ(content_ranges(), (std::vector<std::string>{"0-999", "1000-1999", "2000-2999", "3000-3499"}));
}

TEST_F(FaultyUpload, AsksAgainForTheOffsetWhenAskingFails) {
  registry_.inject({.kind = Fault::Kind::kDrop, .method = "PATCH", .skip = 1, .bytes = 400});
  registry_.inject(
      {.kind = Fault::Kind::kStatus, .method = "GET", .path_part = "/uploads/", .times = 2, .status = 503});
  expect_uploaded();
  EXPECT_EQ(registry_.count("POST", ""), 1U);
  EXPECT_EQ(opened_, (std::vector<std::uint64_t>{0, 1400}));
}

TEST_F(FaultyUpload, StartsAnewWhenTheRegistryForgotTheUpload) {
  registry_.inject({.kind = Fault::Kind::kStatus, .method = "PATCH", .skip = 2, .status = 404});
  registry_.inject({.kind = Fault::Kind::kStatus, .method = "GET", .path_part = "/uploads/", .status = 404});
  expect_uploaded();
  EXPECT_EQ(registry_.count("POST", ""), 2U);
  EXPECT_EQ(opened_, (std::vector<std::uint64_t>{0, 0}));
}

TEST_F(FaultyUpload, IsDoneWhenOnlyTheLastAnswerWasLost) {
  registry_.inject({.kind = Fault::Kind::kAnswerLost, .method = "PUT"});
  expect_uploaded();
  EXPECT_EQ(registry_.count("POST", ""), 1U);
  // libcurl itself sends a request again whose kept-alive connection ended without an answer.
  EXPECT_LE(registry_.count("PUT", ""), 2U);
}

TEST_F(FaultyUpload, SendsASmallBlobAgainWhole) {
  registry_.inject({.kind = Fault::Kind::kDrop, .method = "PUT", .bytes = 100});
  registry_.inject({.kind = Fault::Kind::kStatus, .method = "PUT", .status = 503});
  expect_uploaded(0);
  EXPECT_EQ(registry_.count("PUT", ""), 3U);
}

TEST_F(FaultyUpload, GivesUpAfterTheLastTry) {
  registry_.inject({.kind = Fault::Kind::kStatus, .method = "PUT", .times = 1000, .status = 500});
  const auto uploaded = upload(0);
  ASSERT_FALSE(uploaded.ok());
  EXPECT_EQ(uploaded.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(registry_.count("PUT", ""), static_cast<std::size_t>(http::RetryPolicy().attempts));
  EXPECT_EQ(bench_.waits().size(), static_cast<std::size_t>(http::RetryPolicy().attempts - 1));
}

TEST_F(FaultyUpload, CountsChunksAndQuestionsTogether) {
  registry_.inject({.kind = Fault::Kind::kStatus, .method = "PATCH", .times = 1000, .status = 503});
  registry_.inject(
      {.kind = Fault::Kind::kStatus, .method = "GET", .path_part = "/uploads/", .times = 1000, .status = 503});
  const auto uploaded = upload();
  ASSERT_FALSE(uploaded.ok());
  EXPECT_EQ(uploaded.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(registry_.count("PATCH", "") + registry_.count("GET", ""),
            static_cast<std::size_t>(http::RetryPolicy().attempts));
}

TEST_F(FaultyUpload, CountsAnewAfterEachChunkThatArrived) {
  // Two failures for each of four chunks are more than one operation's five tries.
  for (int chunk = 0; chunk < 4; ++chunk) {
    for (int i = 0; i < 2; ++i) {
      registry_.inject({.kind = Fault::Kind::kStatus, .method = "PATCH", .skip = 0, .status = 503});
    }
    registry_.inject({.kind = Fault::Kind::kHeaders, .method = "PATCH"});  // One that passes.
  }
  expect_uploaded();
  EXPECT_EQ(registry_.count("PATCH", ""), 12U);
}

TEST_F(FaultyUpload, DoesNotTurnInACircleWhenTheOffsetNeverMoves) {
  for (const char* method : {"PATCH", "GET"}) {
    registry_.inject({.kind = Fault::Kind::kHeaders, .method = method, .times = 1000, .headers = {{"Range", "0-499"}}});
  }
  const auto uploaded = upload();
  ASSERT_FALSE(uploaded.ok());
  EXPECT_EQ(uploaded.error().code, ErrorCode::kUnavailable);
  EXPECT_LE(registry_.count("PATCH", ""), 6U);
}

TEST_F(FaultyUpload, DoesNotBelieveAnotherDigest) {
  registry_.inject({.kind = Fault::Kind::kHeaders,
                    .method = "PUT",
                    .headers = {{"Docker-Content-Digest", oci::Digest::of("another").str()}}});
  const auto uploaded = upload(0);
  ASSERT_FALSE(uploaded.ok());
  EXPECT_EQ(uploaded.error().code, ErrorCode::kCorrupt);
}

TEST_F(FaultyUpload, EndsWithTheErrorOfItsSource) {
  Client client = bench_.client();
  int opened = 0;
  const BlobOpener open = [&opened](std::uint64_t) -> Result<std::unique_ptr<ByteSource>> {
    ++opened;
    return Error{ErrorCode::kUnavailable, "the source is gone"};
  };
  const auto pushed = client.push_blob(reference(registry_.host(), "a/b"), describe(kBytes), open);
  ASSERT_FALSE(pushed.ok());
  EXPECT_EQ(pushed.error().message, "the source is gone");
  EXPECT_EQ(opened, 1);
}

TEST_F(FaultyUpload, RefusesASourceOfAnotherSize) {
  Client client = bench_.client();
  for (const std::string& bytes : {kBytes.substr(1), kBytes + "more"}) {
    const auto pushed =
        client.push_blob(reference(registry_.host(), "a/b"), describe(kBytes), contract::opener_of(bytes));
    ASSERT_FALSE(pushed.ok()) << bytes.size();
    EXPECT_NE(pushed.error().code, ErrorCode::kUnavailable) << pushed.error().message;
  }
}

}  // namespace
}  // namespace imagebuild::registry
