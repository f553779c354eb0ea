// Which artifacts a piece of a build's work reads: what its pod has to fetch, and no more.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "api/plan.h"

namespace imagebuild::builder {

// Which of the plan's artifacts are wanted; the numbers are indexes into Plan::stages, Plan::images and Plan::trees.
struct ArtifactNeeds {
  bool context = false;
  std::set<int> trees;    // Trees from outside.
  std::set<int> bases;    // Base indexes.
  std::set<int> layers;   // Stages whose layers are wanted …
  std::set<int> exports;  // … whose exports …
  std::set<int> reports;  // … and whose report.

  bool includes(const std::string& path) const;  // `path` passes is_artifact(). The plan is always included.
  std::set<int> stages() const;                  // Those of which anything is wanted.
};

// Of the pod that carries out that stage.
ArtifactNeeds needs_of_stage(const api::Plan& plan, int stage);
// Of publish: the stages that it computes, all reports, and the layers that are in the image.
ArtifactNeeds needs_of_publish(const api::Plan& plan);

}  // namespace imagebuild::builder
