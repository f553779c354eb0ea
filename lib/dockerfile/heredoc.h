// Which words of a line begin a heredoc.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "dockerfile/instruction.h"
#include "dockerfile/lines.h"

namespace imagebuild::dockerfile {

// `[fd]<<[-]NAME`, where quotes around any part of NAME mean that the content is not expanded; the content is not
// filled in. Nothing for any other word, `<<<text` among them.
std::optional<Heredoc> parse_heredoc_word(std::string_view word);

// Every heredoc that the line begins, in order. Words end at blanks outside quotes and outside ${…}; a line whose
// quotes are not closed has none. Escapes are backslashes whatever the escape directive says, as in BuildKit.
std::vector<Heredoc> find_heredocs(const Piece& line);

}  // namespace imagebuild::dockerfile
