// The parser directives: `# name=value` comments at the very top of a Dockerfile.
#pragma once

#include <string_view>
#include <vector>

#include "dockerfile/lines.h"
#include "dockerfile/parser.h"

namespace imagebuild::dockerfile {

// Reads one line after the other until the first that is no directive.
class DirectiveReader {
 public:
  DirectiveReader(Directives& directives, std::vector<Diagnostic>& errors, std::vector<Diagnostic>& warnings)
      : directives_(directives), errors_(errors), warnings_(warnings) {}

  // Takes the next line of the file (a byte order mark already removed); `at` is its first byte.
  void read(std::string_view line, Position at);
  // Whether a line was no directive, so that none follow.
  bool done() const { return done_; }

 private:
  void set(std::string_view name, const Word& value, Position at);
  void set_escape(const Word& value);
  void set_checks(const Word& value);

  Directives& directives_;
  std::vector<Diagnostic>& errors_;
  std::vector<Diagnostic>& warnings_;
  bool done_ = false;
  bool shebang_ = false;
  std::vector<std::string> seen_;
};

}  // namespace imagebuild::dockerfile
