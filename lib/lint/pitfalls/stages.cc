// Stages that nothing needs, and stages that are named by their number.
#include <algorithm>
#include <string>

#include "dockerfile/lines.h"
#include "lint/pitfalls/pitfalls.h"

namespace imagebuild::lint {

namespace {

constexpr std::string_view kTargetNames[] = {"test", "lint",  "check", "dev",    "debug",  "doc",     "bench",
                                             "ci",   "cover", "fmt",   "format", "export", "release", "prod",
                                             "tool", "e2e",   "shell", "stage",  "local",  "artifact"};

// A stage that is meant for --target: it says what a container runs, or its name says what it is for.
bool looks_like_a_target(const StageView& stage) {
  for (const dockerfile::Instruction& step : stage.stage.steps) {
    const std::string_view keyword = dockerfile::keyword_of(step.command);
    if (keyword == "CMD" || keyword == "ENTRYPOINT") return true;
  }
  return std::ranges::any_of(kTargetNames,
                             [&](std::string_view word) { return stage.stage.name.find(word) != std::string::npos; });
}

bool is_needed_by_another(const FileView& view, int stage) {
  return std::ranges::any_of(view.stages(), [&](const StageView& other) {
    return std::ranges::find(other.graph.needs, stage) != other.graph.needs.end();
  });
}

void check_unused(const FileView& view, Findings& findings) {
  // Whoever asks for a stage in the middle of the file knows that there are others.
  if (view.target().stage.index + 1 != static_cast<int>(view.stages().size())) return;
  for (const StageView& stage : view.stages()) {
    const int index = stage.stage.index;
    if (stage.graph.needed || stage.graph.replaced || looks_like_a_target(stage)) continue;
    if (is_needed_by_another(view, index)) continue;  // That one is reported, if it should.
    const std::string name = stage.stage.name.empty() ? "this stage" : "the stage '" + stage.stage.name + "'";
    const std::string target = stage.stage.name.empty() ? std::to_string(index) : stage.stage.name;
    findings.add("UnusedStage", stage.stage.instruction.at,
                 "nothing that is built needs " + name + ", so it is never run; build it with --target " + target +
                     " or remove it");
  }
}

class IndexChecker {
 public:
  IndexChecker(const FileView& view, const StageView& stage, Findings& findings)
      : view_(view), stage_(stage), findings_(findings) {}

  void run() {
    if (stage_.graph.base.kind == dockerfile::SourceKind::kStage) report(stage_.stage.from().image, "FROM ");
    for (const dockerfile::Instruction& step : stage_.stage.steps) {
      if (const auto* copy = std::get_if<dockerfile::Copy>(&step.command); copy != nullptr && copy->from) {
        report(*copy->from, "--from=");
      }
      if (const auto* run = std::get_if<dockerfile::Run>(&step.command)) {
        for (const dockerfile::Mount& mount : run->mounts) {
          if (mount.from) report(*mount.from, "from=");
        }
      }
    }
  }

 private:
  void report(const dockerfile::Word& word, const std::string& before) {
    const std::string& text = word.text;
    if (text.empty() || text.size() > 4) return;
    if (!std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) return;
    const int index = std::stoi(text);
    if (index >= stage_.stage.index) return;
    const dockerfile::Stage& meant = view_.at(index).stage;
    const std::string line = std::to_string(meant.instruction.at.line);
    const std::string what =
        "'" + before + text + "' means the stage of line " + line + " only until another one is put before it; ";
    const std::string fix = meant.name.empty() ? "write AS NAME behind that FROM, and " + before + "NAME here"
                                               : "write " + before + meant.name;
    findings_.add("StageNamedByIndex", word.at, what + fix);
  }

  const FileView& view_;
  const StageView& stage_;
  Findings& findings_;
};

}  // namespace

void check_stages(const FileView& view, Findings& findings) {
  check_unused(view, findings);
  for (const StageView& stage : view.stages()) {
    if (stage.needed) IndexChecker(view, stage, findings).run();
  }
}

}  // namespace imagebuild::lint
