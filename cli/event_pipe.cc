#include "cli/event_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

namespace imagebuild::cli {

Result<std::unique_ptr<EventPipe>> EventPipe::open(OnEvent on_event) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno);
  return std::unique_ptr<EventPipe>(new EventPipe(UniqueFd(ends[0]), UniqueFd(ends[1]), std::move(on_event)));
}

EventPipe::EventPipe(UniqueFd read, UniqueFd write, OnEvent on_event)
    : read_(std::move(read)),
      write_(std::move(write)),
      on_event_(std::move(on_event)),
      thread_([this] { read_all(); }) {}

EventPipe::~EventPipe() {
  (void)finish();
}

Result<std::optional<api::StageReport>> EventPipe::finish() {
  write_.reset();
  if (thread_.joinable()) thread_.join();
  if (!status_.ok()) return status_.error();
  return report_;
}

Status EventPipe::take_line(std::string_view line) {
  if (line.empty()) return ok();
  ASSIGN_OR_RETURN(const api::StageEvent event, api::parse_event(line).in("what the stage program reports"));
  if (const auto* done = std::get_if<api::StageDone>(&event)) report_ = done->report;
  on_event_(event);
  return ok();
}

void EventPipe::read_all() {
  std::string text;
  std::vector<char> buffer(64 * 1024);
  while (true) {
    const ssize_t count = ::read(read_.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && status_.ok()) status_ = system_error("read the stage program's report", errno);
    if (count <= 0) return;
    if (!status_.ok()) continue;  // Keep reading, so that the stage program is not held up.
    text.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos && status_.ok(); end = text.find('\n', begin)) {
      status_ = take_line(std::string_view(text).substr(begin, end - begin));
      begin = end + 1;
    }
    text.erase(0, begin);
    if (text.size() > kMaxLineBytes) {
      status_ = Error{ErrorCode::kLimit, "the stage program reports a line that is too long"};
      text.clear();
    }
  }
}

}  // namespace imagebuild::cli
