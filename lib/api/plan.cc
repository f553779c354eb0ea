#include "api/plan.h"

#include <algorithm>
#include <set>

namespace imagebuild::api {

std::string text_of(const Plan& plan, const Warning& warning) {
  std::string text = warning.at.line == 0 ? std::string() : place(plan, warning.at) + ": ";
  if (!warning.rule.empty()) text += warning.rule + ": ";
  return text + warning.message;
}

std::string place(const Plan& plan, const SourceLine& at) {
  std::string text = plan.dockerfile + ":" + std::to_string(at.line);
  if (at.column > 0) text += ":" + std::to_string(at.column);
  return text;
}

std::vector<int> base_chain(const Plan& plan, int stage) {
  std::vector<int> chain{stage};
  while (const auto* on = std::get_if<OnStage>(&plan.stages[static_cast<std::size_t>(chain.back())].base)) {
    chain.push_back(on->stage);
  }
  std::ranges::reverse(chain);
  return chain;
}

std::size_t steps_with_layers(const PlanStage& stage) {
  if (stage.keep_layers) return stage.steps.size();
  if (!stage.cache_layers) return 0;
  std::size_t after_last_run = 0;
  bool is_followed = false;
  for (std::size_t i = stage.steps.size(); i-- > 0 && after_last_run == 0;) {
    if (std::holds_alternative<MetadataStep>(stage.steps[i].action)) continue;
    if (is_followed && std::holds_alternative<RunStep>(stage.steps[i].action)) after_last_run = i + 1;
    is_followed = true;
  }
  return after_last_run;
}

const BaseImage* root_image(const Plan& plan, int stage) {
  const StageBase& base = plan.stages[static_cast<std::size_t>(base_chain(plan, stage).front())].base;
  const auto* on = std::get_if<OnImage>(&base);
  return on == nullptr ? nullptr : &plan.images[static_cast<std::size_t>(on->image)];
}

namespace {

// What `collect` finds in the RUN steps of the stage: sorted, each once.
template <class Collect>
std::vector<std::string> ids_of(const Plan& plan, int stage, const Collect& collect) {
  std::set<std::string> ids;
  for (const Step& step : plan.stages[static_cast<std::size_t>(stage)].steps) {
    if (const auto* run = std::get_if<RunStep>(&step.action)) collect(*run, ids);
  }
  return {ids.begin(), ids.end()};
}

template <class Kind>
std::vector<std::string> mount_ids(const Plan& plan, int stage) {
  return ids_of(plan, stage, [](const RunStep& run, std::set<std::string>& ids) {
    for (const Mount& mount : run.mounts) {
      if (const auto* one = std::get_if<Kind>(&mount)) ids.insert(one->id);
    }
  });
}

}  // namespace

std::vector<std::string> secret_ids(const Plan& plan, int stage) {
  return ids_of(plan, stage, [](const RunStep& run, std::set<std::string>& ids) {
    for (const SecretMount& mount : run.secrets) ids.insert(mount.id);
  });
}

std::vector<std::string> cache_ids(const Plan& plan, int stage) {
  return mount_ids<CacheMount>(plan, stage);
}

std::vector<std::string> ssh_ids(const Plan& plan, int stage) {
  return mount_ids<SshMount>(plan, stage);
}

}  // namespace imagebuild::api
