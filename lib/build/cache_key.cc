#include "build/cache_key.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace imagebuild::build {

namespace {

// A part of the hash, so that whoever changes how keys are made need not fear the old ones.
constexpr std::string_view kScheme = "imagebuild cache 2";
constexpr std::size_t kMaxNamed = 3;

void add_inputs(const std::vector<KeyInput>& inputs, FieldHasher& hash) {
  hash.add(inputs.size());
  for (const KeyInput& input : inputs) {
    hash.add(static_cast<std::uint64_t>(input.kind));
    // The same base is the same by every name.
    hash.add(input.kind == InputKind::kBase ? std::string_view() : std::string_view(input.name));
    hash.add(input.value);
  }
}

std::string described(const KeyInput& input) {
  switch (input.kind) {
    case InputKind::kBuilder:
      return "imagebuild itself";
    case InputKind::kBase:
      return "the base " + input.name;
    case InputKind::kPlatform:
      return "the platform";
    case InputKind::kEpoch:
      return "SOURCE_DATE_EPOCH";
    case InputKind::kCompression:
      return "the compression";
    case InputKind::kInstruction:
      return input.name.empty() ? "the instruction" : input.name;
    case InputKind::kVariable:
      return "the variable " + input.name;
    case InputKind::kFile:
      return input.name;
    case InputKind::kExports:
      return "what other stages take from it";
  }
  return input.name;
}

using Named = std::map<std::pair<InputKind, std::string>, std::string>;  // The values of one name, one after the other.

Named by_name(const std::vector<KeyInput>& inputs) {
  Named result;
  for (const KeyInput& input : inputs) result[{input.kind, input.name}] += input.value + " ";
  return result;
}

// As add_inputs() sees them.
bool are_alike(const KeyInput& a, const KeyInput& b) {
  return a.kind == b.kind && a.value == b.value && (a.kind == InputKind::kBase || a.name == b.name);
}

// What differs, said for people; empty when nothing does.
std::string difference(const std::vector<KeyInput>& before, const std::vector<KeyInput>& now) {
  if (std::ranges::equal(before, now, are_alike)) return {};
  const Named old_values = by_name(before);
  const Named new_values = by_name(now);
  std::vector<std::string> found;
  for (const auto& [name, value] : new_values) {
    const auto old = old_values.find(name);
    const std::string what = described(KeyInput{name.first, name.second, {}});
    if (old == old_values.end()) {
      found.push_back(what + " is new");
    } else if (old->second != value) {
      found.push_back(what + " changed");
    }
  }
  for (const auto& [name, value] : old_values) {
    if (!new_values.contains(name)) found.push_back(described(KeyInput{name.first, name.second, {}}) + " is gone");
  }
  if (found.empty()) return "the order of its files changed";
  std::string text;
  for (std::size_t i = 0; i < std::min(found.size(), kMaxNamed); ++i) text += (i == 0 ? "" : ", ") + found[i];
  if (found.size() > kMaxNamed) text += " and " + std::to_string(found.size() - kMaxNamed) + " more";
  return text;
}

}  // namespace

void FieldHasher::add(std::string_view field) {
  constexpr std::size_t kMostWaiting = 4096;
  if (waiting_.size() + field.size() > kMostWaiting) {
    hasher_.update(as_bytes(waiting_));
    waiting_.clear();
  }
  waiting_ += std::to_string(field.size());
  waiting_ += ':';
  if (field.size() <= kMostWaiting) {
    waiting_ += field;
    return;
  }
  hasher_.update(as_bytes(waiting_));
  hasher_.update(as_bytes(field));
  waiting_.clear();
}

oci::Digest FieldHasher::finish() {
  hasher_.update(as_bytes(waiting_));
  return hasher_.finish();
}

void FieldHasher::add(std::uint64_t number) {
  add(std::string_view(std::to_string(number)));
}

StageKeys keys_of(const StageInputs& inputs) {
  StageKeys keys;
  FieldHasher start;
  start.add(kScheme);
  add_inputs(inputs.start, start);
  oci::Digest last = start.finish();
  for (const StepInputs& step : inputs.steps) {
    FieldHasher hasher;
    hasher.add("step");
    hasher.add(last.str());
    add_inputs(step.inputs, hasher);
    last = hasher.finish();
    keys.steps.push_back({step.step, last});
  }
  if (!inputs.is_complete) return keys;
  FieldHasher stage;
  stage.add("stage");
  stage.add(last.str());
  add_inputs(inputs.end, stage);
  keys.stage = stage.finish();
  return keys;
}

std::optional<Change> first_change(const StageInputs& before, const StageInputs& now) {
  if (std::string what = difference(before.start, now.start); !what.empty()) return Change{-1, std::move(what)};
  for (std::size_t i = 0; i < now.steps.size(); ++i) {
    const int step = now.steps[i].step;
    if (i >= before.steps.size()) return Change{step, "the instruction is new"};
    std::string what = difference(before.steps[i].inputs, now.steps[i].inputs);
    if (!what.empty()) return Change{step, std::move(what)};
  }
  const int last = now.steps.empty() ? -1 : now.steps.back().step;
  if (!now.is_complete) return std::nullopt;
  if (before.steps.size() > now.steps.size()) return Change{last, "an instruction is gone"};
  if (std::string what = difference(before.end, now.end); !what.empty()) return Change{last, std::move(what)};
  return std::nullopt;
}

}  // namespace imagebuild::build
