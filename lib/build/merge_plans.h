// Puts plans of one Dockerfile together into one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/plan.h"

namespace imagebuild::build {

// Takes plan after plan. Images, trees, warnings and stages that are there already are not added again; the stages of a
// plan whose counterpart is there add to it what they export.
class PlanMerger {
 public:
  // `plan` was solved for the target of that name and that platform.
  void add(const api::Plan& plan, const std::string& target, const std::string& platform);
  // The plan of everything added; afterwards the merger is empty.
  api::Plan finish();

 private:
  struct Origin {  // What a stage was first solved for.
    std::string target, platform;
  };

  int add_image(const api::BaseImage& image);
  int add_tree(const api::FileTree& tree);
  int add_stage(api::PlanStage stage, const Origin& origin);
  void warn_of_other_platforms();
  void name_apart();

  api::Plan merged_;
  std::vector<Origin> origins_;  // By stage.
};

}  // namespace imagebuild::build
