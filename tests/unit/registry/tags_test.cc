#include "registry/tags.h"

#include <gtest/gtest.h>

#include "unit/registry/client_bench.h"

namespace imagebuild::registry {
namespace {

using contract::message_of;
using contract::reference;
using fakes::FakeRegistry;
using fakes::Fault;

void add_tags(FakeRegistry& registry, int count) {
  for (int i = 100; i < 100 + count; ++i) {
    registry.add_manifest("a/b", "t" + std::to_string(i), std::string(oci::media_type::kOciIndex),
                          R"({"schemaVersion":2,"manifests":[]})");
  }
}

TEST(Tags, ComeInPages) {
  FakeRegistry registry({.tags_a_page = 3});
  add_tags(registry, 8);
  ClientBench bench;
  const auto tags = bench.client().tags(reference(registry.host(), "a/b"));
  ASSERT_TRUE(tags.ok()) << message_of(tags);
  EXPECT_EQ(*tags, (std::vector<std::string>{"t100", "t101", "t102", "t103", "t104", "t105", "t106", "t107"}));
  EXPECT_EQ(registry.count("GET", "/tags/list"), 3U);
}

struct Answer {
  std::string name;
  std::string body;
  std::string link;
  std::optional<ErrorCode> error;
  std::size_t tags = 0;
};

class StrangeTags : public testing::TestWithParam<Answer> {};

TEST_P(StrangeTags, EndTheList) {
  const Answer& answer = GetParam();
  FakeRegistry registry;
  Fault fault{.path_part = "/tags/list", .times = 100, .status = 200, .body = answer.body};
  if (!answer.link.empty()) fault.headers.add("Link", answer.link);
  registry.inject(fault);
  ClientBench bench;
  const auto tags = bench.client().tags(reference(registry.host(), "a/b"));
  ASSERT_EQ(tags.ok(), !answer.error) << message_of(tags);
  if (tags.ok()) {
    EXPECT_EQ(tags->size(), answer.tags);
  } else {
    EXPECT_EQ(tags.error().code, answer.error) << message_of(tags);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, StrangeTags,
    testing::Values(Answer{"NoJson", "<html>", "", ErrorCode::kCorrupt},
                    Answer{"NoObject", "[]", "", ErrorCode::kCorrupt},
                    Answer{"NoTags", R"({"name":"a/b"})", "", ErrorCode::kCorrupt},
                    Answer{"TagsOfAnotherKind", R"({"tags":"v1"})", "", ErrorCode::kCorrupt},
                    Answer{"NullIsNone", R"({"tags":null})", "", {}, 0},
                    Answer{"OtherElements", R"({"tags":["v1",2,null]})", "", {}, 1},
                    Answer{"LinkToItself", R"({"tags":["v1"]})", "</v2/a/b/tags/list>; rel=\"next\"", {}, 1},
                    Answer{"LinkOfAnotherKind", R"({"tags":["v1"]})", "</v2/a/b/tags/list>; rel=\"last\"", {}, 1},
                    Answer{"BrokenLink", R"({"tags":["v1"]})", "next", {}, 1},
                    Answer{"LinkToAnotherServer", R"({"tags":["v1"]})", "<http://127.0.0.9:1/v2/x>; rel=\"next\"",
                           ErrorCode::kCorrupt}),
    [](const auto& row) { return row.param.name; });

TEST(Tags, AreRefusedWithTheRegistrysReason) {
  FakeRegistry registry;
  registry.inject(
      {.path_part = "/tags/list", .status = 403, .body = R"({"errors":[{"code":"DENIED","message":"no"}]})"});
  ClientBench bench;
  const auto tags = bench.client().tags(reference(registry.host(), "a/b"));
  ASSERT_FALSE(tags.ok());
  EXPECT_EQ(tags.error().code, ErrorCode::kDenied);
  EXPECT_NE(tags.error().message.find("refused to list the tags of 'a/b': no"), std::string::npos) << message_of(tags);
}

TEST(RemovingAManifest, ThatTheRegistryDoesNotAllowSaysWhatToDo) {
  FakeRegistry registry({.removes = false});
  ClientBench bench;
  const auto removed = bench.client().remove_manifest(reference(registry.host(), "a/b"), oci::Digest::of("x"));
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(removed.error().message,
            "registry " + registry.host() +
                " did not accept the removal of a manifest from 'a/b' (405): The operation is unsupported; allow "
                "removing there, or let the registry remove old tags itself");
}

}  // namespace
}  // namespace imagebuild::registry
