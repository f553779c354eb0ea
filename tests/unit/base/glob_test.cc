#include "base/glob.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace imagebuild {
namespace {

struct Row {
  const char* name;
  const char* pattern;
  const char* path;
  bool matches;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.pattern << " on " << row.path;
}

// Go's filepath.Match.
class PathGlob : public testing::TestWithParam<Row> {};

TEST_P(PathGlob, Matches) {
  const Result<bool> result = glob_match(GetParam().pattern, GetParam().path);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result, GetParam().matches);
}

INSTANTIATE_TEST_SUITE_P(
    All, PathGlob,
    testing::Values(
        Row{"Literal", "main.go", "main.go", true}, Row{"LiteralIsNotAPrefix", "main", "main.go", false},
        Row{"EmptyMatchesEmpty", "", "", true}, Row{"EmptyMatchesNothingElse", "", "a", false},
        Row{"StarAlone", "*", "anything", true}, Row{"StarMatchesEmpty", "*", "", true},
        Row{"StarStopsAtSlash", "*", "a/b", false}, Row{"StarBefore", "*.c", "main.c", true},
        Row{"StarBetween", "lib*.so", "libz.so", true}, Row{"StarMayBeEmpty", "lib*.so", "lib.so", true},
        Row{"StarPerFolder", "src/*/x.h", "src/a/x.h", true}, Row{"OneFolderOnly", "src/*/x.h", "src/a/b/x.h", false},
        Row{"TwoStarsAreOne", "a**b", "axxb", true}, Row{"TwoStarsStopAtSlash", "a**b", "a/b", false},
        Row{"ManyStars", "*a*b*c", "xxaxxbxxc", true}, Row{"ManyStarsFail", "*a*b*c", "xxaxxbxxcx", false},
        Row{"StarTriesLater", "*ab", "aab", true}, Row{"QuestionMark", "v?.txt", "v1.txt", true},
        Row{"QuestionMarkNeedsOne", "v?.txt", "v.txt", false}, Row{"QuestionMarkNotSlash", "a?b", "a/b", false},
        Row{"QuestionMarkIsACharacter", "a?b",
            "a\xE2\x98\xBA"
            "b",
            true},
        Row{"QuestionMarkIsNotAByte", "a???b",
            "a\xE2\x98\xBA"
            "b",
            false},
        Row{"Class", "[abc].o", "b.o", true}, Row{"ClassMisses", "[abc].o", "d.o", false},
        Row{"Range", "part[0-9]", "part7", true}, Row{"RangeEnds", "part[1-8]", "part9", false},
        Row{"TwoRanges", "[a-cx-z]", "y", true}, Row{"Negated", "[^a-c]", "d", true},
        Row{"NegatedMisses", "[^a-c]", "b", false}, Row{"ClassNeedsACharacter", "a[^x]", "a", false},
        Row{"WideRange", "[a-\xCE\xB6]*", "\xCE\xB1", true}, Row{"ClassEscapes", "[\\]a]", "]", true},
        Row{"ClassDash", "[x\\-]", "-", true}, Row{"CaretInside", "[a^]", "^", true},
        Row{"ExclamationIsNoNegation", "[!a]", "!", true}, Row{"BackwardRangeMatchesNothing", "[z-a]", "m", false},
        Row{"EscapedStar", "a\\*b", "a*b", true}, Row{"EscapedStarIsPlain", "a\\*b", "axb", false},
        Row{"EscapedBackslash", "a\\\\", "a\\", true}, Row{"BraceIsPlain", "{a,b}", "{a,b}", true},
        Row{"DotIsPlain", "a.b", "axb", false}, Row{"HiddenFilesMatch", "*", ".git", true},
        Row{"InvalidUtf8IsAByteEach", "a??", "a\xFF\xFE", true}, Row{"ClosingBracketAlone", "a]", "a]", true}),
    [](const auto& param) { return param.param.name; });

struct BadRow {
  const char* name;
  const char* pattern;
};
void PrintTo(const BadRow& row, std::ostream* out) {
  *out << row.pattern;
}

class BadGlob : public testing::TestWithParam<BadRow> {};

TEST_P(BadGlob, IsRefusedWithThePatternNamed) {
  for (const Glob::Syntax syntax : {Glob::Syntax::kPath, Glob::Syntax::kIgnore}) {
    const Result<Glob> result = Glob::parse(GetParam().pattern, syntax);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidInput);
    EXPECT_NE(result.error().message.find(GetParam().pattern), std::string::npos) << result.error().message;
  }
}

INSTANTIATE_TEST_SUITE_P(All, BadGlob,
                         testing::Values(BadRow{"OpenClass", "a["}, BadRow{"OpenNegation", "[^"},
                                         BadRow{"OpenAfterCharacters", "[^bc"}, BadRow{"EmptyClass", "[]"},
                                         BadRow{"BracketFirst", "[]a]"}, BadRow{"DashAlone", "[-]"},
                                         BadRow{"DashFirst", "[-x]"}, BadRow{"DashLast", "[x-]"},
                                         BadRow{"DoubleRange", "[a-b-c]"}, BadRow{"FinalBackslash", "a\\"},
                                         BadRow{"BackslashInClass", "[a\\"}, BadRow{"ClassNotUtf8", "[\xFF]"},
                                         BadRow{"BadBehindAGoodStart", "good/*/[x"}),
                         [](const auto& param) { return param.param.name; });

// `**` of .dockerignore.
class IgnoreGlob : public testing::TestWithParam<Row> {};

TEST_P(IgnoreGlob, Matches) {
  const Result<Glob> glob = Glob::parse(GetParam().pattern, Glob::Syntax::kIgnore);
  ASSERT_TRUE(glob.ok()) << glob.error().message;
  EXPECT_EQ(glob->matches(GetParam().path), GetParam().matches);
}

INSTANTIATE_TEST_SUITE_P(
    All, IgnoreGlob,
    testing::Values(
        Row{"EverythingAtTheTop", "**", "file", true}, Row{"EverythingBelow", "**", "a/b/c", true},
        Row{"SlashBehindIsTaken", "**/", "file", true}, Row{"AnyFolderTop", "**/x", "x", true},
        Row{"AnyFolderDeep", "**/x", "a/b/x", true}, Row{"AnyFolderWholeName", "**/x", "a/bx", false},
        Row{"AnyFolderWholeNameTop", "**/.git", "my.git", false}, Row{"AnySuffix", "**x", "a/bx", true},
        Row{"AnySuffixTop", "**x", "bx", true}, Row{"AnySuffixWithStar", "**x*y", "bxy", false},
        Row{"AnySuffixWithStarDeep", "**x*y", "a/xby", true}, Row{"EverythingInside", "a/**", "a/b/c", true},
        Row{"InsideIsNotItself", "a/**", "a", false}, Row{"InsideNeedsTheFolder", "a/**", "ab/c", false},
        Row{"InTheMiddleNone", "a/**/b", "a/b", true}, Row{"InTheMiddleMany", "a/**/b", "a/x/y/b", true},
        Row{"InTheMiddleWholeName", "a/**/b", "a/xb", false}, Row{"BehindAName", "a**/*.txt", "ax/y/z.txt", true},
        Row{"Twice", "**/a/**", "x/a/y", true}, Row{"TwiceAtStart", "**/**/*.md", "r.md", true},
        Row{"StarStillStops", "**/a/*", "x/a/y/z", false}, Row{"AtTheEnd", "*.txt**", "a.txt/b", true},
        Row{"ThreeStars", "***", "a/b", true}, Row{"RegexCharactersArePlain", "a.|)$(}+{b", "a.|)$(}+{b", true},
        Row{"EscapedDoubleStar", "\\*\\*", "**", true}, Row{"EscapedDoubleStarIsPlain", "\\*\\*", "ab", false}),
    [](const auto& param) { return param.param.name; });

TEST(Glob, MatchesParents) {
  const Glob glob = *Glob::parse("a/*", Glob::Syntax::kIgnore);
  EXPECT_TRUE(glob.matches_or_parent("a/b"));
  EXPECT_TRUE(glob.matches_or_parent("a/b/c/d"));
  EXPECT_FALSE(glob.matches_or_parent("a"));
  EXPECT_FALSE(glob.matches_or_parent("x/a/b"));
  const Glob literal = *Glob::parse("a/b", Glob::Syntax::kIgnore);
  EXPECT_TRUE(literal.matches_or_parent("a/b"));
  EXPECT_TRUE(literal.matches_or_parent("a/b/c"));
  EXPECT_FALSE(literal.matches_or_parent("a/bc"));
  EXPECT_FALSE(literal.matches_or_parent("a"));
}

TEST(Glob, FindsANameAnywhere) {
  const Glob glob = *Glob::parse("**/a/b", Glob::Syntax::kIgnore);
  for (const char* path : {"a/b", "x/a/b", "xa/b/a/b"}) EXPECT_TRUE(glob.matches(path)) << path;
  for (const char* path : {"a/b/c", "xa/b", "a/bc", "a", "a/x/b"}) EXPECT_FALSE(glob.matches(path)) << path;
  for (const char* path : {"a/b/c", "x/a/b/c/d", "xa/b/a/b/c"}) EXPECT_TRUE(glob.matches_or_parent(path)) << path;
  for (const char* path : {"xa/b/c", "a/bc/b", "a"}) EXPECT_FALSE(glob.matches_or_parent(path)) << path;
  EXPECT_TRUE(Glob::parse("**/a\\*", Glob::Syntax::kIgnore)->matches("x/a*"));
}

TEST(Glob, TakesPatternsOfAnyLength) {
  const std::string long_name(300, 'n');
  EXPECT_TRUE(*glob_match(long_name + "*", long_name + "!"));
  EXPECT_FALSE(*glob_match(long_name + "*!", long_name));
  const std::string edge(62, 'n');  // Around 64 elements the set of positions changes its shape.
  for (const char* tail : {"*", "?*", "??*", "???*"}) EXPECT_TRUE(*glob_match(edge + tail, edge + "xyz")) << tail;
}

struct BelowRow {
  const char* name;
  const char* pattern;
  const char* directory;
  bool may;
};
void PrintTo(const BelowRow& row, std::ostream* out) {
  *out << row.pattern << " below " << row.directory;
}

class GlobBelow : public testing::TestWithParam<BelowRow> {};

TEST_P(GlobBelow, KnowsWhereItCanMatch) {
  const Glob glob = *Glob::parse(GetParam().pattern, Glob::Syntax::kIgnore);
  EXPECT_EQ(glob.may_match_below(GetParam().directory), GetParam().may);
}

INSTANTIATE_TEST_SUITE_P(
    All, GlobBelow,
    testing::Values(BelowRow{"InsideLiteral", "a/b", "a", true}, BelowRow{"NotBelowItself", "a/b", "a/b", false},
                    BelowRow{"OtherFolder", "a/b", "x", false}, BelowRow{"PrefixOfName", "ab/c", "a", false},
                    BelowRow{"Deep", "a/b/c/d", "a/b", true}, BelowRow{"TooDeep", "*.md", "a", false},
                    BelowRow{"StarFolder", "*/x", "anything", true}, BelowRow{"StarFolderTwoDeep", "*/x", "a/b", false},
                    BelowRow{"Anywhere", "**/x", "a/b/c", true}, BelowRow{"AnywhereInside", "a/**", "a/b", true},
                    BelowRow{"AnywhereOutside", "a/**", "b", false}, BelowRow{"Root", "a", "", true},
                    BelowRow{"RootDot", "a", ".", true}, BelowRow{"Suffix", "**.md", "docs", true}),
    [](const auto& param) { return param.param.name; });

TEST(Glob, KnowsALiteral) {
  const Glob escaped = *Glob::parse("a\\*b");
  EXPECT_TRUE(escaped.is_literal());
  EXPECT_EQ(escaped.literal(), "a*b");
  EXPECT_EQ(escaped.pattern(), "a\\*b");
  EXPECT_FALSE(Glob::parse("a*b")->is_literal());
  EXPECT_TRUE(has_glob_characters("a?"));
  EXPECT_TRUE(has_glob_characters("[a"));
  EXPECT_FALSE(has_glob_characters("a/b.c]{}"));
}

// Backtracking would need longer than the age of the universe for these.
TEST(Glob, HostilePatternsTakeLinearTime) {
  std::string stars;
  for (int i = 0; i < 200; ++i) stars += "*a";
  EXPECT_FALSE(*glob_match(stars + "b", std::string(400, 'a')));
  std::string folders;
  for (int i = 0; i < 100; ++i) folders += "**/a/";
  std::string path;
  for (int i = 0; i < 300; ++i) path += "a/";
  const Glob glob = *Glob::parse(folders + "b", Glob::Syntax::kIgnore);
  EXPECT_FALSE(glob.matches(path + "c"));
  EXPECT_TRUE(glob.matches(path + "b"));
}

TEST(Glob, VeryLongPatternsAreRefused) {
  EXPECT_EQ(Glob::parse(std::string(100'000, 'a')).error().code, ErrorCode::kLimit);
}

TEST(Glob, BackwardRangeIsAnErrorInAnIgnoreFile) {
  EXPECT_EQ(Glob::parse("[z-a]", Glob::Syntax::kIgnore).error().code, ErrorCode::kInvalidInput);
}

}  // namespace
}  // namespace imagebuild
