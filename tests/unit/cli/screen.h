// A small terminal: enough of one to see what the live view leaves on the screen.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace imagebuild::cli {

class Screen {
 public:
  Screen(std::size_t width, std::size_t height) : width_(width), height_(height) {}

  void write(std::string_view text);
  // A terminal that becomes narrower wraps the lines it shows.
  void resize(std::size_t width);
  // The visible lines up to the cursor's, without spaces at their ends.
  std::string text() const { return join(top_); }
  // The same with what has scrolled away.
  std::string everything() const { return join(0); }
  int scrolled_rows() const { return static_cast<int>(top_); }
  bool cursor_is_visible() const { return cursor_is_visible_; }

 private:
  using Line = std::vector<std::string>;  // One cell a character.
  std::string join(std::size_t first) const;
  void put(std::string cell);
  void next_row();
  std::size_t escape(std::string_view text, std::size_t at);

  std::size_t width_;
  std::size_t height_;
  std::vector<Line> lines_ = {{}};
  std::size_t top_ = 0;  // The first visible line.
  std::size_t row_ = 0;
  std::size_t column_ = 0;
  bool cursor_is_visible_ = true;
};

}  // namespace imagebuild::cli
