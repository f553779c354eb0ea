// The last lines of a step's output, for the report of its failure.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace imagebuild::builder {

class LogTail {
 public:
  static constexpr std::size_t kMaxLineBytes = 1000;

  // Pieces of one stream (1 or 2), cut anywhere.
  void add(int stream, std::string_view piece);
  // At most api::kLogTailLines lines, longer ones cut; an unfinished last line counts.
  std::vector<std::string> lines() const;
  void clear();

 private:
  void end_line(std::string& open);
  std::deque<std::string> done_;
  std::string open_[2];
};

}  // namespace imagebuild::builder
