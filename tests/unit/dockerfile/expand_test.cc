#include "dockerfile/expand.h"

#include <gtest/gtest.h>

#include <map>
#include <ostream>

namespace imagebuild::dockerfile {
namespace {

// What every row sees. E is set but empty; U is never set.
VariableLookup variables() {
  static const std::map<std::string, std::string, std::less<>> kValues{{"A", "apple"},
                                                                       {"V", "1.22.3"},
                                                                       {"E", ""},
                                                                       {"P", "/usr/local/lib/libz.so.1"},
                                                                       {"S", "two  words"},
                                                                       {"STAR", "*"},
                                                                       {"STARS", "a*b*c"},
                                                                       {"Q", "it's \"q\""},
                                                                       {"D", "$A"},
                                                                       {"B", "back\\slash"},
                                                                       {"NL", "one\ntwo"},
                                                                       {"UTF", "\xE2\x98\xBA\xE2\x98\xBB"},
                                                                       {"URL", "http://x/a//b"},
                                                                       {"LONG_name1", "long"},
                                                                       {"X", "xxyyxx"},
                                                                       {"HASH", "#x"}};
  return [](std::string_view name) -> std::optional<std::string> {
    const auto found = kValues.find(name);
    if (found == kValues.end()) return std::nullopt;
    return found->second;
  };
}

struct Row {
  const char* name;
  const char* word;
  const char* text;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.word;
}

class ExpandWord : public testing::TestWithParam<Row> {};

TEST_P(ExpandWord, AsDockerDoes) {
  const Result<Expanded> result = expand_word(GetParam().word, '\\', variables());
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->text, GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Plain, ExpandWord,
    testing::Values(Row{"Empty", "", ""}, Row{"NoVariable", "plain", "plain"}, Row{"Blank", "a  b", "a  b"},
                    Row{"Dollar", "$A", "apple"}, Row{"DollarEndsAtDot", "$A.x", "apple.x"},
                    Row{"DollarEndsAtDash", "$A-x", "apple-x"}, Row{"DollarTakesTheLongestName", "$LONG_name1", "long"},
                    Row{"DollarLongerNameIsUnset", "$Ax", ""}, Row{"DollarAlone", "5$", "5$"},
                    Row{"DollarBeforeAPoint", "$.", "$."}, Row{"DollarBeforeASlash", "a$/b", "a$/b"},
                    Row{"DollarTwiceIsAParameter", "$$A", "A"}, Row{"CaseMatters", "$a", ""},
                    Row{"Unset", "x${U}y", "xy"}, Row{"SetButEmpty", "x${E}y", "xy"}, Row{"Braces", "${A}s", "apples"},
                    Row{"BracesTwice", "${A}${V}", "apple1.22.3"}, Row{"BraceAlone", "{A}", "{A}"},
                    Row{"ClosingBraceBehind", "${A}}", "apple}"}, Row{"Positional", "$1x", "x"},
                    Row{"PositionalTakesAllDigits", "a$12b", "ab"}, Row{"PositionalInBraces", "${12}", ""},
                    Row{"AllParameters", "$@-$*-$#-$?-$!", "----"}, Row{"DashParameter", "$-x", "x"},
                    Row{"ValueIsNotExpandedAgain", "$D", "$A"}, Row{"QuotesInAValueStay", "$Q", "it's \"q\""},
                    Row{"EscapesInAValueStay", "$B", "back\\slash"}, Row{"BlanksInAValueStay", "$S", "two  words"},
                    Row{"Utf8AroundAVariable", "\xE2\x98\xBA${A}\xC3\xA9",
                        "\xE2\x98\xBA"
                        "apple\xC3\xA9"},
                    Row{"LettersBeyondAsciiBelongToTheName", "$A\xC3\xA9.", "."},
                    Row{"SymbolsBeyondAsciiDoNot", "$A\xE2\x80\x93.", "apple\xE2\x80\x93."},
                    Row{"InvalidUtf8Stays", "\xFF$A\xFF",
                        "\xFF"
                        "apple\xFF"}),
    [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Quotes, ExpandWord,
    testing::Values(Row{"Single", "'a b'", "a b"}, Row{"SingleInside", "a' 'b", "a b"},
                    Row{"SingleKeepsVariables", "'$A ${A}'", "$A ${A}"},
                    Row{"SingleKeepsEscapes", "'a\\tb\\'", "a\\tb\\"}, Row{"SingleKeepsDouble", "'\"'", "\""},
                    Row{"Double", "\"a b\"", "a b"}, Row{"DoubleExpands", "\"$A ${V}\"", "apple 1.22.3"},
                    Row{"DoubleKeepsSingle", "\"'$A'\"", "'apple'"}, Row{"DoubleEscapesDollar", "\"\\$A\"", "$A"},
                    Row{"DoubleEscapesQuote", "\"a\\\"b\"", "a\"b"}, Row{"DoubleEscapesItself", "\"a\\\\b\"", "a\\b"},
                    Row{"DoubleKeepsOtherEscapes", "\"a\\nb\"", "a\\nb"}, Row{"EmptyQuotes", "''\"\"", ""},
                    Row{"QuotesAroundHalf", "pre\"$A\"post", "preapplepost"}, Row{"EscapedSingle", "it\\'s", "it's"},
                    Row{"EscapedDollar", "\\$A", "$A"}, Row{"EscapedBraces", "\\${A}", "${A}"},
                    Row{"EscapedBackslash", "\\\\$A", "\\apple"}, Row{"EscapeOfAnyCharacterGoes", "a\\tb", "atb"},
                    Row{"FinalEscapeGoes", "a\\", "a"}, Row{"EscapedUtf8", "\\\xE2\x98\xBA", "\xE2\x98\xBA"}),
    [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Defaults, ExpandWord,
    testing::Values(Row{"DashUnset", "${U-d}", "d"}, Row{"DashEmpty", "${E-d}", ""}, Row{"DashSet", "${A-d}", "apple"},
                    Row{"ColonDashUnset", "${U:-d}", "d"}, Row{"ColonDashEmpty", "${E:-d}", "d"},
                    Row{"ColonDashSet", "${A:-d}", "apple"}, Row{"ColonDashNothing", "${U:-}", ""},
                    Row{"PlusUnset", "${U+d}", ""}, Row{"PlusEmpty", "${E+d}", "d"}, Row{"PlusSet", "${A+d}", "d"},
                    Row{"ColonPlusUnset", "${U:+d}", ""}, Row{"ColonPlusEmpty", "${E:+d}", ""},
                    Row{"ColonPlusSet", "${A:+d}", "d"}, Row{"QuestionSet", "${A?no}", "apple"},
                    Row{"QuestionEmpty", "${E?no}", ""}, Row{"ColonQuestionSet", "${A:?no}", "apple"},
                    Row{"DefaultExpands", "${U:-$A}", "apple"}, Row{"DefaultNests", "${U:-${W:-${V}}}", "1.22.3"},
                    Row{"AlternativeNests", "${A:+-${V}}", "-1.22.3"}, Row{"DefaultWithBlanks", "${U:-a b}", "a b"},
                    Row{"DefaultWithQuotes", "${U:-\"}\"}", "}"}, Row{"DefaultSingleQuotes", "${U:-'$A'}", "$A"},
                    Row{"DefaultEscapedBrace", "${U:-a\\}b}", "a}b"}, Row{"DefaultEscapedDollar", "${U:-\\$A}", "$A"},
                    Row{"DefaultWithOpenBrace", "${U:-{x}", "{x"}, Row{"DefaultWithColon", "${U:-a:b}", "a:b"},
                    Row{"ParameterDefault", "${1:-one}", "one"}, Row{"InDoubleQuotes", "\"${U:-a b}\"", "a b"}),
    [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Patterns, ExpandWord,
    testing::Values(
        Row{"PrefixLiteral", "${V#1.}", "22.3"}, Row{"PrefixMisses", "${V#2.}", "1.22.3"},
        Row{"PrefixShortest", "${P#*/}", "usr/local/lib/libz.so.1"}, Row{"PrefixLongest", "${P##*/}", "libz.so.1"},
        Row{"PrefixStarMatchesNothing", "${A#*}", "apple"}, Row{"PrefixLongestStarMatchesAll", "${A##*}", ""},
        Row{"PrefixEmptyPattern", "${A#}", "apple"}, Row{"PrefixQuestion", "${V#?.}", "22.3"},
        Row{"PrefixEscapedStar", "${STARS#a\\*}", "b*c"},
        Row{"DoubledModifierFromAVariableCounts", "${X#$HASH}", "xyyxx"},
        Row{"PrefixPatternVariableIsAPattern", "${A##$STAR}", ""}, Row{"PrefixOfUnset", "${U#a}", ""},
        Row{"PrefixEscapedBrace", "${A#\\}}", "apple"}, Row{"SuffixLiteral", "${P%.1}", "/usr/local/lib/libz.so"},
        Row{"SuffixShortest", "${V%.*}", "1.22"}, Row{"SuffixLongest", "${V%%.*}", "1"},
        Row{"SuffixMisses", "${V%.4}", "1.22.3"}, Row{"SuffixLongestWithSlash", "${P%%/lib*}", "/usr/local"},
        Row{"SuffixShortestWithSlash", "${P%/lib*}", "/usr/local/lib"}, Row{"SuffixQuestion", "${V%.?}", "1.22"},
        Row{"SuffixEscapedStar", "${STARS%%\\**}", "a"}, Row{"SuffixOfUtf8", "${UTF%?}", "\xE2\x98\xBA"},
        Row{"PrefixOfUtf8", "${UTF#?}", "\xE2\x98\xBB"}, Row{"PrefixDoesNotCrossLines", "${NL##*two}", "one\ntwo"},
        Row{"ColonBeforeAPatternIsAccepted", "${V:#1.}", "22.3"}, Row{"PatternInQuotes", "${STARS#\"a\"}", "*b*c"},
        Row{"ReplaceFirst", "${X/x/-}", "-xyyxx"}, Row{"ReplaceAll", "${X//x/-}", "--yy--"},
        Row{"ReplaceWithNothing", "${X//x/}", "yy"}, Row{"ReplaceMisses", "${X//z/-}", "xxyyxx"},
        Row{"ReplaceStarIsGreedy", "${V/.*/!}", "1!"}, Row{"ReplaceAllWithStar", "${X//x*y/-}", "-xx"},
        Row{"ReplaceEverything", "${X//*/-}", "-"}, Row{"ReplaceQuestion", "${V//?/.}", "......"},
        Row{"ReplaceDotIsPlain", "${V//./_}", "1_22_3"}, Row{"ReplaceSlash", "${URL//\\//_}", "http:__x_a__b"},
        Row{"ReplacementKeepsItsEscape", "${URL/\\/\\//\\/}", "http:\\/x/a//b"},
        Row{"ReplaceNests", "${A/${U:-p}/$V}", "a1.22.3ple"}, Row{"ReplacementIsLiteral", "${A/p/$D}", "a$Aple"},
        Row{"ReplaceEmptyPatternPutsItFirst", "${A/$E/>}", ">apple"},
        Row{"ReplaceAllEmptyPattern", "${X///-}", "-x-x-y-y-x-x-"}, Row{"ReplaceInUnset", "${U/a/b}", ""},
        Row{"ReplaceBracketsArePlain", "${A/[ap]/-}", "apple"}, Row{"ReplaceEscapedStar", "${STARS//\\*/+}", "a+b+c"}),
    [](const auto& param) { return param.param.name; });

struct ErrorRow {
  const char* name;
  const char* word;
  std::size_t offset;
  const char* message;  // A part of it.
};
void PrintTo(const ErrorRow& row, std::ostream* out) {
  *out << row.word;
}

class ExpandError : public testing::TestWithParam<ErrorRow> {};

TEST_P(ExpandError, SaysWhatAndWhere) {
  std::size_t offset = 999;
  const Result<Expanded> result = expand_word(GetParam().word, '\\', variables(), &offset);
  ASSERT_FALSE(result.ok()) << result->text;
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(offset, GetParam().offset);
  EXPECT_NE(result.error().message.find(GetParam().message), std::string::npos) << result.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    All, ExpandError,
    testing::Values(
        ErrorRow{"SingleNotClosed", "a'b", 1, "single quote"}, ErrorRow{"DoubleNotClosed", "ab\"c", 2, "double quote"},
        ErrorRow{"DoubleClosedByAnEscape", "\"a\\\"", 0, "double quote"},
        ErrorRow{"EscapedBackslashBeforeAQuote", "\\\\'x", 2, "single quote"},
        ErrorRow{"BraceNotClosed", "x${A", 1, "missing '}'"}, ErrorRow{"BraceAtTheEnd", "${", 0, "missing '}'"},
        ErrorRow{"NothingInBraces", "a${}", 1, "bad substitution"},
        ErrorRow{"PointInBraces", "${.}", 0, "bad substitution"},
        ErrorRow{"BraceInBraces", "${{A}}", 0, "bad substitution"},
        ErrorRow{"ColonInBraces", "${:-x}", 0, "bad substitution"},
        ErrorRow{"DefaultNotClosed", "${U:-x", 0, "missing '}'"},
        ErrorRow{"InnerBraceNotClosed", "a${U:-${A}", 1, "missing '}'"},
        ErrorRow{"ColonAtTheEnd", "${A:", 0, "missing '}'"}, ErrorRow{"UnknownModifier", "z${A=x}", 1, "'='"},
        ErrorRow{"UnknownColonModifier", "${A:=x}", 0, "':='"}, ErrorRow{"Substring", "${A:1:2}", 0, "':1'"},
        ErrorRow{"UpperCase", "${A^^}", 0, "'^'"}, ErrorRow{"Length", "${#A}", 0, "bad substitution"},
        ErrorRow{"Indirect", "${!A}", 0, "bad substitution"}, ErrorRow{"QuestionUnset", "x${U?}", 1, "U must be set"},
        ErrorRow{"QuestionUnsetWithText", "${U?give $A}", 0, "U: give apple"},
        ErrorRow{"ColonQuestionEmpty", "${E:?}", 0, "E must not be empty"},
        ErrorRow{"ColonQuestionEmptyWithText", "${E:?say it}", 0, "E: say it"},
        ErrorRow{"ColonQuestionNested", "ab${U:-${E:?}}", 7, "E must not be empty"},
        ErrorRow{"ReplaceWithoutSecondSlash", "${A/x}", 0, "missing '/'"},
        ErrorRow{"ReplaceAllWithoutSecondSlash", "${A//x}", 0, "missing '/'"},
        ErrorRow{"ReplaceNotClosed", "${A/x/y", 0, "missing '}'"},
        ErrorRow{"PatternEscapesALetter", "-${A#\\a}", 1, "bad pattern"},
        ErrorRow{"ReplacePatternEscapesALetter", "${A/\\a/b}", 0, "bad pattern"},
        ErrorRow{"PatternFromAVariable", "${A%$B}", 0, "bad pattern"},
        ErrorRow{"QuoteInADefault", "${U:-'x}", 5, "single quote"}),
    [](const auto& param) { return param.param.name; });

struct WordsRow {
  const char* name;
  const char* word;
  std::vector<std::string> words;
};
void PrintTo(const WordsRow& row, std::ostream* out) {
  *out << row.word;
}

class ExpandWords : public testing::TestWithParam<WordsRow> {};

TEST_P(ExpandWords, SplitsAtUnquotedBlanks) {
  const Result<Expanded> result = expand_words(GetParam().word, '\\', variables());
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->words, GetParam().words);
}

INSTANTIATE_TEST_SUITE_P(
    All, ExpandWords,
    testing::Values(WordsRow{"One", "80/tcp", {"80/tcp"}}, WordsRow{"None", "", {}},
                    WordsRow{"OnlyBlanks", "  \t ", {}}, WordsRow{"Written", " a  b ", {"a", "b"}},
                    WordsRow{"FromAValue", "$S", {"two", "words"}},
                    WordsRow{"ValueInTheMiddle", "x${S}y", {"xtwo", "wordsy"}},
                    WordsRow{"ValueQuoted", "\"$S\"", {"two  words"}}, WordsRow{"QuotedBlank", "a' 'b c", {"a b", "c"}},
                    WordsRow{"EscapedBlank", "a\\ b c", {"a b", "c"}}, WordsRow{"UnsetGivesNone", "$U", {}},
                    WordsRow{"EmptyQuotesGiveNone", "'' \"\"", {}}, WordsRow{"UnsetBetween", "a $U b", {"a", "b"}},
                    WordsRow{"NewlinesSplit", "$NL", {"one", "two"}},
                    WordsRow{"QuotesInAValueDoNotQuote", "$Q", {"it's", "\"q\""}},
                    WordsRow{"DefaultSplits", "${U:-1 2}", {"1", "2"}},
                    WordsRow{"NoBreakSpaceSplits",
                             "a\xC2\xA0"
                             "b",
                             {"a", "b"}}),
    [](const auto& param) { return param.param.name; });

TEST(Expand, BacktickIsTheEscapeWhenTheFileSaysSo) {
  const auto text = [](const char* word) { return expand_word(word, '`', variables())->text; };
  EXPECT_EQ(text("c:\\dir\\$A"), "c:\\dir\\apple");
  EXPECT_EQ(text("`$A"), "$A");
  EXPECT_EQ(text("\"`\"\\\""), "\"\\");
  EXPECT_EQ(text("a`"), "a");
  EXPECT_EQ(text("``"), "`");
  EXPECT_EQ(text("${STARS#a\\*}"), "b*c");
}

TEST(Expand, ReportsTheVariablesItMet) {
  const Expanded result = *expand_word("$A ${U:-$V} ${W+x} ${E:+$NO} '$Z' $1", '\\', variables());
  EXPECT_EQ(result.matched, (std::set<std::string>{"A", "E", "V"}));
  EXPECT_EQ(result.unmatched, (std::set<std::string>{"1", "NO", "U", "W"}));
}

TEST(Expand, KeepsQuotesWhenAsked) {
  ExpandOptions options;
  options.keep_quotes = true;
  EXPECT_EQ(expand("a \"$A b\" '$A'", options, variables())->text, "a \"apple b\" '$A'");
}

TEST(Expand, KeepsEscapesWhenAsked) {
  ExpandOptions options;
  options.keep_escapes = true;
  EXPECT_EQ(expand("a\\ b \\$A $A", options, variables())->text, "a\\ b \\$A apple");
}

TEST(Expand, KeepsWhatIsUnsetWhenAsked) {
  ExpandOptions options;
  options.keep_unset = true;
  const auto text = [&](const char* word) { return expand(word, options, variables())->text; };
  EXPECT_EQ(text("$A $U ${U} ${U:-$A} ${U-x} ${U#a} ${U/a/b} ${U//a/b}"),
            "apple $U ${U} ${U:-apple} ${U-x} ${U#a} ${U/a/b} ${U//a/b}");
}

TEST(Expand, HereDocumentsTakeQuotesAsTheyAre) {
  EXPECT_EQ(expand_heredoc("say \"$A\" it's '$V'\n", variables())->text, "say \"apple\" it's '1.22.3'\n");
  EXPECT_EQ(expand_heredoc("\\$A \\\\ $E|\n", variables())->text, "$A \\ |\n");
  EXPECT_FALSE(expand_heredoc("x\n${A", variables()).ok());
}

TEST(Expand, RefusesAnEndlessResult) {
  const std::string large(600'000, 'x');
  const VariableLookup lookup = [&](std::string_view) { return std::optional(large); };
  EXPECT_EQ(expand_word("$A$A", '\\', lookup).error().code, ErrorCode::kLimit);
  EXPECT_EQ(expand_word("\"$A$A\"", '\\', lookup).error().code, ErrorCode::kLimit);
  EXPECT_EQ(expand_word("${A//x/xx}", '\\', lookup).error().code, ErrorCode::kLimit);
  EXPECT_TRUE(expand_word("$A", '\\', lookup).ok());
}

TEST(Expand, RefusesEndlessNesting) {
  std::string word;
  for (int i = 0; i < 100'000; ++i) word += "${U:-";
  std::size_t offset = 0;
  EXPECT_EQ(expand_word(word, '\\', variables(), &offset).error().code, ErrorCode::kLimit);
  EXPECT_EQ(offset, 500U);
}

TEST(Expand, HostilePatternsTakeLinearTime) {
  const std::string value(5'000, 'a');
  const VariableLookup lookup = [&](std::string_view) { return std::optional(value); };
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "*a";
  EXPECT_EQ(expand_word("${A##" + pattern + "b}", '\\', lookup)->text, value);
  EXPECT_EQ(expand_word("${A%%b" + pattern + "}", '\\', lookup)->text, value);
  EXPECT_EQ(expand_word("${A//" + pattern + "b/x}", '\\', lookup)->text, value);
}

TEST(CheckLiteral, RefusesWhatWouldExpand) {
  EXPECT_TRUE(check_literal("build", '\\', "COPY --from").ok());
  EXPECT_TRUE(check_literal("docker.io/library/alpine:3.20", '\\', "COPY --from").ok());
  for (const char* value : {"${STAGE}", "a$B", "'a'", "a\\b"}) {
    const Status status = check_literal(value, '\\', "COPY --from");
    ASSERT_FALSE(status.ok()) << value;
    EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
    EXPECT_EQ(status.error().message.substr(0, 11), "COPY --from");
  }
  std::size_t offset = 99;
  EXPECT_EQ(check_literal("x${", '\\', "COPY --from", &offset).error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(offset, 1U);
}

TEST(ExpansionOf, KnowsEveryInstruction) {
  EXPECT_EQ(expansion_of("COPY"), ArgumentExpansion::kWord);
  EXPECT_EQ(expansion_of("Expose"), ArgumentExpansion::kWords);
  EXPECT_EQ(expansion_of("env"), ArgumentExpansion::kKeyValue);
  EXPECT_EQ(expansion_of("label"), ArgumentExpansion::kKeyValue);
  EXPECT_EQ(expansion_of("ARG"), ArgumentExpansion::kValueOnly);
  EXPECT_EQ(expansion_of("from"), ArgumentExpansion::kGlobal);
  for (const char* name : {"run", "cmd", "entrypoint", "shell", "healthcheck", "maintainer", "onbuild"}) {
    EXPECT_EQ(expansion_of(name), ArgumentExpansion::kNone) << name;
  }
  for (const char* name : {"add", "user", "workdir", "volume", "stopsignal"}) {
    EXPECT_EQ(expansion_of(name), ArgumentExpansion::kWord) << name;
  }
  EXPECT_EQ(expansion_of("runn"), std::nullopt);
}

TEST(FlagExpands, KnowsTheFlags) {
  EXPECT_TRUE(flag_expands("COPY", "chown"));
  EXPECT_TRUE(flag_expands("add", "checksum"));
  EXPECT_TRUE(flag_expands("from", "platform"));
  EXPECT_TRUE(flag_expands("run", "mount"));
  EXPECT_FALSE(flag_expands("copy", "from"));
  EXPECT_FALSE(flag_expands("copy", "checksum"));
  EXPECT_FALSE(flag_expands("run", "network"));
}

}  // namespace
}  // namespace imagebuild::dockerfile
