// Progress on a terminal: what is finished scrolls away, what runs is redrawn in place below it.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "cli/progress.h"
#include "cli/terminal_text.h"

namespace imagebuild::cli {

struct TerminalSize {
  std::size_t width = 80;
  std::size_t height = 24;
};
// Of the terminal behind standard error.
TerminalSize terminal_size();

struct TtyStyle {
  bool colours = true;  // Off where NO_COLOR is set.
};

class TtyView final : public View {
 public:
  TtyView(TextSink out, std::function<TerminalSize()> size, TtyStyle style)
      : out_(std::move(out)), size_(std::move(size)), style_(style) {}
  void show(const Event& event, Elapsed now) override;
  // Draws; events alone never do, so output that comes fast costs nothing and nothing flickers.
  void tick(Elapsed now) override;
  void finish(Elapsed now) override;

 private:
  // A line of the live part: a job, or a stage's running step.
  struct Work {
    enum class Kind { kJob, kStep };
    Kind kind = Kind::kJob;
    int id = 0;     // Job or stage.
    int step = -1;  // Of a stage.
    std::string label;
    Elapsed started{0};
    std::uint64_t done_bytes = 0, total_bytes = 0;
    std::array<LineAssembler, 2> lines;
    std::deque<std::string> tail;
  };
  enum class Ending { kDone, kCached, kFailed, kStopped };

  Work* find(Work::Kind kind, int id);
  void begin(Work::Kind kind, int id, int step, const std::string& label, Elapsed now);
  void end(Work::Kind kind, int id, Ending ending, Elapsed now);
  void on_step(int stage, const api::StageEvent& event, Elapsed now);
  void on_cached(int stage);
  void on_output(Work& work, const api::StepOutput& output);
  std::string line(const std::string& label, const std::string& time, std::size_t width) const;
  std::string paint(const char* code, const std::string& text) const;
  std::vector<std::string> live_lines(Elapsed now, const TerminalSize& size) const;
  static std::vector<std::string> shown_tail(const Work& work);
  std::size_t tail_rows(std::size_t free_rows) const;
  void draw(const std::vector<std::string>& live, const TerminalSize& size);

  TextSink out_;
  std::function<TerminalSize()> size_;
  TtyStyle style_;
  const api::Plan* plan_ = nullptr;
  std::vector<Work> running_;
  std::vector<std::string> finished_;      // To be written once, above the live part.
  std::vector<std::size_t> drawn_widths_;  // The live lines on the screen, in columns.
  int steps_done_ = 0;
  int steps_total_ = 0;
  bool cursor_hidden_ = false;
};

}  // namespace imagebuild::cli
