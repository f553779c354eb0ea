// For tests in which no program may be started: to try it fails the test.
#pragma once

#include <gtest/gtest.h>

#include "base/process.h"

namespace imagebuild::fakes {

class NoProcesses final : public ProcessRunner {
 public:
  Result<ProcessResult> run(const ProcessSpec& spec, std::stop_token) override {
    ADD_FAILURE() << "unexpected: " << spec.argv.front();
    return Error{ErrorCode::kInternal, "not here"};
  }
};

}  // namespace imagebuild::fakes
