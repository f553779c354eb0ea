// Whether a plan can be built in a cluster with what the spec gives it: what only both together show.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/image_build_spec.h"
#include "api/plan.h"

namespace imagebuild::build {

// Why a build ends before its first stage runs.
struct Misfit {
  std::string stage;
  std::string step;  // The instruction; empty when it is the stage itself.
  int line = 0;
  std::string reason;   // api/reasons.h
  std::string message;  // With the place, the field, and what to do.
  bool operator==(const Misfit&) const = default;
};

// The first one, in the order of the stages; nothing for a plan that fits.
std::optional<Misfit> find_misfit(const api::Plan& plan, const api::ImageBuildSpec& spec);

// What the build goes on with, but otherwise than its user may think.
std::vector<api::Warning> cluster_warnings(const api::Plan& plan, const api::ImageBuildSpec& spec);

// What kubelets call the architecture of "linux/arm64/v8": "arm64". Empty for a platform without one.
std::string node_architecture(const std::string& platform);

// The architectures of nodes that the stages with a container need; sorted, each once.
std::vector<std::string> node_architectures(const api::Plan& plan);

}  // namespace imagebuild::build
