#include "cli/tty_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/overloaded.h"
#include "cli/step_label.h"

namespace imagebuild::cli {

namespace {

constexpr const char* kHideCursor = "\x1b[?25l";
constexpr const char* kShowCursor = "\x1b[?25h";
constexpr const char* kClearLine = "\x1b[K";
constexpr const char* kClearBelow = "\x1b[J";
constexpr const char* kDim = "2";
constexpr const char* kBlue = "34";
constexpr const char* kRed = "31";
constexpr std::size_t kMostTailLines = 6;
constexpr std::size_t kNarrowest = 20;

// What a terminal shows of the text: colours take no columns.
std::size_t visible_columns(const std::string& text) {
  return columns(printable(text));
}

}  // namespace

TerminalSize terminal_size() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return TerminalSize{};
  return TerminalSize{size.ws_col, size.ws_row};
}

TtyView::Work* TtyView::find(Work::Kind kind, int id) {
  const auto found =
      std::ranges::find_if(running_, [&](const Work& work) { return work.kind == kind && work.id == id; });
  return found == running_.end() ? nullptr : &*found;
}

void TtyView::begin(Work::Kind kind, int id, int step, const std::string& label, Elapsed now) {
  Work& work = running_.emplace_back();
  work.kind = kind;
  work.id = id;
  work.step = step;
  work.label = printable(label);
  work.started = now;
}

void TtyView::end(Work::Kind kind, int id, Ending ending, Elapsed now) {
  const Work* const work = find(kind, id);
  if (work == nullptr) return;
  if (kind == Work::Kind::kStep && ending == Ending::kDone) ++steps_done_;
  const std::size_t width = std::max(size_().width, kNarrowest);
  const std::string time = seconds_text(now - work->started);
  switch (ending) {
    case Ending::kDone:
      finished_.push_back(paint(kBlue, line(" => " + work->label, time, width)));
      break;
    case Ending::kCached:
      finished_.push_back(paint(kBlue, line(" => CACHED " + work->label, time, width)));
      break;
    case Ending::kFailed:
      finished_.push_back(paint(kRed, line(" => ERROR " + work->label, time, width)));
      break;
    case Ending::kStopped:
      finished_.push_back(paint(kDim, line(" => CANCELED " + work->label, time, width)));
      break;
  }
  running_.erase(running_.begin() + (work - running_.data()));
}

void TtyView::on_output(Work& work, const api::StepOutput& output) {
  work.lines[output.stream == 2 ? 1 : 0].add(output.data, [&](std::string_view text) {
    work.tail.push_back(printable(text));
    if (work.tail.size() > kMostTailLines) work.tail.pop_front();
  });
}

void TtyView::on_step(int stage, const api::StageEvent& event, Elapsed now) {
  if (plan_ == nullptr) return;
  std::visit(Overloaded{[&](const api::StepStarted& it) {
                          const api::PlanStage& its = plan_->stages[static_cast<std::size_t>(stage)];
                          if (!is_shown(its.steps[static_cast<std::size_t>(it.step)])) return;
                          begin(Work::Kind::kStep, stage, it.step, step_label(*plan_, stage, it.step), now);
                        },
                        [&](const api::StepOutput& it) {
                          Work* const work = find(Work::Kind::kStep, stage);
                          if (work != nullptr && work->step == it.step) on_output(*work, it);
                        },
                        [&](const api::StepDone& it) {
                          const Work* const work = find(Work::Kind::kStep, stage);
                          if (work != nullptr && work->step == it.step) {
                            end(Work::Kind::kStep, stage, it.cached ? Ending::kCached : Ending::kDone, now);
                          }
                        },
                        [](const api::StageDone&) {}},
             event);
}

void TtyView::show(const Event& event, Elapsed now) {
  std::visit(Overloaded{[&](const PlanSolved& it) {
                          plan_ = it.plan;
                          for (const api::PlanStage& stage : plan_->stages) {
                            steps_total_ += static_cast<int>(std::ranges::count_if(stage.steps, is_shown));
                          }
                        },
                        [&](const JobStarted& it) { begin(Work::Kind::kJob, it.job, -1, it.name, now); },
                        [&](const JobProgress& it) {
                          if (Work* const work = find(Work::Kind::kJob, it.job)) {
                            work->done_bytes = it.done_bytes;
                            work->total_bytes = it.total_bytes;
                          }
                        },
                        [&](const JobDone& it) {
                          end(Work::Kind::kJob, it.job, it.cached ? Ending::kCached : Ending::kDone, now);
                        },
                        [&](const JobFailed& it) {
                          end(Work::Kind::kJob, it.job, it.message.empty() ? Ending::kStopped : Ending::kFailed, now);
                        },
                        [&](const StageStarted& it) {
                          if (it.changed.empty()) return;
                          finished_.push_back(" => " + printable(changed_label(*plan_, it.stage, it.changed)));
                        },
                        [&](const StageProgress& it) { on_step(it.stage, it.event, now); },
                        [&](const StageEnded& it) {
                          const bool failed = it.outcome == StageEnded::Outcome::kFailed;
                          end(Work::Kind::kStep, it.stage, failed ? Ending::kFailed : Ending::kStopped, now);
                        },
                        [&](const StageCached& it) { on_cached(it.stage); },
                        [&](const Warning& it) { finished_.push_back("WARNING: " + printable(it.text)); },
                        [](const ImageBuilt&) {}, [](const BuildFailed&) {}},
             event);
}

void TtyView::on_cached(int stage) {
  const std::vector<api::Step>& steps = plan_->stages[static_cast<std::size_t>(stage)].steps;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!is_shown(steps[i])) continue;
    ++steps_done_;
    const std::string label = printable(step_label(*plan_, stage, static_cast<int>(i)));
    finished_.push_back(
        paint(kBlue, line(" => CACHED " + label, seconds_text(Elapsed(0)), std::max(size_().width, kNarrowest))));
  }
}

std::string TtyView::paint(const char* code, const std::string& text) const {
  if (!style_.colours) return text;
  return std::string("\x1b[") + code + "m" + text + "\x1b[0m";
}

// The label on the left and the time on the right of one row; the last column stays free, so nothing wraps.
std::string TtyView::line(const std::string& label, const std::string& time, std::size_t width) const {
  const std::size_t usable = std::max(width, kNarrowest) - 1;
  const std::string left = fitted(label, usable - std::min(usable, time.size() + 1));
  const std::size_t used = columns(left) + time.size();
  return left + std::string(usable > used ? usable - used : 1, ' ') + time;
}

// The last lines of output, and what stands after them: a progress bar's state, a question.
std::vector<std::string> TtyView::shown_tail(const Work& work) {
  std::vector<std::string> tail(work.tail.begin(), work.tail.end());
  for (const LineAssembler& lines : work.lines) {
    if (!lines.partial().empty()) tail.push_back(printable(lines.partial()));
  }
  return tail;
}

// How many rows of output each running step may show.
std::size_t TtyView::tail_rows(std::size_t free_rows) const {
  const auto talking = static_cast<std::size_t>(
      std::ranges::count_if(running_, [](const Work& work) { return !shown_tail(work).empty(); }));
  return talking == 0 ? 0 : std::min(kMostTailLines, free_rows / talking);
}

std::vector<std::string> TtyView::live_lines(Elapsed now, const TerminalSize& size) const {
  std::vector<std::string> lines;
  const std::size_t rows = std::max<std::size_t>(size.height, 4) - 1;
  std::string head = "[+] Building " + seconds_text(now);
  if (steps_total_ > 0) head += " (" + std::to_string(steps_done_) + "/" + std::to_string(steps_total_) + ")";
  lines.push_back(fitted(head, std::max(size.width, kNarrowest) - 1));

  const bool all_fit = running_.size() + 1 <= rows;
  const std::size_t shown = all_fit ? running_.size() : rows - 2;
  const std::size_t tails = all_fit ? tail_rows(rows - 1 - shown) : 0;
  for (std::size_t i = 0; i < shown; ++i) {
    const Work& work = running_[i];
    std::string label = " => " + work.label;
    if (work.total_bytes > 0) label += " " + bytes_text(work.done_bytes) + " / " + bytes_text(work.total_bytes);
    lines.push_back(line(label, seconds_text(now - work.started), size.width));
    const std::vector<std::string> tail = shown_tail(work);
    for (std::size_t j = tail.size() - std::min(tails, tail.size()); j < tail.size(); ++j) {
      lines.push_back(paint(kDim, fitted(" => => " + tail[j], std::max(size.width, kNarrowest) - 1)));
    }
  }
  if (!all_fit) lines.push_back(" => … and " + std::to_string(running_.size() - shown) + " more at work");
  return lines;
}

// One write: up to the first live row, everything over what stands there, the rest cleared.
void TtyView::draw(const std::vector<std::string>& live, const TerminalSize& size) {
  std::string text;
  if (!live.empty() && !cursor_hidden_) {
    text += kHideCursor;
    cursor_hidden_ = true;
  }
  std::size_t rows = 0;  // A terminal that became narrower has wrapped what we drew.
  for (const std::size_t width : drawn_widths_) {
    rows += width == 0 ? 1 : (width + std::max<std::size_t>(size.width, 1) - 1) / std::max<std::size_t>(size.width, 1);
  }
  rows = std::min(rows, size.height - 1);
  if (rows > 0) text += "\x1b[" + std::to_string(rows) + "A\r";
  for (const std::string& it : finished_) text += it + kClearLine + "\n";
  finished_.clear();
  drawn_widths_.clear();
  for (const std::string& it : live) {
    text += it + kClearLine + "\n";
    drawn_widths_.push_back(visible_columns(it));
  }
  text += kClearBelow;
  if (live.empty() && cursor_hidden_) {
    text += kShowCursor;
    cursor_hidden_ = false;
  }
  out_(text);
}

void TtyView::tick(Elapsed now) {
  const TerminalSize size = size_();
  draw(live_lines(now, size), size);
}

void TtyView::finish(Elapsed now) {
  const TerminalSize size = size_();
  std::string head = "[+] Building " + seconds_text(now);
  if (steps_total_ > 0) head += " (" + std::to_string(steps_done_) + "/" + std::to_string(steps_total_) + ")";
  for (Work& work : std::vector<Work>(running_)) end(work.kind, work.id, Ending::kStopped, now);
  finished_.push_back(head);
  draw({}, size);
}

}  // namespace imagebuild::cli
