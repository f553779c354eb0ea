#include "kube/json_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace imagebuild::kube {
namespace {

struct Look {
  std::string name;
  std::string text;
  std::string seen;  // "name=value;" of each member, "no" when it is no object.
};

void PrintTo(const Look& look, std::ostream* out) {
  *out << look.name;
}

class Members : public testing::TestWithParam<Look> {};

TEST_P(Members, AreSeenAsTheyAreWritten) {
  std::string seen;
  const bool is_object = for_each_member(GetParam().text, [&](std::string_view name, std::string_view value) {
    seen.append(name).append("=").append(value).append(";");
  });
  EXPECT_EQ(is_object ? seen : "no", GetParam().seen);
}

INSTANTIATE_TEST_SUITE_P(
    JsonText, Members,
    testing::Values(Look{"Empty", "{ }", ""}, Look{"One", R"({"a":1})", "a=1;"},
                    Look{"Spaces", " {\n\"a\" : \"b\" ,\t\"c\": null }", "a=\"b\";c=null;"},
                    Look{"Nested", R"({"a":{"b":[1,{"c":"}"}]},"d":[]})", R"(a={"b":[1,{"c":"}"}]};d=[];)"},
                    Look{"Escapes", R"({"a\"":"\\\"}","b":"\\"})", R"(a\"="\\\"}";b="\\";)"},
                    Look{"Array", "[1]", "no"}, Look{"Nothing", "", "no"}, Look{"NoValue", R"({"a":})", "no"},
                    Look{"NoEnd", R"({"a":1)", "no"}, Look{"NoEndOfString", R"({"a":"b)", "no"},
                    Look{"EndsInEscape", "{\"a\":\"\\", "no"}, Look{"NoColon", R"({"a" 1})", "no"},
                    Look{"Unbalanced", R"({"a":[1})", "no"}),
    [](const auto& row) { return row.param.name; });

TEST(JsonText, GivesThePlainTextOfStringsWithoutEscapes) {
  EXPECT_EQ(plain_text(R"("a b")"), "a b");
  EXPECT_EQ(plain_text(R"("")"), "");
  EXPECT_EQ(plain_text(R"("a\n")"), std::nullopt);
  EXPECT_EQ(plain_text("1"), std::nullopt);
  EXPECT_EQ(plain_text("\""), std::nullopt);
}

struct Answer {
  std::string name;
  std::string text;
  std::vector<std::string> items;
  std::string rest;  // Empty: it is refused.
};

void PrintTo(const Answer& answer, std::ostream* out) {
  *out << answer.name;
}

class Lists : public testing::TestWithParam<Answer> {};

TEST_P(Lists, AreTakenApartWhereverTheirPiecesEnd) {
  const Answer& row = GetParam();
  for (std::size_t size = 1; size <= row.text.size(); ++size) {
    std::vector<std::string> items;
    ListText list([&](std::string_view item) { items.emplace_back(item); });
    Status taken = ok();
    for (std::size_t at = 0; at < row.text.size() && taken.ok(); at += size)
      taken = list.take(row.text.substr(at, size));
    const auto rest = taken.ok() ? list.finish() : Result<std::string>(taken.error());
    EXPECT_EQ(rest.ok() ? *rest : "", row.rest) << "in pieces of " << size;
    if (row.rest.empty()) continue;
    EXPECT_EQ(items, row.items) << "in pieces of " << size;
  }
}

INSTANTIATE_TEST_SUITE_P(
    JsonText, Lists,
    testing::Values(Answer{"ItemsFirst",
                           R"({"items":[{"a":[{}]},{"b":"]}"}],"metadata":{"c":1}})",
                           {R"({"a":[{}]})", R"({"b":"]}"})"},
                           R"({"items":[],"metadata":{"c":1}})"},
                    Answer{"ItemsLast",
                           R"({"metadata":{"items":[{"x":1}]}, "items" : [ {"a":"\\\""} , {} ] })",
                           {R"({"a":"\\\""})", "{}"},
                           R"({"metadata":{"items":[{"x":1}]}, "items" : [] })"},
                    Answer{"None", R"({"items":[],"kind":"List"})", {}, R"({"items":[],"kind":"List"})"},
                    Answer{"Null", R"({"items":null})", {}, R"({"items":null})"},
                    Answer{"AnotherList", R"({"names":[{"a":1}]})", {}, R"({"names":[{"a":1}]})"},
                    Answer{"EndsInAnItem", R"({"items":[{"a":1},{"b")", {}, ""},
                    Answer{"EndsBetween", R"({"items":[{"a":1},)", {}, ""}, Answer{"TooManyEnds", "}}", {}, ""},
                    Answer{"Nothing", "", {}, ""}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace imagebuild::kube
