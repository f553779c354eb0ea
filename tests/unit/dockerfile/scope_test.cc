#include "dockerfile/scope.h"

#include <gtest/gtest.h>

namespace imagebuild::dockerfile {
namespace {

using Strings = std::vector<std::string>;
using Arguments = std::map<std::string, std::string>;

GlobalScope globals(Arguments build_args = {}) {
  return GlobalScope(std::move(build_args), PlatformNames{"linux", "amd64", "", ""},
                     PlatformNames{"linux", "arm64", "v8", ""}, "app");
}

Strings strings(const std::vector<Variable>& variables) {
  Strings result;
  for (const Variable& variable : variables) result.push_back(variable.name + "=" + variable.value);
  return result;
}

std::string expand_in(const StageScope& scope, std::string_view word) {
  return expand_word(word, '\\', scope.lookup())->text;
}

constexpr auto kNoDefault = std::nullopt;
// A base with PATH, so that the default does not show in the lists.
StageScope base(Strings environment = {}) {
  environment.insert(environment.begin(), "PATH=/bin");
  return StageScope::on_image(environment);
}

TEST(GlobalScopeTest, KnowsThePlatforms) {
  const GlobalScope scope = globals();
  EXPECT_EQ(scope.get("TARGETPLATFORM"), "linux/arm64/v8");
  EXPECT_EQ(scope.get("TARGETOS"), "linux");
  EXPECT_EQ(scope.get("TARGETARCH"), "arm64");
  EXPECT_EQ(scope.get("TARGETVARIANT"), "v8");
  EXPECT_EQ(scope.get("BUILDPLATFORM"), "linux/amd64");
  EXPECT_EQ(scope.get("BUILDOS"), "linux");
  EXPECT_EQ(scope.get("BUILDARCH"), "amd64");
  EXPECT_EQ(scope.get("BUILDVARIANT"), "");
  EXPECT_EQ(scope.get("TARGETSTAGE"), "app");
  EXPECT_EQ(GlobalScope({}, {}, {}).get("TARGETSTAGE"), "default");
}

TEST(GlobalScopeTest, ABuildArgReplacesAPlatformArgument) {
  EXPECT_EQ(globals({{"TARGETARCH", "riscv64"}}).get("TARGETARCH"), "riscv64");
}

TEST(GlobalScopeTest, DefaultsExpandWithTheGlobalsBefore) {
  GlobalScope scope = globals();
  EXPECT_EQ(scope.declare("V", "1.2", '\\')->value, "1.2");
  EXPECT_EQ(scope.declare("TAG", "\"$V-$TARGETARCH\"", '\\')->value, "1.2-arm64");
  EXPECT_EQ(expand_word("img:${TAG}", '\\', scope.lookup())->text, "img:1.2-arm64");
}

TEST(GlobalScopeTest, BuildArgWinsOverTheDefaultAndIsLiteral) {
  GlobalScope scope = globals({{"V", "'$X'"}});
  EXPECT_EQ(scope.declare("V", "1.2", '\\')->value, "'$X'");
  EXPECT_EQ(scope.get("V"), "'$X'");
}

TEST(GlobalScopeTest, BuildArgThatIsNotDeclaredIsNotVisible) {
  EXPECT_EQ(globals({{"V", "1"}}).get("V"), std::nullopt);
}

TEST(GlobalScopeTest, DeclaredWithoutAnythingStaysUnset) {
  GlobalScope scope = globals();
  EXPECT_EQ(scope.declare("V", kNoDefault, '\\')->value, std::nullopt);
  EXPECT_EQ(scope.get("V"), std::nullopt);
}

TEST(GlobalScopeTest, ReportsUnsetVariablesAndErrors) {
  GlobalScope scope = globals();
  EXPECT_EQ(scope.declare("V", "a$NOPE", '\\')->unmatched, std::set<std::string>{"NOPE"});
  std::size_t offset = 0;
  EXPECT_EQ(scope.declare("W", "ab${", '\\', &offset).error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(offset, 2U);
}

TEST(GlobalScopeTest, ALaterDeclarationReplacesAnEarlierOne) {
  GlobalScope scope = globals();
  ASSERT_TRUE(scope.declare("V", "1", '\\').ok());
  ASSERT_TRUE(scope.declare("V", "$V.2", '\\').ok());
  EXPECT_EQ(scope.get("V"), "1.2");
}

TEST(GlobalScopeTest, TheSourceDateIsABuildArgOrAGlobal) {
  EXPECT_EQ(globals().source_date_epoch(), std::nullopt);
  EXPECT_EQ(globals({{"SOURCE_DATE_EPOCH", "17"}}).source_date_epoch(), "17");
  EXPECT_EQ(globals({{"SOURCE_DATE_EPOCH", ""}}).source_date_epoch(), std::nullopt);
  GlobalScope scope = globals();
  ASSERT_TRUE(scope.declare("SOURCE_DATE_EPOCH", "0", '\\').ok());
  EXPECT_EQ(scope.source_date_epoch(), "0");
}

TEST(GlobalScopeTest, ProxiesComeInBothCases) {
  const GlobalScope scope = globals({{"HTTP_PROXY", "http://p"}, {"no_proxy", "localhost"}, {"ftp_proxy", ""}});
  EXPECT_EQ(strings(scope.proxy_environment()),
            (Strings{"HTTP_PROXY=http://p", "http_proxy=http://p", "NO_PROXY=localhost", "no_proxy=localhost"}));
  EXPECT_EQ(scope.get("HTTP_PROXY"), std::nullopt);
}

TEST(GlobalScopeTest, WarnsOfBuildArgsThatNobodyDeclares) {
  GlobalScope scope = globals({{"USED", "1"},
                               {"GLOBAL", "1"},
                               {"TYPO", "1"},
                               {"Another", "1"},
                               {"http_proxy", "x"},
                               {"SOURCE_DATE_EPOCH", "0"},
                               {"BUILDKIT_INLINE_CACHE", "1"},
                               {"TARGETARCH", "arm64"}});
  ASSERT_TRUE(scope.declare("GLOBAL", kNoDefault, '\\').ok());
  EXPECT_EQ(scope.undeclared_build_args({"USED", "OTHER"}), (Strings{"Another", "TYPO"}));
}

TEST(StageScopeTest, BeginsWithTheEnvironmentOfTheImage) {
  const StageScope scope = StageScope::on_image({"PATH=/bin", "A=1", "EMPTY=", "NOTHING", "EQ=a=b"});
  EXPECT_EQ(scope.get("A"), "1");
  EXPECT_EQ(scope.get("EMPTY"), "");
  EXPECT_EQ(scope.get("NOTHING"), "");
  EXPECT_EQ(scope.get("EQ"), "a=b");
  EXPECT_EQ(strings(scope.image_environment()), (Strings{"PATH=/bin", "A=1", "EMPTY=", "NOTHING=", "EQ=a=b"}));
}

TEST(StageScopeTest, AMissingPathGetsTheDefault) {
  const StageScope scope = StageScope::on_image({});
  EXPECT_EQ(strings(scope.image_environment()),
            Strings{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"});
}

TEST(StageScopeTest, GlobalsAreInvisibleUntilDeclaredAgain) {
  GlobalScope global = globals();
  ASSERT_TRUE(global.declare("V", "1", '\\').ok());
  StageScope scope = base();
  EXPECT_EQ(expand_in(scope, "<$V>"), "<>");
  EXPECT_EQ(scope.declare(global, "V", kNoDefault, '\\')->value, "1");
  EXPECT_EQ(expand_in(scope, "<$V>"), "<1>");
}

TEST(StageScopeTest, PlatformArgumentsMustBeDeclaredToo) {
  const GlobalScope global = globals();
  StageScope scope = base();
  EXPECT_EQ(scope.get("TARGETARCH"), std::nullopt);
  ASSERT_TRUE(scope.declare(global, "TARGETARCH", kNoDefault, '\\').ok());
  EXPECT_EQ(strings(scope.run_environment()), (Strings{"PATH=/bin", "TARGETARCH=arm64"}));
}

struct DeclareRow {
  const char* name;
  bool has_global;
  std::optional<std::string_view> stage_default;
  bool has_build_arg;
  std::optional<std::string> value;
};

class StageArgument : public testing::TestWithParam<DeclareRow> {};

TEST_P(StageArgument, TakesTheStrongestValue) {
  const DeclareRow& row = GetParam();
  GlobalScope global = globals(row.has_build_arg ? Arguments{{"V", "given"}} : Arguments{});
  if (row.has_global) {
    ASSERT_TRUE(global.declare("V", "global", '\\').ok());
  }
  StageScope scope = base();
  EXPECT_EQ(scope.declare(global, "V", row.stage_default, '\\')->value, row.value);
  EXPECT_EQ(scope.get("V"), row.value);
}

INSTANTIATE_TEST_SUITE_P(All, StageArgument,
                         testing::Values(DeclareRow{"Nothing", false, kNoDefault, false, std::nullopt},
                                         DeclareRow{"Default", false, "default", false, "default"},
                                         DeclareRow{"EmptyDefault", false, "", false, ""},
                                         DeclareRow{"Global", true, kNoDefault, false, "global"},
                                         DeclareRow{"DefaultBeatsGlobal", true, "default", false, "default"},
                                         DeclareRow{"EmptyDefaultBeatsGlobal", true, "", false, ""},
                                         DeclareRow{"BuildArg", false, kNoDefault, true, "given"},
                                         DeclareRow{"BuildArgBeatsDefault", false, "default", true, "given"},
                                         DeclareRow{"BuildArgBeatsAll", true, "default", true, "given"}),
                         [](const auto& param) { return param.param.name; });

TEST(StageScopeTest, DefaultsExpandWithTheStage) {
  const GlobalScope global = globals();
  StageScope scope = base({"V=1"});
  const SolvedArgument solved = *scope.declare(global, "TAG", "v$V-$NOPE", '\\');
  EXPECT_EQ(solved.value, "v1-");
  EXPECT_EQ(solved.unmatched, std::set<std::string>{"NOPE"});
  std::size_t offset = 0;
  EXPECT_FALSE(scope.declare(global, "BAD", "x'", '\\', &offset).ok());
  EXPECT_EQ(offset, 1U);
  EXPECT_EQ(scope.get("BAD"), std::nullopt);
}

TEST(StageScopeTest, ABadDefaultDoesNotMatterWhenAValueIsGiven) {
  const GlobalScope global = globals({{"V", "1"}});
  StageScope scope = base();
  EXPECT_EQ(scope.declare(global, "V", "${", '\\')->value, "1");
}

TEST(StageScopeTest, EnvBehindArgWins) {
  const GlobalScope global = globals({{"V", "arg"}});
  StageScope scope = base();
  ASSERT_TRUE(scope.declare(global, "V", kNoDefault, '\\').ok());
  scope.set_env("V", expand_in(scope, "${V:-x}-env"));
  EXPECT_EQ(strings(scope.run_environment()), (Strings{"PATH=/bin", "V=arg-env"}));
  EXPECT_EQ(strings(scope.image_environment()), (Strings{"PATH=/bin", "V=arg-env"}));
}

TEST(StageScopeTest, ArgBehindEnvWinsInTheBuildButNotInTheImage) {
  const GlobalScope global = globals();
  StageScope scope = base({"V=env"});
  ASSERT_TRUE(scope.declare(global, "V", "arg", '\\').ok());
  EXPECT_EQ(strings(scope.run_environment()), (Strings{"PATH=/bin", "V=arg"}));
  EXPECT_EQ(strings(scope.image_environment()), (Strings{"PATH=/bin", "V=env"}));
}

TEST(StageScopeTest, ArgWithoutAValueLeavesAnEnvAlone) {
  const GlobalScope global = globals();
  StageScope scope = base({"V=env"});
  EXPECT_EQ(scope.declare(global, "V", kNoDefault, '\\')->value, std::nullopt);
  EXPECT_EQ(scope.get("V"), "env");
}

TEST(StageScopeTest, AChildStageInheritsArgumentsAndEnvironment) {
  const GlobalScope global = globals({{"V", "1"}});
  StageScope parent = base();
  ASSERT_TRUE(parent.declare(global, "V", kNoDefault, '\\').ok());
  parent.set_env("E", "2");
  StageScope child = StageScope::on_stage(parent);
  EXPECT_EQ(expand_in(child, "$V$E"), "12");
  EXPECT_EQ(strings(child.arguments()), Strings{"V=1"});
  child.set_env("E", "3");
  EXPECT_EQ(parent.get("E"), "2");
}

TEST(StageScopeTest, InAChildStageEveryEnvWinsAtTheStart) {
  const GlobalScope global = globals();
  StageScope parent = base({"V=env"});
  ASSERT_TRUE(parent.declare(global, "V", "arg", '\\').ok());
  EXPECT_EQ(parent.get("V"), "arg");
  EXPECT_EQ(StageScope::on_stage(parent).get("V"), "env");
}

TEST(StageScopeTest, HistoryNamesEachArgumentOnceWithItsEffectiveValue) {
  GlobalScope global = globals({{"B", "b"}});
  StageScope scope = base();
  ASSERT_TRUE(scope.declare(global, "A", "1", '\\').ok());
  ASSERT_TRUE(scope.declare(global, "B", kNoDefault, '\\').ok());
  ASSERT_TRUE(scope.declare(global, "A", "2", '\\').ok());
  ASSERT_TRUE(scope.declare(global, "NONE", kNoDefault, '\\').ok());
  scope.set_env("B", "env");
  EXPECT_EQ(strings(scope.arguments()), (Strings{"A=2", "B=env", "NONE="}));
}

TEST(StageScopeTest, ProxiesAreNoVariablesUnlessDeclared) {
  const GlobalScope global = globals({{"HTTPS_PROXY", "http://user:secret@p"}});
  StageScope scope = base();
  EXPECT_EQ(scope.get("HTTPS_PROXY"), std::nullopt);
  EXPECT_EQ(strings(scope.run_environment()), Strings{"PATH=/bin"});
  EXPECT_TRUE(scope.arguments().empty());
  ASSERT_TRUE(scope.declare(global, "HTTPS_PROXY", kNoDefault, '\\').ok());
  EXPECT_EQ(strings(scope.arguments()), Strings{"HTTPS_PROXY=http://user:secret@p"});
}

TEST(StageScopeTest, SourceDateIsVisibleWhenDeclared) {
  const GlobalScope global = globals({{"SOURCE_DATE_EPOCH", "17"}});
  StageScope scope = base();
  EXPECT_EQ(scope.get("SOURCE_DATE_EPOCH"), std::nullopt);
  ASSERT_TRUE(scope.declare(global, "SOURCE_DATE_EPOCH", kNoDefault, '\\').ok());
  EXPECT_EQ(scope.get("SOURCE_DATE_EPOCH"), "17");
}

TEST(StageScopeTest, ScanArgumentsAreNoVariables) {
  const GlobalScope global = globals();
  StageScope scope = base();
  EXPECT_EQ(scope.declare(global, "BUILDKIT_SBOM_SCAN_STAGE", "true", '\\')->value, "true");
  EXPECT_EQ(scope.get("BUILDKIT_SBOM_SCAN_STAGE"), std::nullopt);
}

TEST(StageScopeTest, LookupSeesLaterChanges) {
  StageScope scope = base();
  const VariableLookup lookup = scope.lookup();
  EXPECT_EQ(lookup("A"), std::nullopt);
  scope.set_env("A", "1");
  EXPECT_EQ(lookup("A"), "1");
  EXPECT_EQ(scope.names(), (Strings{"PATH", "A"}));
}

TEST(PredefinedArguments, AreKnown) {
  EXPECT_TRUE(is_predefined_argument("ALL_PROXY"));
  EXPECT_TRUE(is_predefined_argument("no_proxy"));
  EXPECT_TRUE(is_predefined_argument("BUILDPLATFORM"));
  EXPECT_TRUE(is_predefined_argument("BUILDKIT_SYNTAX"));
  EXPECT_FALSE(is_predefined_argument("Http_Proxy"));
  EXPECT_FALSE(is_predefined_argument("BUILDKIT"));
  EXPECT_FALSE(is_predefined_argument("VERSION"));
}

}  // namespace
}  // namespace imagebuild::dockerfile
