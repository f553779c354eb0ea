// A small cluster in memory for the tests of reconcile(): rows say what happened, the world says what is observed.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/reasons.h"
#include "build/reconcile.h"
#include "build/reconcile_names.h"
#include "build/reconcile_report.h"
#include "build/reconcile_verdict.h"

namespace imagebuild::build {

using std::chrono::seconds;

inline const Work kPrepareWork{PodRole::kPrepare, 0}, kPublishWork{PodRole::kPublish, 0};
inline Work stage_work(int stage) {
  return {PodRole::kStage, stage};
}

// base and lib run side by side, app needs both and runs; final copies from app and is computed.
inline api::Plan four_stages() {
  api::Plan plan;
  plan.images = {{.name = "alpine:3.18", .digest = "sha256:aa"}};
  for (const char* name : {"base", "lib", "app", "final"}) {
    api::PlanStage stage;
    stage.name = name;
    stage.base = api::OnImage{0};
    stage.needs_container = std::string(name) != "final";
    stage.steps = {{.at = {3, 1}, .text = "RUN make"}, {.at = {4, 1}, .text = "RUN make install"}};
    plan.stages.push_back(stage);
  }
  plan.stages[2].needs = {0, 1};
  plan.stages[3].needs = {2};
  plan.stages[3].base = api::Scratch{};
  plan.targets = {{3, "linux/amd64", ""}};
  return plan;
}

inline api::Told done() {
  api::Told told;
  told.done = true;
  return told;
}
inline api::Told pushed(const std::string& digest) {
  api::Told told = done();
  told.image = api::ImageStatus{.reference = "registry.example/app@" + digest, .digest = digest, .layers = 3};
  return told;
}
inline api::Told failed(const char* code, const std::string& message, int exit_code = 0) {
  api::Told told;
  told.failure = api::Failure{.code = code, .exit_code = exit_code, .message = message};
  return told;
}

struct World {
  Observed seen;
  Decision last;

  World() {
    seen.now = WallTime(seconds(1'700'000'000));
    seen.build.name = "app";
    seen.build.uid = "uid-1";
    seen.build.generation = 1;
    seen.build.spec_digest = "one";
    seen.build.spec.source.inline_files = api::InlineSource{{{"Dockerfile", "FROM scratch"}}};
    seen.build.spec.output.image = "registry.example/app:1";
    // Stages that ask for something wait for their needs before they have a pod.
    seen.build.spec.stage_defaults.resources.requests = {{"cpu", {"1"}}};
  }

  api::ImageBuildSpec& spec() { return seen.build.spec; }
  const api::ImageBuildStatus& status() const { return last.status; }
  void pass(seconds time) { seen.now += time; }

  // One round of the operator: decides, writes the status, creates and deletes.
  void round() {
    last = reconcile(seen);
    seen.build.status = last.status;
    for (const Action& action : last.actions) apply(action);
  }
  void decide() {
    last = reconcile(seen);
    seen.build.status = last.status;
  }
  void apply(const Action& action) {
    if (const auto* create = std::get_if<CreatePod>(&action)) {
      Pod pod;
      pod.name = create->name;
      pod.generation = create->generation;
      pod.work = create->work;
      pod.attempt = create->attempt;
      pod.node = create->node;
      pod.created = seen.now;
      if (find(pod.name) == nullptr) seen.pods.push_back(pod);
    } else if (const auto* claim = std::get_if<CreateClaim>(&action)) {
      seen.claims.push_back({.name = claim->name, .generation = claim->generation});
    } else if (std::get_if<RecordPlan>(&action) != nullptr) {
      seen.plan_recorded = true;
      seen.records = {std::get<RecordPlan>(action).name};
    } else if (const auto* gone = std::get_if<DeletePod>(&action)) {
      find(gone->name)->deletion = seen.now + seconds(30);
    } else if (const auto* lost = std::get_if<DeleteClaim>(&action)) {
      std::erase_if(seen.claims, [&](const Claim& own) { return own.name == lost->name; });
    } else if (const auto* record = std::get_if<DeleteRecord>(&action)) {
      std::erase(seen.records, record->name);
    }
  }

  Pod* find(const std::string& name) {
    const auto found = std::ranges::find(seen.pods, name, &Pod::name);
    return found == seen.pods.end() ? nullptr : &*found;
  }
  // The last attempt of the current build.
  Pod& pod(const Work& work) {
    Pod* last_attempt = nullptr;
    for (Pod& own : seen.pods) {
      if (own.work == work && own.generation == seen.build.status.build.generation) last_attempt = &own;
    }
    if (last_attempt == nullptr) std::abort();
    return *last_attempt;
  }
  void runs(const Work& work, const std::string& node = "node-1") {
    pod(work).phase = PodPhase::kRunning;
    pod(work).node = node;
  }
  void ends(const Work& work, api::Told told, int exit_code = 0) {
    Pod& own = pod(work);
    own.phase = exit_code == 0 && !told.failure ? PodPhase::kSucceeded : PodPhase::kFailed;
    own.exit_code = exit_code;
    own.finished = seen.now;
    own.told = std::move(told);
    if (own.node.empty()) own.node = "node-1";
  }
  // Ended without a word.
  void exits(const Work& work, int exit_code) {
    ends(work, {}, exit_code);
    pod(work).told.reset();
  }
  void vanishes(const Work& work) {
    const std::string name = pod(work).name;
    std::erase_if(seen.pods, [&](const Pod& own) { return own.name == name; });
  }
  void deleted_pods_go() {
    std::erase_if(seen.pods, [](const Pod& own) { return own.deletion.has_value(); });
  }

  // The way to a point of a build on which everything goes well.
  void prepared() {
    round();
    runs(kPrepareWork);
    round();
    seen.plan = four_stages();
    ends(kPrepareWork, done());
    round();
  }
  void building() {
    prepared();
    runs(stage_work(0));
    runs(stage_work(1));
    round();
  }
  void last_stage_runs() {
    building();
    ends(stage_work(0), done());
    ends(stage_work(1), done());
    round();
    runs(stage_work(2));
    round();
  }
  void stages_built() {
    last_stage_runs();
    ends(stage_work(2), done());
    round();
  }
  void built(const std::string& digest = "sha256:11") {
    stages_built();
    runs(kPublishWork);
    round();
    ends(kPublishWork, pushed(digest));
    round();
  }
  void change_spec(const std::string& digest) {
    ++seen.build.generation;
    seen.build.spec_digest = digest;
    seen.plan.reset();
    seen.plan_recorded = false;
  }

  // What the last decision does, in short: "create prepare-1", "delete s0-1", "claim", "record", "read s1-1",
  // "delete claim", "delete record". Events and the requeue are left out.
  std::vector<std::string> does() const {
    std::vector<std::string> words;
    for (const Action& action : last.actions) {
      if (const auto* create = std::get_if<CreatePod>(&action)) {
        words.push_back((create->early ? "create early " : "create ") + short_name(create->name));
      }
      if (const auto* gone = std::get_if<DeletePod>(&action)) words.push_back("delete " + short_name(gone->name));
      if (const auto* read = std::get_if<ReadOutcome>(&action)) words.push_back("read " + short_name(read->pod));
      if (std::holds_alternative<CreateClaim>(action)) words.push_back("claim");
      if (std::holds_alternative<DeleteClaim>(action)) words.push_back("delete claim");
      if (std::holds_alternative<RecordPlan>(action)) words.push_back("record");
      if (std::holds_alternative<DeleteRecord>(action)) words.push_back("delete record");
    }
    return words;
  }
  static std::string short_name(const std::string& name) {
    return name.substr(name.rfind('-', name.rfind('-') - 1) + 1);
  }
  std::vector<std::string> events() const {
    std::vector<std::string> reasons;
    for (const Action& action : last.actions) {
      if (const auto* event = std::get_if<EmitEvent>(&action)) reasons.push_back(event->reason);
    }
    return reasons;
  }
  std::optional<std::chrono::milliseconds> requeue() const {
    for (const Action& action : last.actions) {
      if (const auto* again = std::get_if<RequeueAfter>(&action)) return again->delay;
    }
    return {};
  }
  // "True Succeeded", "Unknown Building", "False StepFailed stalled"
  std::string ready() const {
    const api::Condition* own = api::find_condition(last.status, api::kReadyCondition);
    if (own == nullptr) return "none";
    std::string text = own->status == api::ConditionStatus::kTrue    ? "True "
                       : own->status == api::ConditionStatus::kFalse ? "False "
                                                                     : "Unknown ";
    text += own->reason;
    if (api::find_condition(last.status, api::kStalledCondition) != nullptr) text += " stalled";
    if (api::find_condition(last.status, api::kReconcilingCondition) != nullptr) text += " reconciling";
    return text;
  }
};

}  // namespace imagebuild::build
