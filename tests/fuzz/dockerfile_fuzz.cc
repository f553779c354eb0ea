// Feeds bytes to the Dockerfile parser, the expansion and the stage graph. Besides not crashing, they have to keep what
// they promise: positions inside the file, errors in the one form, stages that need only stages before them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "dockerfile/expand.h"
#include "dockerfile/graph.h"
#include "dockerfile/parser.h"

namespace imagebuild::dockerfile {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::optional<std::string> variable(std::string_view name) {
  if (name == "empty") return "";
  if (name.size() > 3) return std::nullopt;
  return std::string(name) + " value";
}

void check_position(const Dockerfile& dockerfile, Position at) {
  const auto lines = std::count(dockerfile.source.begin(), dockerfile.source.end(), '\n') + 1;
  require(at.line >= 1 && at.line <= lines && at.column >= 1);
}

void check_instruction(const Dockerfile& dockerfile, const Instruction& instruction) {
  check_position(dockerfile, instruction.at);
  require(instruction.last_line >= instruction.at.line);
  require(dockerfile.source.find(instruction.source) != std::string::npos);
  require(!instruction.keyword.empty() && instruction.text.find(keyword_of(instruction.command)) == 0);
  const char escape = dockerfile.directives.escape;
  const ExpandWord expand_any = [escape](const Word& word) -> Result<std::string> {
    auto expanded = expand_word(word.text, escape, variable);
    if (!expanded.ok()) return expanded.error();
    return expanded->text;
  };
  if (const auto* env = std::get_if<Env>(&instruction.command)) {
    for (const KeyValue& pair : env->pairs) {
      check_position(dockerfile, pair.value.at);
      (void)expand_any(pair.value);
    }
  }
  if (const auto* run = std::get_if<Run>(&instruction.command)) {
    for (const Mount& mount : run->mounts) (void)resolve(dockerfile.file, mount, expand_any);
    if (!run->command.exec) (void)script_of(run->command);
  }
  if (const auto* copy = std::get_if<Copy>(&instruction.command)) {
    for (const Word& path : copy->sources.paths) (void)expand_any(path);
    for (const InlineFile& file : copy->sources.files) (void)expand_heredoc(file.text(), variable);
  }
  // What an image stores of an ONBUILD can be read again.
  if (const auto* onbuild = std::get_if<Onbuild>(&instruction.command); onbuild != nullptr && escape == '\\') {
    (void)parse_trigger(onbuild->text, "ONBUILD");
  }
}

void check_graph(const Dockerfile& dockerfile) {
  GraphOptions options;
  options.expand = [&](const Word& word) -> Result<std::string> {
    auto expanded = expand_word(word.text, dockerfile.directives.escape, variable);
    if (!expanded.ok()) return expanded.error();
    return expanded->text;
  };
  const auto graph = make_graph(dockerfile, options);
  if (!graph.ok()) {
    require(graph.error().message.find("fuzz:") == 0);
    (void)render("fuzz", dockerfile.source, graph.error());
    return;
  }
  require(graph->stages.size() == dockerfile.stages.size() && graph->order.back() == graph->target);
  for (const GraphStage& stage : graph->stages) {
    for (const int need : stage.needs) require(need >= 0 && need < stage.index);
  }
}

void run(std::string_view text) {
  const ParseReport report = parse_all(text, "fuzz");
  const Dockerfile& dockerfile = report.dockerfile;
  for (const Diagnostic& error : report.errors) {
    require(!error.message.empty());
    (void)render("fuzz", dockerfile.source, error);
  }
  for (const Stage& stage : dockerfile.stages) {
    check_instruction(dockerfile, stage.instruction);
    for (const Instruction& step : stage.steps) check_instruction(dockerfile, step);
  }
  if (report.errors.empty()) {
    require(!dockerfile.stages.empty());
    check_graph(dockerfile);
  }
  (void)parse_trigger(text, "trigger");
}

}  // namespace
}  // namespace imagebuild::dockerfile

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  imagebuild::dockerfile::run(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
