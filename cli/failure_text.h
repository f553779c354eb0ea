// What a person sees when a step of the Dockerfile failed. Pure.
#pragma once

#include <string>
#include <string_view>

#include "api/plan.h"
#include "api/report.h"

namespace imagebuild::cli {

// The step, its last output lines, and its source lines with some context, as BuildKit shows them:
//
//   ------
//    > [build 2/3] RUN make:
//   make: *** No targets specified and no makefile found.  Stop.
//   ------
//   Dockerfile:3
//   --------------------
//      2 |     COPY . /src
//      3 | >>> RUN make
//      4 |
//   --------------------
std::string failure_text(const api::Plan& plan, const api::Failure& failure, std::string_view dockerfile_text);

// The error that the build ends with: one sentence with the exit code, and what to do if that is known.
Error failure_error(const api::Plan& plan, const api::Failure& failure);

}  // namespace imagebuild::cli
