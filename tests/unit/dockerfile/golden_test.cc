// One test for each folder of data/golden: a Dockerfile, and what the parser and the graph make of it.
//   Dockerfile | Trigger   the input; a Trigger is given to parse_trigger()
//   args                   optional: NAME=value for each line, as --build-arg
//   target, contexts       optional: --target; names of --build-context, one a line
//   expected.txt           the dump of the instructions and the graph, or
//   error.txt              every error, as a terminal shows it
// IMAGEBUILD_UPDATE_GOLDEN=1 writes the expectations anew: read each difference before you commit it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "dockerfile/graph.h"
#include "dockerfile/parser.h"
#include "unit/dockerfile/dump.h"

namespace imagebuild::dockerfile {
namespace {

namespace fs = std::filesystem;

fs::path golden_folder() {
  return fs::path(IMAGEBUILD_TEST_DATA) / "golden";
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(golden_folder())) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string content(const fs::path& path) {
  if (!fs::exists(path)) return {};
  auto text = read_file(path, 8U << 20);
  EXPECT_TRUE(text.ok());
  return text.ok() ? *text : std::string();
}

std::vector<std::string> lines(const fs::path& path) {
  std::vector<std::string> result;
  std::istringstream in(content(path));
  for (std::string line; std::getline(in, line);) result.push_back(line);
  return result;
}

// $NAME and ${NAME}, which is all that these tests need; expand_test.cc covers the rest.
std::string substitute(const std::string& text, const std::map<std::string, std::string>& values) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '$') {
      result += text[at++];
      continue;
    }
    const bool brace = text[++at] == '{';
    if (brace) ++at;
    std::string name;
    while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_')) {
      name += text[at++];
    }
    if (brace) ++at;
    if (const auto found = values.find(name); found != values.end()) result += found->second;
  }
  return result;
}

struct Outcome {
  std::string text;
  bool error = false;
};

Outcome run_trigger(const std::string& text) {
  const auto trigger = parse_trigger(text, "ONBUILD of base");
  if (!trigger.ok()) return {trigger.error().message + "\n", true};
  return {dump(*trigger), false};
}

Outcome run_dockerfile(const fs::path& folder) {
  const ParseReport report = parse_all(content(folder / "Dockerfile"), "Dockerfile");
  const Dockerfile& dockerfile = report.dockerfile;
  std::string text;
  for (const Diagnostic& error : report.errors) text += render("Dockerfile", dockerfile.source, error);
  if (!text.empty()) return {text, true};
  for (const Diagnostic& warning : report.warnings) {
    text += "warning: " + located_error("Dockerfile", warning).message + "\n";
  }
  for (const Position& at : dockerfile.empty_continuations) {
    text += "empty line inside an instruction: " + std::to_string(at.line) + ":" + std::to_string(at.column) + "\n";
  }
  text += dump(dockerfile);

  std::map<std::string, std::string> values;
  for (const Instruction& arg : dockerfile.global_args) {
    for (const ArgDeclaration& declaration : std::get<Arg>(arg.command).declarations) {
      if (declaration.value) values[declaration.name.text] = substitute(declaration.value->text, values);
    }
  }
  for (const std::string& line : lines(folder / "args")) {
    values[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
  }
  GraphOptions options;
  options.expand = [&values](const Word& word) -> Result<std::string> { return substitute(word.text, values); };
  if (const auto target = lines(folder / "target"); !target.empty()) options.target = target.front();
  options.named_contexts = lines(folder / "contexts");
  const auto graph = make_graph(dockerfile, options);
  if (!graph.ok()) return {render("Dockerfile", dockerfile.source, graph.error()), true};
  return {text + dump(dockerfile, *graph), false};
}

void update(const fs::path& folder, const Outcome& outcome) {
  fs::remove(folder / "expected.txt");
  fs::remove(folder / "error.txt");
  const auto written = write_file_atomically(folder / (outcome.error ? "error.txt" : "expected.txt"), outcome.text);
  ASSERT_TRUE(written.ok()) << written.error().message;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, ReadsAsRecorded) {
  const fs::path folder = golden_folder() / GetParam();
  const Outcome outcome =
      fs::exists(folder / "Trigger") ? run_trigger(content(folder / "Trigger")) : run_dockerfile(folder);
  if (const char* wanted = std::getenv("IMAGEBUILD_UPDATE_GOLDEN"); wanted != nullptr && *wanted == '1') {
    update(folder, outcome);
    return;
  }
  EXPECT_EQ(content(folder / (outcome.error ? "error.txt" : "expected.txt")), outcome.text);
  EXPECT_FALSE(fs::exists(folder / (outcome.error ? "expected.txt" : "error.txt")));
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, testing::ValuesIn(case_names()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(GoldenFolder, HasAtLeast120CasesAThirdOfThemErrors) {
  std::size_t errors = 0;
  for (const std::string& name : case_names()) errors += fs::exists(golden_folder() / name / "error.txt") ? 1 : 0;
  EXPECT_GE(case_names().size(), 120U);
  EXPECT_GE(errors * 3, case_names().size());
}

}  // namespace
}  // namespace imagebuild::dockerfile
