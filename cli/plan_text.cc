#include "cli/plan_text.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/overloaded.h"
#include "cli/step_label.h"
#include "cli/terminal_text.h"

namespace imagebuild::cli {

namespace {

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string export_path(const std::string& pattern) {
  return "/" + pattern;
}

std::string base_text(const api::Plan& plan, const api::PlanStage& stage) {
  return std::visit(
      Overloaded{[](const api::Scratch&) { return std::string("scratch"); },
                 [&](const api::OnImage& on) { return plan.images[static_cast<std::size_t>(on.image)].reference; },
                 [&](const api::OnStage& on) { return "stage " + stage_title(plan, on.stage); }},
      stage.base);
}

// The stages that start from nothing but what is there already run first; each later wave needs an earlier one.
std::vector<int> waves(const api::Plan& plan) {
  std::vector<int> wave(plan.stages.size(), 1);
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    for (const int need : plan.stages[i].needs) wave[i] = std::max(wave[i], wave[static_cast<std::size_t>(need)] + 1);
  }
  return wave;
}

// What stage `from` gives to stage `to`.
std::vector<std::string> moved(const api::Plan& plan, int from, int to) {
  std::set<std::string> paths;
  for (const api::Step& step : plan.stages[static_cast<std::size_t>(to)].steps) {
    const auto* copy = std::get_if<api::CopyStep>(&step.action);
    const auto* source = copy == nullptr ? nullptr : std::get_if<api::FromStage>(&copy->from);
    if (source == nullptr || source->stage != from) continue;
    for (const std::string& path : copy->sources) paths.insert(export_path(path));
  }
  return {paths.begin(), paths.end()};
}

std::string dot_quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

std::string dot_stage(const api::Plan& plan, int stage) {
  const api::PlanStage& it = plan.stages[static_cast<std::size_t>(stage)];
  std::string label = stage_title(plan, stage);
  const int steps = step_count(plan, stage);
  label += " (" + std::to_string(steps) + (steps == 1 ? " step)" : " steps)");
  std::string line = "  stage" + std::to_string(stage) + " [label=" + dot_quoted(label);
  if (!it.needs_container) line += ", style=dashed";
  if (std::ranges::find(plan.targets, stage, &api::PlanTarget::stage) != plan.targets.end()) line += ", peripheries=2";
  return line + "];\n";
}

// "target app", or what is built for which platform.
std::string targets_text(const api::Plan& plan) {
  if (plan.targets.size() == 1) return "target " + stage_title(plan, plan.targets.front().stage);
  std::vector<std::string> words;
  for (const api::PlanTarget& target : plan.targets) {
    std::string title = stage_title(plan, target.stage);
    if (!title.ends_with(")")) title += " (" + target.platform + ")";
    words.push_back(std::move(title));
  }
  return "targets " + joined(words, ", ");
}

// "all of it", "up to line 4; src/main.c changed".
std::string outlook_text(const api::Plan& plan, int stage, const StageOutlook& outlook) {
  if (outlook.is_whole) return "all of it";
  const std::vector<api::Step>& steps = plan.stages[static_cast<std::size_t>(stage)].steps;
  std::string text = "nothing of it";
  if (outlook.steps > 0) {
    text = "up to line " + std::to_string(steps[static_cast<std::size_t>(outlook.steps - 1)].at.line);
  }
  return outlook.changed.empty() ? text : text + "; " + printable(outlook.changed);
}

}  // namespace

std::string plan_text(const api::Plan& plan, const std::vector<std::optional<StageOutlook>>& outlooks) {
  const std::vector<int> wave = waves(plan);
  std::string text = plan.dockerfile + ": " + std::to_string(plan.stages.size()) +
                     (plan.stages.size() == 1 ? " stage" : " stages") + ", " + targets_text(plan) + "\n";
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const api::PlanStage& stage = plan.stages[i];
    const int index = static_cast<int>(i);
    text += "\nstage " + stage_title(plan, index) + "  (" + stage.platform + ", " +
            (stage.needs_container ? "runs in a container" : "computed without a container") + ", wave " +
            std::to_string(wave[i]) + ")\n";
    text += "  from    " + base_text(plan, stage) + "\n";
    std::vector<std::string> needs;
    for (const int need : stage.needs) {
      const std::vector<std::string> paths = moved(plan, need, index);
      needs.push_back(stage_title(plan, need) + (paths.empty() ? "" : ": " + joined(paths, " ")));
    }
    if (!needs.empty()) text += "  needs   " + joined(needs, "\n          ") + "\n";
    std::vector<std::string> exports;
    for (const std::string& path : stage.exports) exports.push_back(export_path(path));
    if (!exports.empty()) text += "  exports " + joined(exports, " ") + "\n";
    if (i < outlooks.size() && outlooks[i]) text += "  cache   " + outlook_text(plan, index, *outlooks[i]) + "\n";
    for (std::size_t step = 0; step < stage.steps.size(); ++step) {
      text += "  " + std::to_string(stage.steps[step].at.line) + ": " + printable(stage.steps[step].text) + "\n";
    }
  }
  for (const api::Warning& warning : plan.warnings) {
    text += "\nwarning: " + printable(api::text_of(plan, warning)) + "\n";
  }
  return text;
}

std::string plan_dot(const api::Plan& plan) {
  std::string text = "digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n";
  for (std::size_t i = 0; i < plan.images.size(); ++i) {
    text += "  image" + std::to_string(i) + " [shape=cylinder, label=" + dot_quoted(plan.images[i].name) + "];\n";
  }
  for (std::size_t i = 0; i < plan.stages.size(); ++i) text += dot_stage(plan, static_cast<int>(i));
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const api::PlanStage& stage = plan.stages[i];
    const std::string to = " -> stage" + std::to_string(i);
    if (const auto* image = std::get_if<api::OnImage>(&stage.base)) {
      text += "  image" + std::to_string(image->image) + to + " [label=\"FROM\"];\n";
    }
    const auto* parent = std::get_if<api::OnStage>(&stage.base);
    if (parent != nullptr) text += "  stage" + std::to_string(parent->stage) + to + " [label=\"FROM\"];\n";
    for (const int need : stage.needs) {
      const std::vector<std::string> paths = moved(plan, need, static_cast<int>(i));
      if (paths.empty()) continue;
      text += "  stage" + std::to_string(need) + to + " [label=" + dot_quoted(joined(paths, " ")) + "];\n";
    }
  }
  return text + "}\n";
}

}  // namespace imagebuild::cli
