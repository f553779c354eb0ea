// Paths inside archives and trees: relative, '/' between parts, no empty, "." or ".." part; "" is the root.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace imagebuild::archive {

// Whether `path` has the form above and no NUL byte.
bool is_clean_path(std::string_view path);

// The clean form of a path as an archive writes it: leading slashes, "." parts and double slashes are dropped.
// A ".." part or a NUL byte is kCorrupt.
Result<std::string> clean_path(std::string_view path);

// The number of parts; 0 for the root.
std::size_t path_depth(std::string_view path);

// The folder and the last name of a clean path: "a/b/c" → ("a/b", "c"), "a" → ("", "a").
std::pair<std::string_view, std::string_view> split_path(std::string_view path);

// "a" and "b" → "a/b"; either may be the root.
std::string join_path(std::string_view folder, std::string_view name);

// Whether `path` lies below `folder` and is not `folder` itself.
bool is_below(std::string_view path, std::string_view folder);

// Takes the first part off `rest` ("a/b" → "a", leaving "b"; slashes around it go too); "" when nothing is left.
std::string_view take_part(std::string_view& rest);

}  // namespace imagebuild::archive
