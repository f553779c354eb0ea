// A plan for people and for Graphviz. Pure.
#pragma once

#include <string>

#include "api/plan.h"

namespace imagebuild::cli {

// One paragraph a stage: what it starts from, where it runs, its steps, what it takes and what others take from it.
std::string plan_text(const api::Plan& plan);

// The graph of images and stages; an edge says what moves along it.
std::string plan_dot(const api::Plan& plan);

}  // namespace imagebuild::cli
