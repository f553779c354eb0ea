// How stages and steps are called where people read them: "[build 2/5] RUN gcc -o app main.c", as BuildKit does.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "api/plan.h"

namespace imagebuild::cli {

// "build", or "stage-1" for a stage without a name.
std::string stage_title(const api::Plan& plan, int stage);

// A step that only changes the config takes no time and is not shown.
bool is_shown(const api::Step& step);

// How many lines a stage has: its FROM, if that is an image, and each shown step.
int step_count(const api::Plan& plan, int stage);

// "[build 2/5] RUN gcc -o app main.c"; "[2/5] …" when the plan has one stage and that has no name.
std::string step_label(const api::Plan& plan, int stage, int step);
// "[build 1/5] FROM docker.io/library/debian:12"; the digest is cut to what a person can compare.
std::string from_label(const api::Plan& plan, int stage);

// "[build] is built again: src/main.c changed".
std::string changed_label(const api::Plan& plan, int stage, const std::string& changed);

// "0.4s", "12.3s", "125.0s".
std::string seconds_text(std::chrono::milliseconds time);
// "512 B", "1.4 kB", "23.1 MB": powers of ten, as registries and disks count.
std::string bytes_text(std::uint64_t bytes);

}  // namespace imagebuild::cli
