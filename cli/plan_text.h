// A plan for people and for Graphviz. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/plan.h"
#include "cli/plan_outlook.h"

namespace imagebuild::cli {

// One paragraph a stage: what it starts from, where it runs, its steps, what it takes and what others take from it, and
// what a cache has of it. `outlooks`: by stage, as look_ahead() gives them, or none at all.
std::string plan_text(const api::Plan& plan, const std::vector<std::optional<StageOutlook>>& outlooks = {});

// The graph of images and stages; an edge says what moves along it.
std::string plan_dot(const api::Plan& plan);

}  // namespace imagebuild::cli
