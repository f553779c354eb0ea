// A Dockerfile as the pitfalls look at it: the graph of its stages, and its steps with expanded paths.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/graph.h"
#include "dockerfile/parser.h"
#include "lint/lint.h"

namespace imagebuild::lint {

// One source of a COPY or ADD.
struct SourceView {
  std::string path;  // Expanded.
  dockerfile::Position at;
};

struct CopyView {
  std::vector<SourceView> sources;  // Without here-documents; those that cannot be expanded are left out.
  std::string destination;          // Absolute and cleaned; empty when it is not known.
  bool from_context = false;
  std::optional<dockerfile::Source> from;  // COPY --from.
  std::string from_word;                   // As written.

  // COPY . …: the sources are all there is.
  bool is_whole_context() const;
};

struct StepView {
  const dockerfile::Instruction& instruction;
  std::string workdir;           // In force at the instruction: absolute and cleaned; empty when it is not known.
  std::optional<CopyView> copy;  // Of COPY and ADD.

  int line() const { return instruction.at.line; }
  const dockerfile::Run* run() const { return std::get_if<dockerfile::Run>(&instruction.command); }
};

struct StageView {
  const dockerfile::Stage& stage;
  const dockerfile::GraphStage& graph;
  bool needed = false;          // By the target, and not replaced by a named context.
  std::vector<StepView> steps;  // With the triggers of the stage below first.
  std::string workdir;          // At its end.
  // What a container of it runs; nullptr when this file does not say.
  const dockerfile::CommandLine* entrypoint = nullptr;
  const dockerfile::CommandLine* cmd = nullptr;
};

class FileView {
 public:
  // Refers to `input`. Nothing when the stages cannot be told: solve() says why.
  static std::optional<FileView> of(const LintInput& input);

  const LintInput& input() const { return *input_; }
  const std::vector<StageView>& stages() const { return stages_; }
  const StageView& target() const { return at(graph_.target); }
  const StageView& at(int stage) const { return stages_[static_cast<std::size_t>(stage)]; }
  // The stages below this one, from the bottom up, and it.
  std::vector<int> chain(int stage) const;
  // The image at the bottom of the chain; nullptr when there is none, or another context takes its place.
  const dockerfile::Source* root_image(int stage) const;
  // The first words of what a container of the stage runs, in exec form; empty for a shell's command or for none.
  std::vector<std::string> program(int stage) const;

 private:
  const LintInput* input_ = nullptr;
  dockerfile::Graph graph_;
  std::vector<StageView> stages_;
};

// Absolute and cleaned, without a slash at its end but for "/"; empty when it is relative and `workdir` is not known.
std::string absolute(std::string_view path, std::string_view workdir);
// Whether `path` is below `folder` (both as absolute() has them), and not the folder itself.
bool is_below(std::string_view path, std::string_view folder);
// Whether a target is, by its name, a place to work or to test in, not an image to ship.
bool names_a_workshop(std::string_view stage);
// "a, b and c"
std::string listed(const std::vector<std::string>& names);
// The same of the first few: "a, b, c and 2 more".
std::string shortly_listed(std::vector<std::string> names);

}  // namespace imagebuild::lint
