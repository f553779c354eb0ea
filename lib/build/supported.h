// What of the Dockerfile language no isolation of ours can honour.
#pragma once

#include <string_view>

#include "base/result.h"
#include "dockerfile/instruction.h"

namespace imagebuild::build {

// kUnsupported, located in `file`, with what to do instead; ok for everything that is executed.
Status check_supported(const dockerfile::Instruction& instruction, std::string_view file);

}  // namespace imagebuild::build
