// The pitfalls that show in the file: what each check reports where, and above all what it leaves alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "dockerfile/parser.h"
#include "lint/lint.h"
#include "lint/pitfalls/shell_commands.h"
#include "lint/rules.h"

namespace imagebuild::lint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Case {
  std::string name;
  std::string text;
  std::vector<std::string> found;  // "line Rule"
  std::string target = {};
};

std::vector<api::Warning> pitfalls(const std::string& text, const std::string& target = "") {
  const auto file = dockerfile::parse(text);
  EXPECT_TRUE(file.ok()) << file.error().message;
  if (!file.ok()) return {};
  LintInput input{*file};
  input.target = target;
  std::vector<api::Warning> result = check(input);
  std::erase_if(result, [](const api::Warning& warning) { return find_rule(warning.rule)->of_buildkit; });
  return result;
}

class Pitfalls : public testing::TestWithParam<Case> {};

TEST_P(Pitfalls, AreWhatTheRowSays) {
  std::vector<std::string> found;
  for (const api::Warning& warning : pitfalls(GetParam().text, GetParam().target)) {
    found.push_back(std::to_string(warning.at.line) + " " + warning.rule);
    EXPECT_FALSE(warning.message.ends_with('.')) << warning.message;
    EXPECT_EQ(warning.message.find('\n'), std::string::npos);
  }
  EXPECT_EQ(found, GetParam().found);
}

std::vector<Case> stages() {
  return {
      {"NeededByCopy", "FROM a:1 AS x\nFROM scratch\nCOPY --from=x /a /a\n", {}},
      {"NeededByMount", "FROM a:1 AS x\nFROM b:1\nRUN --mount=from=x,target=/x true\n", {}},
      {"NeededByFrom", "FROM a:1 AS x\nFROM x\n", {}},
      {"Unused", "FROM a:1 AS x\nFROM scratch\n", {"1 UnusedStage"}},
      {"UnusedWithoutName", "FROM a:1\nFROM scratch\n", {"1 UnusedStage"}},
      {"OnlyTheLastOfAnUnusedChain", "FROM a:1 AS x\nFROM x AS y\nFROM scratch\n", {"2 UnusedStage"}},
      {"NamedForATarget", "FROM a:1 AS unit-test\nFROM scratch\n", {}},
      {"OfATarget", "FROM a:1 AS x\nFROM x AS test\nFROM scratch\n", {}},
      {"HasACommand", "FROM a:1 AS worker\nCMD [\"/w\"]\nFROM scratch\n", {}},
      {"AnotherTargetWasAskedFor", "FROM a:1 AS x\nFROM a:1 AS y\nFROM scratch\n", {}, "y"},
      {"FromIndex",
       "FROM a:1\nFROM b:1\nCOPY --from=0 /a /a\nRUN --mount=type=bind,from=0,target=/x true\n",
       {"3 StageNamedByIndex", "4 StageNamedByIndex"}},
      {"FromName", "FROM a:1 AS x\nFROM b:1\nCOPY --from=x /a /a\n", {}},
      {"FromImage", "FROM b:1\nCOPY --from=busybox:1 /a /a\n", {}},
  };
}

std::vector<Case> pins() {
  return {
      {"Tagged", "FROM alpine:3.20\n", {}},
      {"Digest", "FROM alpine@sha256:" + std::string(64, 'a') + "\n", {}},
      {"NoTag", "FROM alpine\n", {"1 UnpinnedBaseImage"}},
      {"Latest", "FROM example.com:5000/x:latest\n", {"1 UnpinnedBaseImage"}},
      {"PortIsNoTag", "FROM example.com:5000/x\n", {"1 UnpinnedBaseImage"}},
      {"Scratch", "FROM scratch\n", {}},
      {"Stage", "FROM a:1 AS x\nFROM x\n", {}},
      {"TagOfAnArgument", "ARG V=3\nFROM alpine:$V\n", {}},
      {"CopyFromImage", "FROM scratch\nCOPY --from=busybox /a /a\n", {"2 UnpinnedBaseImage"}},
      {"MountFromImage", "FROM a:1\nRUN --mount=type=bind,from=busybox,target=/x true\n", {"2 UnpinnedBaseImage"}},
      {"StageThatIsNotBuilt", "FROM alpine AS test\nFROM scratch\n", {}},
  };
}

std::vector<Case> copy_order() {
  const std::string from = "FROM x:1\nWORKDIR /app\n";
  const std::vector<std::string> found = {"3 SourceBeforeDependencies"};
  return {
      {"NpmCi", from + "COPY . .\nRUN npm ci\n", found},
      {"NpmInstallWithFlags", from + "COPY ./ /app/\nRUN npm install --omit=dev && npm run build\n", found},
      {"ManifestFirst", from + "COPY package*.json ./\nRUN npm ci\nCOPY . .\nRUN npm ci --omit=dev\n", {}},
      {"ManifestJustBefore", from + "COPY package.json .\nCOPY . .\nRUN npm ci\n", {}},
      {"OtherFilesBefore", from + "COPY LICENSE .\nCOPY . .\nRUN npm ci\n", {"4 SourceBeforeDependencies"}},
      {"InstallsATool", from + "COPY . .\nRUN npm install -g serve\n", {}},
      {"InstallsAPackage", from + "COPY . .\nRUN npm install express\n", {}},
      {"OnlyBuilds", from + "COPY . .\nRUN npm run build && yarn build\n", {}},
      {"Yarn", from + "COPY . .\nRUN yarn --frozen-lockfile\n", found},
      {"Pnpm", from + "COPY . .\nRUN pnpm install --frozen-lockfile\n", found},
      {"PipRequirements", from + "COPY . .\nRUN pip install --no-cache-dir -r requirements.txt\n", found},
      {"PythonModulePip", from + "COPY . .\nRUN python3 -m pip install -r requirements.txt\n", found},
      {"PipPackage", from + "COPY . .\nRUN pip install flask\n", {}},
      {"PipProject", from + "COPY . .\nRUN pip install -r requirements.txt -e .\n", {}},
      {"Poetry", from + "COPY . .\nRUN poetry install\n", found},
      {"Uv", from + "COPY . .\nRUN uv sync --frozen\n", found},
      {"GoModDownload", from + "COPY . .\nRUN go mod download\n", found},
      {"GoBuild", from + "COPY . .\nRUN go build ./...\n", {}},
      {"Bundle", from + "COPY . .\nRUN bundle install\n", found},
      {"BundleExec", from + "COPY . .\nRUN bundle exec rake\n", {}},
      {"Composer", from + "COPY . .\nRUN composer install --no-dev\n", found},
      {"MavenOffline", from + "COPY . .\nRUN ./mvnw -B dependency:go-offline\n", found},
      {"MavenPackage", from + "COPY . .\nRUN mvn package\n", {}},
      {"CargoFetch", from + "COPY . .\nRUN cargo fetch\n", found},
      {"DotnetRestore", from + "COPY . .\nRUN dotnet restore\n", found},
      {"DotnetRestoreAfterProject", from + "COPY *.csproj .\nCOPY . .\nRUN dotnet restore\n", {}},
      {"CacheMount", from + "COPY . .\nRUN --mount=type=cache,target=/root/.npm npm ci\n", {}},
      {"OneFolderIsNotEverything", from + "COPY src .\nRUN npm ci\n", {}},
      {"EverythingOfAnotherStage", "FROM x:1 AS a\nFROM x:1\nCOPY --from=a . .\nRUN npm ci\n", {}},
      {"ManifestInTheStageBelow",
       "FROM x:1 AS a\nCOPY package.json ./\nRUN npm ci\nFROM a\nCOPY . .\nRUN npm ci\n",
       {}},
      {"CopiedAfterTheInstall", from + "RUN npm ci\nCOPY . .\n", {}},
  };
}

std::vector<Case> secrets() {
  const std::string from = "FROM x:1\n";
  const std::vector<std::string> found = {"2 SecretFileCopied"};
  return {
      {"Env", from + "COPY .env /app/\n", found},
      {"EnvExample", from + "COPY .env.example /app/.env\n", {}},
      {"NpmRc", from + "COPY config/.npmrc ./\n", found},
      {"Key", from + "ADD tls/server.key /etc/tls/\n", found},
      {"KeysByPattern", from + "COPY *.key /k/\n", found},
      {"PublicKey", from + "COPY public.key id_rsa.pub /k/\n", {}},
      {"SshKey", from + "COPY .ssh/id_ed25519 /root/.ssh/\n", found},
      {"SshFolder", from + "COPY .ssh /root/.ssh\n", found},
      {"DockerConfig", from + "COPY .docker/config.json /root/.docker/\n", found},
      {"OtherConfig", from + "COPY config.json /app/\n", {}},
      {"Certificate", from + "COPY ca.pem ca.crt /etc/ssl/\n", {}},
      {"FromAStage", "FROM x:1 AS a\nRUN make\nFROM scratch\nCOPY --from=a /server.key /\n", {}},
      {"IntoABuildStage", "FROM x:1 AS a\nCOPY .npmrc .\nRUN make\nFROM scratch\nCOPY --from=a /x /\n", {}},
      {"IntoAStageBelow", "FROM x:1 AS a\nCOPY .npmrc .\nFROM a\nRUN make\n", found},
  };
}

std::vector<Case> folders() {
  const std::string build = "FROM golang:1 AS b\nWORKDIR /src\nCOPY . .\nRUN go build -o app\n";
  const std::string copy = build + "FROM debian:12\nCOPY --from=b /src /src\n";
  const std::vector<std::string> found = {"6 WholeBuildFolderCopied"};
  return {
      {"EntrypointBelow", copy + "ENTRYPOINT [\"/src/app\"]\n", found},
      {"CmdBelow", copy + "CMD [\"/src/app\", \"--config=/src/app.conf\"]\n", found},
      {"RelativeToWorkdir", copy + "WORKDIR /src\nCMD [\"./app\"]\n", found},
      {"ToAnotherPlace", build + "FROM debian:12\nCOPY --from=b /src /opt/app\nCMD [\"/opt/app/app\"]\n", found},
      {"RunNamesAFile", copy + "RUN chmod +x /src/app\nCMD [\"/src/app\"]\n", found},
      {"RunUsesTheFolder", copy + "RUN ls /src\nCMD [\"/src/app\"]\n", {}},
      {"RunWorksInTheFolder", copy + "WORKDIR /src\nRUN ./setup\nCMD [\"/src/app\"]\n", {}},
      {"ShellForm", copy + "CMD /src/app\n", {}},
      {"NothingRuns", copy, {}},
      {"RunsSomethingElse", copy + "CMD [\"/bin/app\"]\n", {}},
      {"RunsAScript", copy + "CMD [\"/src/start.sh\"]\n", {}},
      {"GivenTheFolder", copy + "CMD [\"/src/app\", \"--root\", \"/src\"]\n", {}},
      {"OneFile", build + "FROM debian:12\nCOPY --from=b /src/app /app\nCMD [\"/app\"]\n", {}},
      {"FolderOfResults", build + "FROM debian:12\nCOPY --from=b /out /out\nCMD [\"/out/app\"]\n", {}},
      {"Interpreter",
       "FROM node:20 AS b\nWORKDIR /src\nCOPY . .\nRUN x\nFROM node:20-slim\nCOPY --from=b /src /src\n"
       "CMD [\"/src/bin\"]\n",
       {}},
      {"FolderWithoutContext",
       "FROM golang:1 AS b\nWORKDIR /src\nRUN make\nFROM debian:12\nCOPY --from=b /src /src\nCMD [\"/src/app\"]\n",
       {}},
  };
}

std::vector<Case> tools() {
  const std::string from = "FROM debian:12\n";
  const std::vector<std::string> found = {"2 BuildToolsInFinalStage"};
  return {
      {"AptGet", from + "RUN apt-get update && apt-get install -y --no-install-recommends gcc make\n", found},
      {"AptGetOptionsFirst", from + "RUN apt-get -y install build-essential\n", found},
      {"Headers", from + "RUN apt-get install -y libssl-dev\n", found},
      {"Versioned", from + "RUN apt-get install -y gcc-12=12.2.0-14\n", found},
      {"Runtime", from + "RUN apt-get install -y gcc-12-base libgcc-s1 libssl3 curl git\n", {}},
      {"ApkVirtualRemoved",
       from + "RUN apk add --no-cache --virtual .deps gcc musl-dev && make && apk del .deps\n",
       {}},
      {"ApkVirtualKept", from + "RUN apk add --no-cache -t .deps gcc musl-dev && make\n", found},
      {"RemovedByName", from + "RUN apt-get install -y gcc && make && apt-get purge -y --auto-remove gcc\n", {}},
      {"OneOfTwoRemoved", from + "RUN apt-get install -y gcc make && apt-get purge -y gcc\n", found},
      {"RemovedByVariable", from + "RUN d='gcc'; apt-get install -y gcc; make; apt-get purge -y $d\n", {}},
      {"RemovedByMarks",
       from + "RUN apt-mark showmanual; apt-get install -y gcc; apt-mark auto '.*'; apt-get autoremove -y\n",
       {}},
      {"RemovedInALaterRun", from + "RUN apt-get install -y gcc\nRUN apt-get purge -y gcc\n", found},
      {"Dnf", from + "RUN dnf -y install gcc-c++ openssl-devel && dnf clean all\n", found},
      {"Microdnf", from + "RUN microdnf install -y make\n", found},
      {"Heredoc", from + "RUN <<EOF\nset -e\napt-get install -y \\\n  gcc\nEOF\n", found},
      {"ExecForm", from + "RUN [\"apt-get\", \"install\", \"-y\", \"gcc\"]\n", found},
      {"ExecFormOfAShell", from + "RUN [\"/bin/sh\", \"-c\", \"apt-get install -y gcc\"]\n", found},
      {"OnlyMentioned", from + "RUN echo apt-get install gcc\n", {}},
      {"InABuildStage",
       from + "RUN apt-get install -y gcc\nFROM scratch\nCOPY --from=0 /a /a\n",
       {"4 StageNamedByIndex"}},
      {"InAStageBelow", "FROM debian:12 AS a\nRUN apt-get install -y gcc\nFROM a\nRUN x\n", found},
      {"TargetToWorkIn", "FROM debian:12 AS dev\nRUN apt-get install -y gcc\n", {}},
  };
}

std::vector<Case> larger_bases() {
  const auto rule = [](int line) { return std::vector<std::string>{std::to_string(line) + " LargerBaseThanNeeded"}; };
  const std::string run = "COPY app /app\nENTRYPOINT [\"/app\"]\n";
  return {
      {"Golang", "FROM golang:1.22\n" + run, rule(1)},
      {"GolangThatBuilds", "FROM golang:1.22\nCOPY . .\nRUN go build -o /app\nCMD [\"/app\"]\n", rule(1)},
      {"GolangThatRunsGo", "FROM golang:1.22\nCOPY . .\nCMD [\"go\", \"run\", \".\"]\n", {}},
      {"GolangWithoutCommand", "FROM golang:1.22\nCOPY . .\n", {}},
      {"GolangWithOtherRuns", "FROM golang:1.22\nRUN apt-get install -y x\n" + run, {}},
      {"GolangArrangesFiles", "FROM golang:1.22\nRUN mkdir /data && chown 1:1 /data\n" + run, rule(1)},
      {"OfAStageBelow", "FROM golang:1.22 AS a\nFROM a\n" + run, rule(1)},
      {"SomeonesGolang", "FROM ghcr.io/x/golang:1.22\n" + run, {}},
      {"Mirror", "FROM mirror.example/library/golang:1.22\n" + run, rule(1)},
      {"Temurin", "FROM eclipse-temurin:17-jdk\nCOPY a.jar /\nCMD [\"java\", \"-jar\", \"/a.jar\"]\n", rule(1)},
      {"TemurinJre", "FROM eclipse-temurin:17-jre\nCOPY a.jar /\nCMD [\"java\", \"-jar\", \"/a.jar\"]\n", {}},
      {"MavenThatRunsMaven", "FROM maven:3-eclipse-temurin-17\nCOPY . .\nCMD [\"mvn\", \"exec:java\"]\n", {}},
      {"DotnetSdk", "FROM mcr.microsoft.com/dotnet/sdk:8.0\nCOPY o .\nCMD [\"dotnet\", \"app.dll\"]\n", rule(1)},
      {"DotnetRun", "FROM mcr.microsoft.com/dotnet/sdk:8.0\nCOPY o .\nCMD [\"dotnet\", \"run\"]\n", {}},
      {"Node", "FROM node:20\nCOPY . .\nCMD [\"node\", \"a.js\"]\n", rule(1)},
      {"NodeSlim", "FROM node:20-slim\nCOPY . .\nCMD [\"node\", \"a.js\"]\n", {}},
      {"NodeAlpine", "FROM node:20-alpine\nCOPY . .\nCMD [\"node\", \"a.js\"]\n", {}},
      {"NodeThatInstalls", "FROM node:20\nCOPY p .\nRUN npm ci\nCMD [\"node\", \"a.js\"]\n", {}},
      {"Debian", "FROM debian:12\n" + run, {}},
      {"TargetToWorkIn", "FROM golang:1.22 AS debug\n" + run, {}},
  };
}

const auto kName = [](const auto& test) { return test.param.name; };
INSTANTIATE_TEST_SUITE_P(Stages, Pitfalls, testing::ValuesIn(stages()), kName);
INSTANTIATE_TEST_SUITE_P(Pins, Pitfalls, testing::ValuesIn(pins()), kName);
INSTANTIATE_TEST_SUITE_P(CopyOrder, Pitfalls, testing::ValuesIn(copy_order()), kName);
INSTANTIATE_TEST_SUITE_P(Secrets, Pitfalls, testing::ValuesIn(secrets()), kName);
INSTANTIATE_TEST_SUITE_P(Folders, Pitfalls, testing::ValuesIn(folders()), kName);
INSTANTIATE_TEST_SUITE_P(Tools, Pitfalls, testing::ValuesIn(tools()), kName);
INSTANTIATE_TEST_SUITE_P(LargerBases, Pitfalls, testing::ValuesIn(larger_bases()), kName);

struct Message {
  std::string name;
  std::string text;
  std::string part;
};
class Messages : public testing::TestWithParam<Message> {};

TEST_P(Messages, SayWhatToWriteInstead) {
  const std::vector<api::Warning> found = pitfalls(GetParam().text);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found.front().message, HasSubstr(GetParam().part));
}

std::vector<Message> messages() {
  const std::string java = "\nCOPY a.jar /\nCMD [\"java\", \"-jar\", \"/a.jar\"]\n";
  return {
      {"Index", "FROM a:1 AS x\nFROM b:1\nCOPY --from=0 /a /a\n", "'--from=0' means the stage of line 1"},
      {"IndexOfANamedStage", "FROM a:1 AS x\nFROM b:1\nCOPY --from=0 /a /a\n", "write --from=x"},
      {"IndexOfANamelessStage", "FROM a:1\nFROM b:1\nCOPY --from=0 /a /a\n", "write AS NAME behind that FROM"},
      {"Pin", "FROM example.com:5000/x:latest\n", "('example.com:5000/x:VERSION')"},
      {"Npm", "FROM x:1\nCOPY . .\nRUN npm ci\n", "COPY package.json package-lock.json ./, then RUN npm ci, and"},
      {"PipFile", "FROM x:1\nCOPY . .\nRUN pip install -r dev.txt\n",
       "write COPY dev.txt ./, then RUN pip install -r dev.txt"},
      {"SecretId", "FROM x:1\nCOPY a/.npmrc .\n", "--mount=type=secret,id=npmrc"},
      {"FolderFile",
       "FROM golang:1 AS b\nWORKDIR /s\nCOPY . .\nRUN go build\nFROM debian:12\nCOPY --from=b /s /d\nCMD "
       "[\"/d/x/app\"]\n",
       "runs only '/d/x/app' (line 7)"},
      {"FolderFix",
       "FROM golang:1 AS b\nWORKDIR /s\nCOPY . .\nRUN go build\nFROM debian:12\nCOPY --from=b /s /d\nCMD "
       "[\"/d/x/app\"]\n",
       "write COPY --from=b /s/x/app /d/x/app"},
      {"Tools", "FROM x:1\nRUN apt-get install -y gcc make libc6-dev cmake g++\n",
       "gcc, make, libc6-dev and 2 more are"},
      {"JavaVersion", "FROM eclipse-temurin:21" + java, "eclipse-temurin:21-jre"},
      {"MavenVersion", "FROM maven:3.9-eclipse-temurin-17-alpine" + java, "eclipse-temurin:17-jre-alpine"},
      {"NodeSlim", "FROM node:20-bookworm\nCOPY a .\nCMD [\"node\", \"a.js\"]\n", "node:20-bookworm-slim"},
      {"Dotnet", "FROM mcr.microsoft.com/dotnet/sdk:8.0\nCOPY a .\nCMD [\"dotnet\", \"a.dll\"]\n", "dotnet/aspnet:8.0"},
  };
}
INSTANTIATE_TEST_SUITE_P(All, Messages, testing::ValuesIn(messages()), kName);

TEST(Lint, NamesTheSkippedRulesOfTheImage) {
  const auto file =
      dockerfile::parse("# check=skip=StageNameCasing,SecretInImage\nFROM debian:12\n# check=skip=all\nCOPY a /a\n");
  ASSERT_TRUE(file.ok());
  EXPECT_THAT(skipped_rules(LintInput{*file}),
              ElementsAre(api::SkippedRule{"SecretInImage", 0, 0}, api::SkippedRule{"all", 4, 4}));
}

TEST(ShellCommands, AreCutAtOperatorsOutsideQuotes) {
  EXPECT_THAT(commands_of("a b && c 'd;e' \"f & g\"; X=1 sudo -E h | i\n# j\n(k $(l; m) n) # o"),
              ElementsAre(ShellCommand{"a", "b"}, ShellCommand{"c", "d;e", "f & g"}, ShellCommand{"h"},
                          ShellCommand{"i"}, ShellCommand{"k", "$(l; m)", "n"}));
  EXPECT_THAT(commands_of("if [ -f x ]; then a; fi; b 2>&1 \\\n c"),
              ElementsAre(ShellCommand{"[", "-f", "x", "]"}, ShellCommand{"a"}, ShellCommand{"b", "2>&1", "c"}));
  EXPECT_TRUE(commands_of("  \n ; && # only a remark").empty());
  for (const char* broken : {"'", "\"", "`", "$(", "\\", "a $(b", "$"}) (void)commands_of(broken);
}

}  // namespace
}  // namespace imagebuild::lint
