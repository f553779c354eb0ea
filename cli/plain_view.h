// Progress as lines, for logs: every piece of work has a number, its output carries that number.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "cli/progress.h"
#include "cli/terminal_text.h"

namespace imagebuild::cli {

class PlainView final : public View {
 public:
  explicit PlainView(TextSink out) : out_(std::move(out)) {}
  void show(const Event& event, Elapsed now) override;
  void finish(Elapsed now) override;

 private:
  struct Work {
    int number = 0;
    Elapsed started{0};
    std::array<LineAssembler, 2> lines;
    int last_tenth = 0;  // Of its bytes, as far as it was said.
  };
  struct Stage {
    int step = -1;  // Index into PlanStage::steps of what runs; -1: none.
    Work work;
  };

  void begin(Work& work, const std::string& label, Elapsed now);
  void say(const Work& work, const std::string& text);
  void on_step(int stage, const api::StageEvent& event, Elapsed now);
  void on_output(Work& work, const api::StepOutput& output, Elapsed now);
  void end_output(Work& work, Elapsed now);
  void on_cached(int stage, Elapsed now);
  void on_bytes(const JobProgress& progress);

  TextSink out_;
  const api::Plan* plan_ = nullptr;
  std::map<int, Work> jobs_;
  std::map<int, Stage> stages_;
  int numbers_ = 0;
  int last_ = 0;  // Whose line was written last: another one's begins after an empty line.
};

}  // namespace imagebuild::cli
