// Errors about a Dockerfile, with the line that they speak of.
#pragma once

#include <string>

#include "base/error.h"
#include "dockerfile/location.h"

namespace imagebuild::builder {

// The error with the line of the Dockerfile it speaks of, if it begins with a place in it. `file` is the Dockerfile's
// name in messages, `source` its text.
inline Error with_excerpt(const Error& error, const std::string& file, const std::string& source) {
  std::string text = dockerfile::render(file, source, error);
  while (text.ends_with('\n')) text.pop_back();
  return Error{error.code, std::move(text)};
}

}  // namespace imagebuild::builder
