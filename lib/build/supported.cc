#include "build/supported.h"

#include <variant>

namespace imagebuild::build {

Status check_supported(const dockerfile::Instruction& instruction, std::string_view file) {
  const auto* run = std::get_if<dockerfile::Run>(&instruction.command);
  if (run == nullptr) return ok();
  const auto refuse = [&](dockerfile::Position at, const char* why) {
    return dockerfile::located_error(file, at, why, ErrorCode::kUnsupported);
  };
  if (run->security != dockerfile::Security::kSandbox) {
    return refuse(run->security_word ? run->security_word->at : instruction.at,
                  "RUN --security=insecure is not supported: no step gets more rights than its container has; remove "
                  "the flag");
  }
  if (!run->devices.empty()) {
    return refuse(run->devices.front().at,
                  "RUN --device is not supported: no device of the machine is given to a step; remove the flag");
  }
  return ok();
}

}  // namespace imagebuild::build
