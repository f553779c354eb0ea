// What parses but is not executed yet: refused with a place and a way out, never ignored.
#pragma once

#include <string_view>

#include "base/result.h"
#include "dockerfile/instruction.h"

namespace imagebuild::build {

// kUnsupported, located in `file`, for the first part of the instruction that this version does not execute.
Status check_supported(const dockerfile::Instruction& instruction, std::string_view file);

}  // namespace imagebuild::build
