// What git's error output means for the user.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace imagebuild::builder {

// `hint` says what somebody can do whom `host` asks for credentials; empty: they were given. The message has git's own
// words too, at most 300 bytes of them. kDenied, kNotFound, kUnavailable (also for what is not known), kExhausted.
Error git_failure(std::string_view stderr_text, const std::string& host, std::string_view hint);

}  // namespace imagebuild::builder
