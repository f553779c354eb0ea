// A Dockerfile and its graph as text, for the golden tests: every field, every word with its position.
#pragma once

#include <string>

#include "dockerfile/graph.h"
#include "dockerfile/parser.h"

namespace imagebuild::dockerfile {

std::string dump(const Instruction& instruction, int indent = 0);
std::string dump(const Dockerfile& dockerfile);
std::string dump(const Dockerfile& dockerfile, const Graph& graph);

// Control characters and quotes as escapes, in double quotes.
std::string quoted(std::string_view text);

}  // namespace imagebuild::dockerfile
