// Solves a Dockerfile into a plan. Pure: the images it needs are named first, resolved by the caller, and given back.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "api/plan.h"
#include "base/result.h"
#include "dockerfile/parser.h"
#include "oci/platform.h"

namespace imagebuild::build {

struct SolveOptions {
  std::string target;                             // A stage's name or index; empty: the last stage.
  std::map<std::string, std::string> build_args;  // --build-arg
  oci::Platform build_platform = oci::Platform::host();
  oci::Platform target_platform = oci::Platform::host();
  std::int64_t epoch_s = 0;  // Plan::epoch_s.
  // --build-context: by name, the image that it stands for ("alpine:3.18", "oci-layout:///srv/base"); an empty text
  // stands for a folder, which becomes one of Plan::trees.
  std::map<std::string, std::string> named_contexts;
  api::RunSettings run;  // Plan::run.
};

// An image from outside that a FROM or COPY --from of a needed stage names.
struct ImageNeed {
  std::string name;      // As written, variables expanded.
  std::string platform;  // "linux/amd64"
  dockerfile::Position at;
  // The same image is needed once, wherever it is named.
  auto operator<=>(const ImageNeed& other) const {
    return std::tie(name, platform) <=> std::tie(other.name, other.platform);
  }
  bool operator==(const ImageNeed& other) const {
    return std::tie(name, platform) == std::tie(other.name, other.platform);
  }
};

using Images = std::map<ImageNeed, api::BaseImage>;

// The images that solve() needs and `known` does not have, in order of appearance. What ONBUILD triggers of an image
// need shows only once that image is known: call again until nothing is missing. Also refuses, before anything is
// downloaded, whatever of the needed stages this version does not execute.
Result<std::vector<ImageNeed>> missing_images(const dockerfile::Dockerfile& dockerfile, const SolveOptions& options,
                                              const Images& known);

// The plan, with one target. `images` has everything that missing_images() asked for.
Result<api::Plan> solve(const dockerfile::Dockerfile& dockerfile, const SolveOptions& options, const Images& images);

}  // namespace imagebuild::build
