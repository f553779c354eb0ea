// A place in a Dockerfile.
#pragma once

namespace imagebuild::api {

// Where a step stands in the Dockerfile; line and column count from 1, 0 is "not known".
struct SourceLine {
  int line = 0;
  int column = 0;
  bool operator==(const SourceLine&) const = default;
};

}  // namespace imagebuild::api
