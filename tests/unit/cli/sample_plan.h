// The plan that the tests of the command line share: a compile stage, a test stage nobody copies from, a small image.
#pragma once

#include <string>

#include "api/plan.h"

namespace imagebuild::cli {

inline api::Step step_at(int line, std::string text, decltype(api::Step::action) action) {
  api::Step step;
  step.at = api::SourceLine{line, 1};
  step.text = std::move(text);
  step.action = std::move(action);
  return step;
}

inline api::PlanStage stage_on(std::string name, int line, api::StageBase base) {
  api::PlanStage stage;
  stage.name = std::move(name);
  stage.at = api::SourceLine{line, 1};
  stage.base = base;
  stage.platform = "linux/amd64";
  return stage;
}

// 1 FROM gcc:12 AS build   2 COPY . /src   3 RUN make          4 ENV A=b
// 5 FROM debian:12         6 COPY --from=build /src/app /app   7 CMD ["/app"]
inline api::Plan sample_plan() {
  api::Plan plan;
  plan.dockerfile = "Dockerfile";
  plan.images = {api::BaseImage{"gcc:12", "docker.io/library/gcc:12@sha256:" + std::string(64, 'a'),
                                "sha256:" + std::string(64, 'a'), "", ""},
                 api::BaseImage{"debian:12", "docker.io/library/debian:12@sha256:" + std::string(64, 'b'),
                                "sha256:" + std::string(64, 'b'), "", ""}};
  api::PlanStage build = stage_on("build", 1, api::OnImage{0});
  api::CopyStep all;
  all.from = api::FromContext{};
  all.sources = {""};
  all.destination = "/src";
  build.steps = {step_at(2, "COPY . /src", all), step_at(3, "RUN make", api::RunStep{}),
                 step_at(4, "ENV A=b", api::MetadataStep{})};
  build.exports = {"src/app"};
  build.needs_container = true;
  api::PlanStage image = stage_on("1", 5, api::OnImage{1});
  api::CopyStep app;
  app.from = api::FromStage{0};
  app.sources = {"src/app"};
  app.destination = "/app";
  image.steps = {step_at(6, "COPY --from=build /src/app /app", app), step_at(7, "CMD [\"/app\"]", api::MetadataStep{})};
  image.needs = {0};
  image.keep_layers = true;
  plan.stages = {build, image};
  plan.targets = {{1, "linux/amd64", ""}};
  return plan;
}

}  // namespace imagebuild::cli
