// What the golden cases cannot hold: bounds, and the functions around the parser.
#include "dockerfile/parser.h"

#include <gtest/gtest.h>

#include "dockerfile/graph.h"

namespace imagebuild::dockerfile {
namespace {

std::string first_error(std::string_view text) {
  const auto dockerfile = parse(text);
  return dockerfile.ok() ? "" : dockerfile.error().message;
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string result;
  result.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}

Result<std::string> as_written(const Word& word) {
  return word.text;
}

TEST(Parse, GivesTheFirstErrorOfTheFile) {
  const auto dockerfile = parse("FROM a\nEXPOSE x\nRUNN b\n", "dir/Dockerfile.dev");
  ASSERT_FALSE(dockerfile.ok());
  EXPECT_EQ(dockerfile.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(dockerfile.error().message.find("dir/Dockerfile.dev:2:8: "), 0U);
}

TEST(Parse, KeepsTheSourceOfEveryInstruction) {
  const auto dockerfile = parse("FROM a\r\nRUN b \\\n # c\n\n  d\nCOPY <<E /e\n1\nE\n");
  ASSERT_TRUE(dockerfile.ok());
  const Stage& stage = dockerfile->stages.at(0);
  EXPECT_EQ(stage.instruction.source, "FROM a");
  EXPECT_EQ(stage.steps.at(0).source, "RUN b \\\n # c\n\n  d");
  EXPECT_EQ(stage.steps.at(1).source, "COPY <<E /e\n1\nE");
  EXPECT_EQ(stage.steps.at(1).last_line, 8);
}

TEST(Parse, GivesAnOnbuildTriggerTheLinesItStandsOn) {
  const auto dockerfile = parse("FROM a\nONBUILD RUN b \\\n c\n");
  ASSERT_TRUE(dockerfile.ok());
  const auto& onbuild = std::get<Onbuild>(dockerfile->stages[0].steps.at(0).command);
  EXPECT_EQ(onbuild.trigger->source, "ONBUILD RUN b \\\n c");
  EXPECT_EQ(onbuild.trigger->last_line, 3);
  EXPECT_EQ(onbuild.text, "RUN b  c");
}

TEST(ParseLimits, RefuseWhatIsBeyondThem) {
  struct Row {
    const char* name;
    std::string text;
    const char* error;
  };
  const Row rows[] = {
      {"file", "FROM a\n" + repeated("# comment\n", 450'000), "Dockerfile: the file is larger than 4 MiB"},
      {"line", "FROM a\nRUN " + std::string(kMaxLineBytes, 'x'), "Dockerfile:2:1: the line is longer than 1 MiB"},
      {"lines", "FROM a\n" + repeated("\n", kMaxLines), "Dockerfile: the file has more than 100000 lines"},
      {"instructions", "FROM a\n" + repeated("USER b\n", kMaxInstructions),
       "Dockerfile:10001:1: the file has more than 10000 instructions"},
      {"stages", repeated("FROM a\n", kMaxStages + 1), "Dockerfile:1001:1: the file has more than 1000 stages"},
  };
  for (const Row& row : rows) {
    const auto dockerfile = parse(row.text);
    ASSERT_FALSE(dockerfile.ok()) << row.name;
    EXPECT_EQ(dockerfile.error().code, ErrorCode::kLimit) << row.name;
    EXPECT_EQ(dockerfile.error().message.find(row.error), 0U) << row.name << ": " << dockerfile.error().message;
  }
}

TEST(ParseLimits, AllowWhatIsJustBelowThem) {
  EXPECT_EQ(first_error("FROM a\n" + repeated("USER b\n", kMaxInstructions - 1)), "");
  EXPECT_EQ(first_error(repeated("FROM a\n", kMaxStages)), "");
  EXPECT_EQ(first_error("FROM a\nRUN " + std::string(kMaxLineBytes - 10, 'x')), "");
}

// Each of these took time or memory that grows with the square of its size, before it was bounded.
TEST(ParseLimits, HostileFilesAreReadQuickly) {
  const struct {
    const char* name;
    std::string text;
  } rows[] = {
      {"mount options", "FROM a\nRUN --mount=" + repeated("a,", 500'000) + " b"},
      {"empty mount options", "FROM a\nRUN --mount=" + repeated(",", 1'000'000) + " b"},
      {"mounts", "FROM a\nRUN " + repeated("--mount=type=ssh ", 60'000) + " b"},
      {"ports", "FROM a\nEXPOSE " + repeated("1-65535 ", 100'000)},
      {"no ports", "FROM a\nEXPOSE " + repeated("x ", 500'000)},
      {"pairs", "FROM a\nENV " + repeated("a=b ", 250'000)},
      {"no pairs", "FROM a\nENV a=b " + repeated("c ", 500'000)},
      {"unknown flags", "FROM a\nCOPY " + repeated("--x ", 250'000) + "a b"},
      {"brackets", "FROM a\nRUN " + repeated("[", 1'000'000)},
      {"braces", "FROM a\nRUN <<" + repeated("${", 400'000)},
      {"heredocs", "FROM a\nRUN " + repeated("<<A ", 40'000) + "\n" + repeated("A\n", 40'000)},
      {"copied heredocs", "FROM a\nCOPY " + repeated("<<A ", 40'000) + "/x\n" + repeated("A\n", 40'000)},
      {"misspelt heredocs", "FROM a\n" + repeated("RUNN <<A\n", 50'000)},
      {"continuations", "FROM a\nRUN a" + repeated("\\\n b ", 90'000)},
      {"empty continuations", "FROM a\nRUN a \\\n" + repeated("\n", 90'000)},
      {"escapes", "FROM a\nENV a=" + repeated("\\", 1'000'000)},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const ParseReport report = parse_all(row.text);
    EXPECT_LE(report.errors.size(), kMaxErrors + 10);
  }
}

TEST(MakeGraph, ManyUnknownNamesAreResolvedQuickly) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += "FROM scratch AS stage-with-a-rather-long-name-" + std::to_string(i) + "\n";
  for (int i = 0; i < 5000; ++i)
    text += "COPY --from=quite-another-name-of-the-same-length-" + std::to_string(i) + " a b\n";
  const auto dockerfile = parse(text);
  ASSERT_TRUE(dockerfile.ok());
  GraphOptions options;
  options.expand = as_written;
  const auto graph = make_graph(*dockerfile, options);
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  EXPECT_EQ(graph->stages.back().references.size(), 5000U);
}

TEST(MakeGraph, PutsThePositionBeforeAnErrorOfTheExpansion) {
  const auto dockerfile = parse("FROM a\nFROM --platform=${x b\n");
  ASSERT_TRUE(dockerfile.ok());
  GraphOptions options;
  options.expand = [](const Word& word) -> Result<std::string> {
    if (word.text[0] == '$') return Error{ErrorCode::kInvalidInput, "no closing brace"};
    return word.text;
  };
  const auto graph = make_graph(*dockerfile, options);
  ASSERT_FALSE(graph.ok());
  EXPECT_EQ(graph.error().message, "Dockerfile:2:17: no closing brace");
}

TEST(ResolveFrom, ResolvesATriggerOfABaseImage) {
  const auto dockerfile = parse("FROM a AS tools\nFROM b\nFROM c AS later\n");
  ASSERT_TRUE(dockerfile.ok());
  GraphOptions options;
  options.expand = as_written;
  const auto source = resolve_from(*dockerfile, options, 1, Word{"TOOLS", {1, 6}}, "ONBUILD of b");
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->kind, SourceKind::kStage);
  EXPECT_EQ(source->stage, 0);
  const auto wrong = resolve_from(*dockerfile, options, 1, Word{"later", {1, 6}}, "ONBUILD of b");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().message.find("ONBUILD of b:1:6: stage 'later' comes only in line 3"), 0U);
}

TEST(ResolveMount, TypesTheExpandedValues) {
  const auto parsed = parse("FROM a\nRUN --mount=type=$t,target=/x/$n,required=$r,mode=$m,id=i b\n");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  const Mount& mount = std::get<dockerfile::Run>(parsed->stages[0].steps.at(0).command).mounts.at(0);
  EXPECT_TRUE(mount.needs_expansion);
  const auto values = [](std::string type, std::string mode) {
    return [type, mode](const Word& word) -> Result<std::string> {
      if (word.text == "$t") return type;
      if (word.text == "$m") return mode;
      if (word.text == "$r") return std::string("true");
      return word.text == "/x/$n" ? "/x/y" : word.text;
    };
  };
  const auto resolved = resolve("Dockerfile", mount, values("secret", "440"));
  ASSERT_TRUE(resolved.ok()) << resolved.error().message;
  EXPECT_EQ(resolved->type, MountType::kSecret);
  EXPECT_TRUE(resolved->required && resolved->read_only && !resolved->needs_expansion);
  EXPECT_EQ(resolved->mode, 0440U);
  EXPECT_EQ(resolved->target->text, "/x/y");

  const auto wrong = [&](const std::string& type, const std::string& mode) {
    const auto result = resolve("Dockerfile", mount, values(type, mode));
    return result.ok() ? "" : result.error().message;
  };
  EXPECT_EQ(wrong("secret", "9"),
            "Dockerfile:2:51: the mount option mode has to be an octal number like 0400, not '9'");
  EXPECT_EQ(wrong("cache", "440"), "Dockerfile:2:34: a cache mount has no option required");
  EXPECT_EQ(wrong("cahce", "440").find("Dockerfile:2:18: unknown mount type 'cahce'; did you mean 'cache'?"), 0U);
}

}  // namespace
}  // namespace imagebuild::dockerfile
