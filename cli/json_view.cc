#include "cli/json_view.h"

#include <nlohmann/json.hpp>

#include "base/overloaded.h"

namespace imagebuild::cli {

namespace {

using Json = nlohmann::ordered_json;

Json plan_json(const api::Plan& plan) {
  Json stages = Json::array();
  for (const api::PlanStage& stage : plan.stages) {
    Json needs = Json::array();
    for (const int need : stage.needs) needs.push_back(plan.stages[static_cast<std::size_t>(need)].name);
    stages.push_back({{"name", stage.name}, {"steps", stage.steps.size()}, {"needs", std::move(needs)}});
  }
  const auto name_of = [&](const api::PlanTarget& target) {
    return plan.stages[static_cast<std::size_t>(target.stage)].name;
  };
  Json json = {{"event", "planSolved"}, {"stages", std::move(stages)}, {"target", name_of(plan.targets.front())}};
  if (plan.targets.size() == 1) return json;
  for (const api::PlanTarget& target : plan.targets) {
    json["targets"].push_back({{"stage", name_of(target)}, {"platform", target.platform}});
  }
  return json;
}

Json step_json(const api::PlanStage& stage, const api::StageEvent& event) {
  return std::visit(Overloaded{[&](const api::StepStarted& it) -> Json {
                                 const api::Step& step = stage.steps[static_cast<std::size_t>(it.step)];
                                 return {{"event", "stepStarted"},
                                         {"stage", stage.name},
                                         {"step", it.step},
                                         {"line", step.at.line},
                                         {"text", step.text}};
                               },
                               [&](const api::StepOutput& it) -> Json {
                                 return {{"event", "stepOutput"},
                                         {"stage", stage.name},
                                         {"step", it.step},
                                         {"stream", it.stream},
                                         {"data", it.data}};
                               },
                               [&](const api::StepDone& it) -> Json {
                                 return {{"event", "stepDone"},
                                         {"stage", stage.name},
                                         {"step", it.step},
                                         {"layerBytes", it.layer_bytes},
                                         {"cached", it.cached}};
                               },
                               [](const api::StageDone&) -> Json { return nullptr; }},
                    event);
}

Json built_json(const ImageBuilt& built) {
  const builder::Published& image = *built.image;
  Json json = {{"event", "built"}, {"digest", image.descriptor.digest.str()}};
  if (!image.is_index()) json["configDigest"] = image.platforms.front().manifest.config.digest.str();
  json["names"] = built.names;
  json["baseBytes"] = image.base_bytes;
  json["newBytes"] = image.new_bytes;
  json["exportedBytes"] = built.exported_bytes;
  if (!image.target.empty()) json["target"] = image.target;
  if (!image.is_index()) return json;
  for (const builder::PlatformImage& platform : image.platforms) {
    json["platforms"].push_back({{"platform", platform.wanted.str()},
                                 {"digest", platform.descriptor.digest.str()},
                                 {"configDigest", platform.manifest.config.digest.str()}});
  }
  return json;
}

Json failed_json(const BuildFailed& failed) {
  Json json = {
      {"event", "failed"}, {"code", api::error_code_name(failed.error.code)}, {"message", failed.error.message}};
  if (failed.failure) {
    json.update(Json{{"stage", failed.failure->stage},
                     {"step", failed.failure->step},
                     {"line", failed.failure->at.line},
                     {"exitCode", failed.failure->exit_code},
                     {"logTail", failed.failure->log_tail}});
  }
  return json;
}

const char* outcome_name(StageEnded::Outcome outcome) {
  switch (outcome) {
    case StageEnded::Outcome::kDone:
      return "done";
    case StageEnded::Outcome::kFailed:
      return "failed";
    case StageEnded::Outcome::kStopped:
      return "stopped";
  }
  return "";
}

}  // namespace

void JsonView::show(const Event& event, Elapsed now) {
  const auto stage_of = [&](int stage) -> const api::PlanStage& {
    return plan_->stages[static_cast<std::size_t>(stage)];
  };
  const Json body = std::visit(
      Overloaded{
          [&](const PlanSolved& it) -> Json {
            plan_ = it.plan;
            return plan_json(*plan_);
          },
          [](const JobStarted& it) -> Json {
            return {{"event", "jobStarted"}, {"job", it.job}, {"name", it.name}};
          },
          [](const JobProgress& it) -> Json {
            return {{"event", "jobProgress"},
                    {"job", it.job},
                    {"doneBytes", it.done_bytes},
                    {"totalBytes", it.total_bytes}};
          },
          [](const JobDone& it) -> Json {
            return {{"event", "jobDone"}, {"job", it.job}, {"cached", it.cached}};
          },
          [](const JobFailed& it) -> Json {
            return {{"event", "jobFailed"}, {"job", it.job}, {"message", it.message}};
          },
          [&](const StageStarted& it) -> Json {
            Json json = {{"event", "stageStarted"}, {"stage", stage_of(it.stage).name}};
            if (!it.changed.empty()) json["changed"] = it.changed;
            return json;
          },
          [&](const StageProgress& it) -> Json { return step_json(stage_of(it.stage), it.event); },
          [&](const StageEnded& it) -> Json {
            return {{"event", "stageEnded"}, {"stage", stage_of(it.stage).name}, {"outcome", outcome_name(it.outcome)}};
          },
          [&](const StageCached& it) -> Json {
            return {{"event", "stageCached"}, {"stage", stage_of(it.stage).name}};
          },
          [](const Warning& it) -> Json {
            return {{"event", "warning"}, {"text", it.text}};
          },
          [](const ImageBuilt& it) -> Json { return built_json(it); },
          [](const BuildFailed& it) -> Json { return failed_json(it); }},
      event);
  if (body.is_null()) return;
  Json line = {{"time", static_cast<double>(now.count()) / 1000.0}};
  line.update(body);
  out_(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace imagebuild::cli
