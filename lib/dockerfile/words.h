// How the arguments of an instruction are cut into words and flags; BuildKit's three ways.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dockerfile/lines.h"

namespace imagebuild::dockerfile {

// At blanks alone: quotes mean nothing (FROM, EXPOSE, COPY, ADD, VOLUME).
std::vector<Word> split_at_blanks(const Piece& piece);

// At blanks outside quotes; quotes and escapes stay in the words (ENV, LABEL, ARG).
std::vector<Word> split_words(const Piece& piece, char escape);

// `--name[=value]`, its quotes and backslash escapes already removed.
struct Flag {
  std::string name;
  bool has_value = false;
  std::string value;
  Position at;                     // Of the first dash.
  std::vector<Position> value_at;  // Of each byte of the value and of its end.
};

// A line: its keyword, the flags behind it up to the first word without two dashes, and the rest.
struct SplitLine {
  Piece keyword;
  std::vector<Flag> flags;
  Piece arguments;  // Trimmed.
  Piece rest;       // Everything behind the keyword, flags included; trimmed.
};
SplitLine split_line(const Piece& line);

}  // namespace imagebuild::dockerfile
