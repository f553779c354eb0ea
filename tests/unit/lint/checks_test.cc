// The conditions of each check: what it reports where, and what it leaves alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/ignore.h"
#include "dockerfile/parser.h"
#include "lint/lint.h"
#include "lint/rules.h"

namespace imagebuild::lint {
namespace {

struct Case {
  std::string name;
  std::string text;
  std::vector<std::string> found;  // "line:column Rule"
  std::map<std::string, std::string> build_args = {};
  std::string target = {};
  std::string ignore = {};
  std::optional<BaseFacts> base = {};  // Of every image.
};

std::string show(const api::Warning& warning) {
  return std::to_string(warning.at.line) + ":" + std::to_string(warning.at.column) + " " + warning.rule;
}

class Checks : public testing::TestWithParam<Case> {};

TEST_P(Checks, FindWhatTheRowSays) {
  const Case& row = GetParam();
  const auto file = dockerfile::parse(row.text);
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto ignore = dockerfile::IgnoreRules::parse(row.ignore);
  ASSERT_TRUE(ignore.ok()) << ignore.error().message;
  LintInput input{*file};
  input.build_args = row.build_args;
  input.target = row.target;
  input.ignore = &*ignore;
  if (row.base) input.base = [&](const std::string&, const oci::Platform&) { return row.base; };
  std::vector<std::string> found;
  for (const api::Warning& warning : check(input)) {
    if (!find_rule(warning.rule)->of_buildkit) continue;  // pitfalls_test.cc has those.
    found.push_back(show(warning));
    EXPECT_FALSE(warning.message.ends_with('.')) << warning.message;
    EXPECT_EQ(warning.message.find('\n'), std::string::npos);
  }
  EXPECT_EQ(found, row.found);
}

std::vector<Case> names_and_spelling() {
  return {
      {"LowerCaseNames", "FROM scratch AS build-1\n", {}},
      {"CapitalName", "FROM scratch AS Build\n", {"1:17 StageNameCasing"}},
      {"AsLikeLowerFrom", "from scratch as build\n", {}},
      {"AsUnlikeLowerFrom", "from scratch AS build\n", {"1:14 FromAsCasing"}},
      {"AsUnlikeUpperFrom", "FROM scratch as build\n", {"1:14 FromAsCasing"}},
      {"AsOfMixedFromIsLeftToTheOtherRule", "From scratch as build\nCOPY a /a\n", {"1:1 ConsistentInstructionCasing"}},
      {"DuplicateNamesIgnoreCase",
       "FROM scratch AS a\nFROM scratch AS A\n",
       {"2:17 DuplicateStageName", "2:17 StageNameCasing"}},
      {"NamelessStagesAreNoDuplicates", "FROM scratch\nFROM scratch\n", {}},
      {"ReservedScratch", "FROM alpine AS scratch\n", {"1:16 ReservedStageName"}},
      {"ReservedContext", "FROM alpine AS context\n", {"1:16 ReservedStageName"}},
      {"MajorityIsUpper", "FROM scratch\nCOPY a /a\ncopy b /b\n", {"3:1 ConsistentInstructionCasing"}},
      {"MajorityIsLower", "from scratch\ncopy a /a\nCOPY b /b\n", {"3:1 ConsistentInstructionCasing"}},
      {"ATieIsUpper", "FROM scratch\ncopy a /a\n", {"2:1 ConsistentInstructionCasing"}},
      {"MixedKeywordsCountForNeither",
       "from scratch\nCopy a /a\nCopy b /b\n",
       {"2:1 ConsistentInstructionCasing", "3:1 ConsistentInstructionCasing"}},
      {"GlobalArgsDoNotCount", "arg A=1\narg B=1\nFROM scratch\n", {}},
      {"EmptyContinuationOncePerInstruction",
       "FROM alpine\nRUN a \\\n\n\n b\nRUN c \\\n\n d\n",
       {"3:1 NoEmptyContinuation", "7:1 NoEmptyContinuation"}},
      {"CommentsAreNoEmptyLines", "FROM alpine\nRUN a \\\n# c\n b\n", {}},
      {"EmptyLinesOfHeredocs", "FROM alpine\nRUN <<EOF\na \\\n\nb\nEOF\n", {}},
      {"Maintainer", "FROM scratch\nMAINTAINER x\n", {"2:1 MaintainerDeprecated"}},
  };
}

std::vector<Case> bases() {
  return {
      {"UndeclaredArg", "FROM alpine:3${X}\n", {"1:14 UndefinedArgInFrom"}},
      {"ArgWithoutDefaultIsDeclared", "ARG X\nFROM alpine:3$X\n", {}},
      {"ArgAfterFromIsNotDeclared", "FROM scratch\nARG X=1\nFROM alpine:3$X\n", {"3:14 UndefinedArgInFrom"}},
      {"BuildArgAloneDeclaresNothing", "FROM alpine:3$X\n", {"1:14 UndefinedArgInFrom"}, {{"X", "1"}}},
      {"PlatformArgumentsAreKnown", "FROM --platform=$BUILDPLATFORM alpine:3\n", {}},
      {"UndeclaredArgInPlatform", "FROM --platform=linux/${ARCH} alpine:3\n", {"1:23 UndefinedArgInFrom"}},
      {"RedundantTarget", "FROM --platform=${TARGETPLATFORM} alpine:3\n", {"1:17 RedundantTargetPlatform"}},
      {"TargetPartsAreNotRedundant", "FROM --platform=$TARGETOS/$TARGETARCH alpine:3\n", {}},
      {"ConstantPlatform", "FROM --platform=linux/amd64 alpine:3 AS x\n", {"1:17 FromPlatformFlagConstDisallowed"}},
      {"ConstantPlatformNamedByArchitecture", "FROM --platform=linux/amd64 alpine:3 AS build-amd64\n", {}},
      {"ConstantPlatformNamedBySystem", "FROM --platform=linux/arm64 alpine:3 AS linux\n", {}},
      {"ConstantFromArgIsNoConstant", "ARG P=linux/amd64\nFROM --platform=$P alpine:3\n", {}},
      {"EmptyDefault", "ARG I\nFROM $I\n", {"2:6 InvalidDefaultArgInFrom"}, {{"I", "alpine"}}},
      {"InvalidDefault", "ARG T\nFROM alpine:$T\n", {"2:6 InvalidDefaultArgInFrom"}, {{"T", "3"}}},
      {"DefaultInTheWord", "ARG T\nFROM alpine:${T:-3}\n", {}},
      {"GoodDefault", "ARG T=3\nFROM alpine:$T\n", {}},
      {"BasePlatformDiffers",
       "FROM alpine:3\n",
       {"1:6 InvalidBaseImagePlatform"},
       {},
       {},
       {},
       BaseFacts{{}, {}, *oci::Platform::parse("linux/s390x")}},
      {"BasePlatformIsNotKnown", "FROM alpine:3\n", {}, {}, {}, {}, BaseFacts{}},
  };
}

std::vector<Case> variables() {
  const BaseFacts java{{"JAVA_HOME=/jdk"}, {}, std::nullopt};
  return {
      {"SetByEnv", "FROM scratch\nENV A=1\nCOPY $A /\n", {}},
      {"SetByArgWithoutValue", "FROM scratch\nARG A\nCOPY $A /\n", {}},
      {"NotSet", "FROM scratch\nCOPY ./$A /\n", {"2:8 UndefinedVar"}},
      {"WithDefault", "FROM scratch\nCOPY ${A:-a} /\n", {"2:6 UndefinedVar"}},
      {"EscapedDollar", "FROM scratch\nCOPY \\$A /\n", {}},
      {"SetInTheSameInstructionIsTooLate", "FROM scratch\nENV A=1 B=$A\n", {"2:11 UndefinedVar"}},
      {"GlobalArgIsNotVisible", "ARG A=1\nFROM scratch\nCOPY $A /\n", {"3:6 UndefinedVar"}},
      {"GlobalArgMadeVisible", "ARG A=1\nFROM scratch\nARG A\nCOPY $A /\n", {}},
      {"InheritedFromAStage", "FROM scratch AS a\nARG X=1\nENV Y=1\nFROM a\nCOPY $X $Y /\n", {}},
      {"NotInheritedFromAnotherStage", "FROM scratch AS a\nENV Y=1\nFROM scratch\nCOPY $Y /\n", {"4:6 UndefinedVar"}},
      {"RunIsTheShells", "FROM scratch\nRUN echo $A\n", {}},
      {"CmdIsTheShells", "FROM scratch\nCMD [\"$A\"]\n", {}},
      {"MountOptions", "FROM scratch\nRUN --mount=type=cache,target=$A true\n", {"2:31 UndefinedVar"}},
      {"ExposeIsNotLookedAt", "FROM scratch\nEXPOSE $A\n", {}},
      {"Heredoc", "FROM scratch\nCOPY <<EOF /f\na $A\nEOF\n", {"2:6 UndefinedVar"}},
      {"QuotedHeredoc", "FROM scratch\nCOPY <<'EOF' /f\na $A\nEOF\n", {}},
      {"ArgDefault", "FROM scratch\nARG B=$A\n", {"2:7 UndefinedVar"}},
      {"ArgDefaultThatIsNotUsed", "FROM scratch\nARG B=$A\n", {}, {{"B", "1"}}},
      {"LabelUserVolumeWorkdir",
       "FROM scratch\nLABEL a=$A\nUSER $B\nVOLUME $C\nWORKDIR /$D\n",
       {"2:9 UndefinedVar", "3:6 UndefinedVar", "4:8 UndefinedVar", "5:10 UndefinedVar"}},
      {"PathIsAlwaysSet", "FROM scratch\nENV PATH=$PATH:/a\n", {}},
      {"BaseIsKnownAndSetsIt", "FROM java:1\nENV A=$JAVA_HOME\n", {}, {}, {}, {}, java},
      {"BaseIsKnownAndDoesNotSetIt", "FROM java:1\nENV A=$GOROOT\n", {"2:7 UndefinedVar"}, {}, {}, {}, java},
      {"BaseIsNotKnown", "FROM java:1\nENV A=$JAVA_HOME\n", {}},
      {"BaseIsNotKnownButItIsASlip", "FROM java:1\nARG VERSION=1\nENV A=$VERSOIN\n", {"3:7 UndefinedVar"}},
      {"BaseIsNotKnownButImagesSetNoSmallLetters", "FROM java:1\nENV A=$version\n", {"2:7 UndefinedVar"}},
      {"TriggersRunInTheNextStage",
       "FROM scratch AS a\nONBUILD ENV X=1\nONBUILD WORKDIR $Z\nFROM a\nCOPY $X /\n",
       {"3:17 UndefinedVar", "3:17 WorkdirRelativePath"}},
      {"OnlyNeededStagesOfATarget",
       "FROM scratch AS a\nCOPY $A /\nFROM scratch AS b\nCOPY $B /\nFROM b AS c\nCOPY $C /\n",
       {"4:6 UndefinedVar"},
       {},
       "b"},
  };
}

std::vector<Case> settings_and_paths() {
  return {
      {"LegacyEnv", "FROM scratch\nENV a b c\n", {"2:5 LegacyKeyValueFormat"}},
      {"LegacyLabel", "FROM scratch\nLABEL a b\n", {"2:7 LegacyKeyValueFormat"}},
      {"SecretArg", "FROM scratch\nARG api_KEY\n", {"2:5 SecretsUsedInArgOrEnv"}},
      {"SecretEnv", "FROM scratch\nENV A=1 DB_PASSWORD=x\n", {"2:9 SecretsUsedInArgOrEnv"}},
      {"SecretWordsInsideWords", "FROM scratch\nENV MONKEY=1 KEYS=1 TOKENIZER=2\n", {}},
      {"HarmlessSecretNames", "FROM scratch\nARG PUBLIC_KEY TOKEN_FILE SECRET_VERSION\n", {}},
      {"GlobalArgsAreNotLookedAt", "ARG TOKEN\nFROM scratch\n", {}},
      {"RelativeWorkdir", "FROM alpine\nWORKDIR a\nWORKDIR b\n", {"2:9 WorkdirRelativePath"}},
      {"RelativeAfterAbsolute", "FROM alpine\nWORKDIR /a\nWORKDIR b\n", {}},
      {"RelativeBelowAnotherStage", "FROM alpine AS a\nWORKDIR /a\nFROM a\nWORKDIR b\n", {}},
      {"AbsoluteByVariable", "FROM alpine\nENV D=/d\nWORKDIR $D\n", {}},
      {"ProtocolCase", "FROM scratch\nEXPOSE 80/TCP 81/udp\n", {"2:8 ExposeProtoCasing"}},
      {"HostPort", "FROM scratch\nEXPOSE 8080:80\n", {"2:8 ExposeInvalidFormat"}},
      {"AddressAndProtocol",
       "FROM scratch\nEXPOSE 127.0.0.1:80:80/Tcp\n",
       {"2:8 ExposeInvalidFormat", "2:8 ExposeProtoCasing"}},
      {"PortsOfVariables", "FROM scratch\nENV P=\"80/TCP 81\"\nEXPOSE $P\n", {"3:8 ExposeProtoCasing"}},
      {"IgnoredSource", "FROM scratch\nCOPY a.log b /\n", {"2:6 CopyIgnoredFile"}, {}, {}, "*.log\n"},
      {"IgnoredFolder", "FROM scratch\nADD ./build/x /\n", {"2:5 CopyIgnoredFile"}, {}, {}, "build\n"},
      {"IgnoredButBroughtBack", "FROM scratch\nCOPY build /\n", {}, {}, {}, "build\n!build/app\n"},
      {"IgnoredDespiteAnException", "FROM scratch\nCOPY x /\n", {"2:6 CopyIgnoredFile"}, {}, {}, "*\n!src\n"},
      {"TheWholeContext", "FROM scratch\nCOPY . /\n", {}, {}, {}, "*\n"},
      {"FromAnotherStage", "FROM scratch AS a\nFROM scratch\nCOPY --from=a x.log /\n", {}, {}, {}, "*.log\n"},
      {"FromTheWeb", "FROM scratch\nADD https://example.com/a.log /\n", {}, {}, {}, "**/*.log\n"},
  };
}

std::vector<Case> commands_and_descriptions() {
  const std::string on = "# check=experimental=InvalidDefinitionDescription\n";
  return {
      {"ShellFormCmd", "FROM scratch\nCMD a\n", {"2:1 JSONArgsRecommended"}},
      {"ShellFormEntrypoint", "FROM scratch\nENTRYPOINT a\n", {"2:1 JSONArgsRecommended"}},
      {"ShellFormRunAndHealthCheck", "FROM alpine\nRUN a\nHEALTHCHECK CMD a\n", {}},
      {"ShellIsMeant", "FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]\nCMD a\n", {}},
      {"ShellOfAStageBelow", "FROM scratch AS a\nSHELL [\"/b\"]\nFROM a\nCMD a\n", {}},
      {"ShellOfTheImage", "FROM alpine\nCMD a\n", {}, {}, {}, {}, BaseFacts{{}, {"/bin/bash"}, {}}},
      {"SeveralCommands",
       "FROM scratch\nCMD []\nCMD []\nCMD []\n",
       {"2:1 MultipleInstructionsDisallowed", "3:1 MultipleInstructionsDisallowed"}},
      {"SeveralHealthChecks",
       "FROM scratch\nHEALTHCHECK NONE\nHEALTHCHECK NONE\n",
       {"2:1 MultipleInstructionsDisallowed"}},
      {"OnePerStage", "FROM scratch AS a\nCMD []\nFROM a\nCMD []\nENTRYPOINT []\n", {}},
      {"DescriptionsAreOffByDefault", "# x\nFROM scratch AS build\n", {}},
      {"DescriptionOfAStage", on + "\n# x\nFROM scratch AS build\n", {"4:1 InvalidDefinitionDescription"}},
      {"GoodDescriptions", on + "\n# A is\nARG A\n# build does\nFROM scratch AS build\n# B is\nARG C B\n", {}},
      {"DescriptionOfAnArg", on + "\nFROM scratch\n# the x\nARG A\n", {"5:1 InvalidDefinitionDescription"}},
      {"OnlyTheLastCommentCounts", on + "\n# x\n# build does\nFROM scratch AS build\n", {}},
      {"EmptyCommentSeparates", on + "\n# x\n#\nFROM scratch AS build\n", {}},
      {"DirectivesAreNoDescriptions", on + "FROM scratch AS build\n", {}},
      {"StagesWithoutNameHaveNone", on + "\n# x\nFROM scratch\n", {}},
  };
}

const auto kName = [](const auto& test) { return test.param.name; };
INSTANTIATE_TEST_SUITE_P(NamesAndSpelling, Checks, testing::ValuesIn(names_and_spelling()), kName);
INSTANTIATE_TEST_SUITE_P(Bases, Checks, testing::ValuesIn(bases()), kName);
INSTANTIATE_TEST_SUITE_P(Variables, Checks, testing::ValuesIn(variables()), kName);
INSTANTIATE_TEST_SUITE_P(SettingsAndPaths, Checks, testing::ValuesIn(settings_and_paths()), kName);
INSTANTIATE_TEST_SUITE_P(CommandsAndDescriptions, Checks, testing::ValuesIn(commands_and_descriptions()), kName);

}  // namespace
}  // namespace imagebuild::lint
