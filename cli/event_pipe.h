// The pipe through which a stage program tells its events, one JSON object a line.
#pragma once

#include <functional>
#include <optional>
#include <thread>

#include "api/report.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace imagebuild::cli {

class EventPipe {
 public:
  using OnEvent = std::function<void(const api::StageEvent&)>;
  static constexpr std::size_t kMaxLineBytes = 8U << 20;

  // Reads on a thread of its own, which calls `on_event`. The reading end is in this process only: when this process
  // is killed, the writer sees a broken pipe.
  static Result<std::unique_ptr<EventPipe>> open(OnEvent on_event);
  ~EventPipe();
  EventPipe(const EventPipe&) = delete;
  EventPipe& operator=(const EventPipe&) = delete;

  // To be handed to the stage program; closed by finish().
  int write_fd() const { return write_.get(); }
  // When every process that has the writing end is gone: the report, if one came; an error for a broken stream.
  Result<std::optional<api::StageReport>> finish();

 private:
  EventPipe(UniqueFd read, UniqueFd write, OnEvent on_event);
  void read_all();
  Status take_line(std::string_view line);

  UniqueFd read_;
  UniqueFd write_;
  OnEvent on_event_;
  std::optional<api::StageReport> report_;
  Status status_ = ok();
  std::thread thread_;
};

}  // namespace imagebuild::cli
