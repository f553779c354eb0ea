#include "dockerfile/ignore.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <ostream>

#include "base/file.h"

namespace imagebuild::dockerfile {
namespace {

struct Row {
  const char* name;
  const char* text;
  const char* path;
  bool excluded;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.path;
}

class Ignore : public testing::TestWithParam<Row> {};

TEST_P(Ignore, ExcludesAsDockerDoes) {
  const Result<IgnoreRules> rules = IgnoreRules::parse(GetParam().text);
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  EXPECT_EQ(rules->excludes(GetParam().path), GetParam().excluded);
}

INSTANTIATE_TEST_SUITE_P(
    Reading, Ignore,
    testing::Values(
        Row{"EmptyFile", "", "a", false}, Row{"EmptyLines", "\n\n  \n\t\n", "a", false},
        Row{"Comment", "# a\n", "a", false}, Row{"CommentIsNoPattern", "#a\n", "#a", false},
        Row{"HashAfterABlankIsAPattern", " #a\n", "#a", true}, Row{"HashInside", "a#b", "a#b", true},
        Row{"EscapedHash", "\\#a", "#a", true}, Row{"NoFinalNewline", "a", "a", true},
        Row{"CarriageReturns", "a\r\nb\r\n", "a", true}, Row{"BlanksAround", "  a b \t\n", "a b", true},
        Row{"ByteOrderMark",
            "\xEF\xBB\xBF"
            "a\n",
            "a", true},
        Row{"CommentBehindAByteOrderMark", "\xEF\xBB\xBF# a\n", "a", false}, Row{"LeadingSlash", "/a\n", "a", true},
        Row{"LeadingSlashIsTheRoot", "/a\n", "x/a", false}, Row{"OneSlashOnly", "//a", "a", true},
        Row{"TrailingSlash", "a/\n", "a", true}, Row{"TrailingSlashMatchesFilesToo", "a/\n", "a/b", true},
        Row{"DotSlash", "./a\n", "a", true}, Row{"DotsInside", "x/../a\n", "a", true},
        Row{"DoubledSlashes", "a//b\n", "a/b", true}, Row{"DotIsNothing", ".\n", "a", false},
        Row{"SlashIsNothing", "/\n", "a", false}, Row{"ParentIsNothing", "..\n", "a", false},
        Row{"OutsideIsNothing", "../a\n", "a", false}, Row{"RootedParentIsInside", "/../a\n", "a", true},
        Row{"ExceptionWithBlank", "a\n! a\n", "a", false}, Row{"ExceptionWithSlash", "a\n!/a\n", "a", false},
        Row{"ExceptionWithDotSlash", "a\n!./a/\n", "a", false}, Row{"ExceptionOfDotIsNothing", "*\n!.\n", "a", true}),
    [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Matching, Ignore,
    testing::Values(
        Row{"Name", "a\n", "a", true}, Row{"NameIsRooted", "a\n", "x/a", false}, Row{"NameIsWhole", "a\n", "ab", false},
        Row{"FolderTakesItsContent", "a\n", "a/b/c", true}, Row{"PathTakesItsContent", "a/b\n", "a/b/c/d", true},
        Row{"PathNotItsParent", "a/b\n", "a", false}, Row{"PathNotItsSibling", "a/b\n", "a/c", false},
        Row{"Star", "*.o\n", "main.o", true}, Row{"StarIsRooted", "*.o\n", "src/main.o", false},
        Row{"StarTakesContent", "*.d\n", "conf.d/x", true}, Row{"StarAloneIsEverything", "*\n", "a/b", true},
        Row{"StarMatchesHidden", "*\n", ".git/config", true}, Row{"StarPerLevel", "*/temp*\n", "a/temporary.txt", true},
        Row{"StarPerLevelOnly", "*/temp*\n", "a/b/temp", false}, Row{"TwoLevels", "*/*/temp*\n", "a/b/tempx", true},
        Row{"QuestionMark", "temp?\n", "tempa", true}, Row{"QuestionMarkNotEmpty", "temp?\n", "temp", false},
        Row{"Class", "[ab].txt\n", "b.txt", true}, Row{"NegatedClass", "[^ab].txt\n", "b.txt", false},
        Row{"AnyFolder", "**/*.go\n", "a/b/c.go", true}, Row{"AnyFolderTop", "**/*.go\n", "c.go", true},
        Row{"AnyFolderNamed", "**/node_modules\n", "web/node_modules/x/y.js", true},
        Row{"AnyFolderNamedWhole", "**/node_modules\n", "web/old_node_modules", false},
        Row{"Below", "a/**\n", "a/b", true}, Row{"BelowNotItself", "a/**\n", "a", false},
        Row{"Between", "a/**/z\n", "a/b/c/z", true}, Row{"BetweenNothing", "a/**/z\n", "a/z", true},
        Row{"SuffixAnywhere", "**.log\n", "x/y.log", true}, Row{"Everything", "**\n", "a/b/c", true},
        Row{"EverythingSlash", "**/\n", "a", true}, Row{"EscapedStar", "a\\*\n", "a*", true},
        Row{"EscapedStarIsPlain", "a\\*\n", "ab", false}, Row{"EscapedExclamation", "\\!a\n", "!a", true},
        Row{"RegexCharacters", "a.b+c\n", "a.b+c", true}, Row{"DotIsPlain", "a.b\n", "axb", false},
        Row{"CaseMatters", "A\n", "a", false}, Row{"Root", "*\n", ".", false}, Row{"EmptyPath", "*\n", "", false}),
    [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(Exceptions, Ignore,
                         testing::Values(Row{"OneFile", "*.md\n!README.md\n", "README.md", false},
                                         Row{"OnlyThatFile", "*.md\n!README.md\n", "x.md", true},
                                         Row{"OrderDecides", "!README.md\n*.md\n", "README.md", true},
                                         Row{"LastMatchWins", "*.md\n!R*.md\nRS.md\n", "RS.md", true},
                                         Row{"LastMatchWinsOther", "*.md\n!R*.md\nRS.md\n", "RX.md", false},
                                         Row{"InsideAFolder", "docs\n!docs/a\n", "docs/a", false},
                                         Row{"InsideAFolderOthers", "docs\n!docs/a\n", "docs/b", true},
                                         Row{"FolderItselfStaysExcluded", "docs\n!docs/a\n", "docs", true},
                                         Row{"ExceptionTakesContent", "*\n!src\n", "src/a/b.c", false},
                                         Row{"ExceptionTakesContentOnly", "*\n!src\n", "lib/a", true},
                                         Row{"ExclusionInAnException", "*\n!src\nsrc/*.o\n", "src/a.o", true},
                                         Row{"AnywhereBack", "**\n!**/*.c\n", "a/b/x.c", false},
                                         Row{"AnywhereBackOthers", "**\n!**/*.c\n", "a/b/x.h", true},
                                         Row{"BackAndForth", "a\n!a\na\n!a\n", "a", false},
                                         Row{"ExceptionOfNothing", "!a\n", "a", false},
                                         Row{"ParentExceptionBeatsEarlierChild", "a/b\n!a\n", "a/b", false},
                                         Row{"DeepException", "a/**\n!a/b/c/**\n", "a/b/c/d", false},
                                         Row{"DeepExceptionNotItsParent", "a/**\n!a/b/c/**\n", "a/b/x", true}),
                         [](const auto& param) { return param.param.name; });

struct BadRow {
  const char* name;
  const char* text;
  const char* message;
};
void PrintTo(const BadRow& row, std::ostream* out) {
  *out << row.name;
}

class BadIgnore : public testing::TestWithParam<BadRow> {};

TEST_P(BadIgnore, NamesTheLine) {
  const Result<IgnoreRules> rules = IgnoreRules::parse(GetParam().text);
  ASSERT_FALSE(rules.ok());
  EXPECT_EQ(rules.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(rules.error().message.find(GetParam().message), 0U) << rules.error().message;
}

INSTANTIATE_TEST_SUITE_P(All, BadIgnore,
                         testing::Values(BadRow{"LoneExclamation", "a\n!\n", "line 2: '!'"},
                                         BadRow{"ExclamationAndBlanks", "!  \n", "line 1: '!'"},
                                         BadRow{"OpenClass", "# c\n\n[ab\n", "line 3: bad pattern '[ab'"},
                                         BadRow{"OpenClassInAnException", "a\nb\n![\n", "line 3: bad pattern '['"},
                                         BadRow{"EmptyClass", "a[]", "line 1: bad pattern"},
                                         BadRow{"BackwardRange", "[z-a]\r\n", "line 1: bad pattern"},
                                         BadRow{"FinalBackslash", "x\\\n", "line 1: bad pattern"},
                                         BadRow{"DashInClass", "ok\n[-x]\n", "line 2: bad pattern"}),
                         [](const auto& param) { return param.param.name; });

struct WalkRow {
  const char* name;
  const char* text;
  const char* directory;
  bool may;
};
void PrintTo(const WalkRow& row, std::ostream* out) {
  *out << row.directory;
}

class IgnoreWalk : public testing::TestWithParam<WalkRow> {};

TEST_P(IgnoreWalk, SkipsAFolderWhenNothingBelowCanComeBack) {
  const IgnoreRules rules = *IgnoreRules::parse(GetParam().text);
  EXPECT_EQ(rules.may_contain_included(GetParam().directory), GetParam().may);
}

INSTANTIATE_TEST_SUITE_P(All, IgnoreWalk,
                         testing::Values(WalkRow{"NotExcluded", "a\n", "b", true},
                                         WalkRow{"NoExceptions", "a\n", "a", false},
                                         WalkRow{"BelowExcluded", "a\n", "a/b", false},
                                         WalkRow{"ExceptionInside", "a\n!a/b\n", "a", true},
                                         WalkRow{"ExceptionElsewhere", "*\n!b/c\n", "a", false},
                                         WalkRow{"ExceptionDeep", "*\n!a/b/c\n", "a/b", true},
                                         WalkRow{"ExceptionAnywhere", "*\n!**/*.c\n", "a/b", true},
                                         WalkRow{"ExceptionAtTheTop", "*\n!*.c\n", "a", false},
                                         WalkRow{"ExceptionIsTheFolder", "*\n!a\n", "a", true},
                                         WalkRow{"ExcludedAgain", "!a/b\na\n", "a", false},
                                         WalkRow{"StarFolder", "*\n!*/keep\n", "any", true},
                                         WalkRow{"PrefixOfAName", "*\n!abc/d\n", "ab", false},
                                         WalkRow{"Root", "*\n", "", true}, WalkRow{"RootDot", "*\n", ".", true}),
                         [](const auto& param) { return param.param.name; });

// Whatever the patterns: nothing that is included may lie in a folder that a walker skips.
TEST(IgnoreWalkRule, NeverSkipsAnIncludedPath) {
  const std::vector<std::string> names{"a", "b", "ab"};
  std::vector<std::string> paths;
  for (const auto& x : names) {
    paths.push_back(x);
    for (const auto& y : names) {
      paths.push_back(x + "/" + y);
      for (const auto& z : names) paths.push_back(x + "/" + y + "/" + z);
    }
  }
  const std::vector<std::string> patterns{"*", "**", "a", "a/b", "*/a", "**/b", "a/**", "?", "a*/b", "a/*/ab", "**b"};
  int included = 0;
  for (const auto& first : patterns) {
    for (const auto& second : patterns) {
      for (const auto& third : patterns) {
        const IgnoreRules rules = *IgnoreRules::parse(first + "\n!" + second + "\n!" + third + "\n");
        for (const std::string& path : paths) {
          if (rules.excludes(path)) continue;
          ++included;
          for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
            ASSERT_TRUE(rules.may_contain_included(path.substr(0, slash))) << first << " " << second << " " << path;
          }
        }
      }
    }
  }
  EXPECT_GT(included, 1'000);
}

TEST(IgnoreRulesTest, DefaultExcludesNothing) {
  const IgnoreRules rules;
  EXPECT_TRUE(rules.empty());
  EXPECT_FALSE(rules.excludes("a"));
  EXPECT_TRUE(rules.may_contain_included("a"));
}

TEST(IgnoreRulesTest, PatternsWithoutAFileKnowNoComments) {
  const std::vector<std::string> patterns{"#a", "*.o", "!keep.o", ""};
  const IgnoreRules rules = *IgnoreRules::from_patterns(patterns);
  EXPECT_TRUE(rules.excludes("#a"));
  EXPECT_TRUE(rules.excludes("x.o"));
  EXPECT_FALSE(rules.excludes("keep.o"));
  const std::vector<std::string> bad{"ok", "["};
  EXPECT_EQ(IgnoreRules::from_patterns(bad).error().code, ErrorCode::kInvalidInput);
}

TEST(IgnoreRulesTest, HasLimits) {
  std::string many;
  for (int i = 0; i < 10'001; ++i) many += "a\n";
  EXPECT_EQ(IgnoreRules::parse(many).error().code, ErrorCode::kLimit);
  EXPECT_EQ(IgnoreRules::parse(std::string(2 << 20, '\n')).error().code, ErrorCode::kLimit);
}

ReadOptionalFile files(std::map<std::string, std::string> content) {
  return [content = std::move(content)](const std::filesystem::path& path) -> Result<std::optional<std::string>> {
    const auto found = content.find(path.string());
    if (found == content.end()) return std::optional<std::string>();
    return std::optional(found->second);
  };
}

TEST(ReadIgnoreFile, TheOneOfTheDockerfileComesFirst) {
  const auto read = files({{"ctx/.dockerignore", "a\n"}, {"dir/app.Dockerfile.dockerignore", "b\n"}});
  const IgnoreFile own = *read_ignore_file("ctx", "dir/app.Dockerfile", read);
  EXPECT_EQ(own.path, std::filesystem::path("dir/app.Dockerfile.dockerignore"));
  EXPECT_TRUE(own.rules.excludes("b"));
  EXPECT_FALSE(own.rules.excludes("a"));
  const IgnoreFile common = *read_ignore_file("ctx", "dir/other.Dockerfile", read);
  EXPECT_EQ(common.path, std::filesystem::path("ctx/.dockerignore"));
  EXPECT_TRUE(common.rules.excludes("a"));
}

TEST(ReadIgnoreFile, AnEmptyOneOfTheDockerfileStillCounts) {
  const auto read = files({{"ctx/.dockerignore", "a\n"}, {"ctx/Dockerfile.dockerignore", ""}});
  EXPECT_FALSE(read_ignore_file("ctx", "ctx/Dockerfile", read)->rules.excludes("a"));
}

TEST(ReadIgnoreFile, NoFileMeansNoRules) {
  const IgnoreFile none = *read_ignore_file("ctx", "", files({{".dockerignore", "a\n"}}));
  EXPECT_EQ(none.path, std::nullopt);
  EXPECT_TRUE(none.rules.empty());
}

TEST(ReadIgnoreFile, NamesTheFileAndTheLine) {
  const Result<IgnoreFile> bad = read_ignore_file("ctx", "", files({{"ctx/.dockerignore", "a\n[\n"}}));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message.find("ctx/.dockerignore: line 2: "), 0U) << bad.error().message;
}

TEST(ReadIgnoreFile, PassesWhatReadingSays) {
  const ReadOptionalFile broken = [](const std::filesystem::path&) -> Result<std::optional<std::string>> {
    return Error{ErrorCode::kDenied, "no"};
  };
  EXPECT_EQ(read_ignore_file("ctx", "", broken).error().code, ErrorCode::kDenied);
}

TEST(ReadIgnoreFile, ReadsFromTheFileSystem) {
  const TempDir dir = std::move(*TempDir::create("ignore-test-"));
  std::ofstream(dir.path() / ".dockerignore") << "*.log\n";
  const Result<IgnoreFile> file = read_ignore_file(dir.path(), dir.path() / "Dockerfile");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_TRUE(file->rules.excludes("x.log"));
  // The ignore file and the Dockerfile are not special: a rule may exclude them, and they are still read.
  std::ofstream(dir.path() / ".dockerignore") << ".dockerignore\nDockerfile\n";
  EXPECT_TRUE(read_ignore_file(dir.path(), dir.path() / "Dockerfile")->rules.excludes("Dockerfile"));
}

}  // namespace
}  // namespace imagebuild::dockerfile
