// "did you mean …?"
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace imagebuild {

// The candidate that a person who typed `word` most likely meant: the smallest edit distance (Damerau-Levenshtein,
// ignoring ASCII case), one name being the beginning of the other counting as near. Nothing when none is near.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace imagebuild
