// The words that a plan's JSON has for enumerators, in their order.
#pragma once

#include <array>

namespace imagebuild::api {

inline constexpr std::array<const char*, 3> kSharingNames = {"shared", "private", "locked"};
inline constexpr std::array<const char*, 3> kNetworkNames = {"default", "none", "host"};

}  // namespace imagebuild::api
