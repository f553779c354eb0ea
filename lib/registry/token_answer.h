// What a token server answers (distribution's token specification, "Token Response Fields").
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace imagebuild::registry {

struct TokenAnswer {
  std::string token;
  std::string refresh_token;  // A new identity token that replaces the one sent, or empty.
  WallTime expires;
};

// Nothing when the text is no such answer. A lifetime that is not given is 60 s; issued_at counts only if it lies in
// the lifetime that ends now (a clock that goes wrong must not make every token look expired).
std::optional<TokenAnswer> parse_token_answer(std::string_view json, WallTime now);

}  // namespace imagebuild::registry
