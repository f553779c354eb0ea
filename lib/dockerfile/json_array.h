// The JSON form of instructions: ["a", "b"].
#pragma once

#include <vector>

#include "dockerfile/lines.h"

namespace imagebuild::dockerfile {

struct JsonArray {
  enum class Kind {
    kNotJson,     // Not a JSON array: Docker takes the text as the shell form.
    kNotStrings,  // An array that holds something that is not a string: an error, at `bad`.
    kStrings,
  };
  Kind kind = Kind::kNotJson;
  std::vector<Word> words;  // Escapes decoded; each at its opening quote.
  Position bad;
};

// `piece` is the whole text behind the flags, trimmed. Nesting deeper than 1000 counts as no JSON.
JsonArray parse_json_array(const Piece& piece);

}  // namespace imagebuild::dockerfile
