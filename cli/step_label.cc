#include "cli/step_label.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace imagebuild::cli {

namespace {

const api::PlanStage& stage_at(const api::Plan& plan, int stage) {
  return plan.stages[static_cast<std::size_t>(stage)];
}

// Of a stage without a name: what the Dockerfile calls it is its index.
bool is_number(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string bracket(const api::Plan& plan, int stage, int number) {
  const bool alone = plan.stages.size() == 1 && is_number(stage_at(plan, stage).name);
  return "[" + (alone ? "" : stage_title(plan, stage) + " ") + std::to_string(number) + "/" +
         std::to_string(step_count(plan, stage)) + "] ";
}

int from_lines(const api::PlanStage& stage) {
  return std::holds_alternative<api::OnImage>(stage.base) ? 1 : 0;
}

// "name:tag@sha256:0123456789ab": enough to compare, short enough to read.
std::string short_reference(const std::string& reference) {
  constexpr std::size_t kDigits = 12;
  const std::size_t at = reference.find("@sha256:");
  if (at == std::string::npos) return reference;
  return reference.substr(0, at + 8 + kDigits);
}

std::string fixed(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

}  // namespace

std::string stage_title(const api::Plan& plan, int stage) {
  const api::PlanStage& it = stage_at(plan, stage);
  return is_number(api::written_name(it)) ? "stage-" + it.name : it.name;
}

bool is_shown(const api::Step& step) {
  return !std::holds_alternative<api::MetadataStep>(step.action);
}

int step_count(const api::Plan& plan, int stage) {
  const api::PlanStage& it = stage_at(plan, stage);
  return from_lines(it) + static_cast<int>(std::ranges::count_if(it.steps, is_shown));
}

std::string step_label(const api::Plan& plan, int stage, int step) {
  const api::PlanStage& it = stage_at(plan, stage);
  int number = from_lines(it);
  for (int i = 0; i <= step; ++i) number += is_shown(it.steps[static_cast<std::size_t>(i)]) ? 1 : 0;
  return bracket(plan, stage, number) + it.steps[static_cast<std::size_t>(step)].text;
}

std::string from_label(const api::Plan& plan, int stage) {
  const auto* image = std::get_if<api::OnImage>(&stage_at(plan, stage).base);
  if (image == nullptr) return bracket(plan, stage, 1) + "FROM scratch";
  return bracket(plan, stage, 1) + "FROM " +
         short_reference(plan.images[static_cast<std::size_t>(image->image)].reference);
}

std::string changed_label(const api::Plan& plan, int stage, const std::string& changed) {
  return "[" + stage_title(plan, stage) + "] is built again: " + changed;
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fixed(static_cast<double>(time.count()) / 1000.0, 1) + "s";
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fixed(value, 1) + " " + kUnits[unit];
}

}  // namespace imagebuild::cli
