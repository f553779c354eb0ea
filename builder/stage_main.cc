// imagebuild-stage: carries out one stage of a plan as the first process of the stage's container. Statically linked,
// because the container is made from any image, an empty one included.
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <variant>

#include "api/volume.h"
#include "base/file.h"
#include "base/overloaded.h"
#include "base/stop_signals.h"
#include "base/unique_fd.h"
#include "builder/report/reporter.h"
#include "builder/stage/stage.h"
#include "builder/stage/wait_for_stages.h"

namespace {

using namespace imagebuild;

constexpr std::uint64_t kMaxPlanBytes = 256U << 20;

constexpr const char* kHelp =
    R"(imagebuild-stage: carries out one stage of a build plan inside the stage's container

  imagebuild-stage --volume DIR --stage N [--report-fd FD] [--compression gzip|zstd|none] [--threads N]
                  [--wait]

  --volume DIR        the artifact volume, with plan.json in it
  --stage N           which of the plan's stages, counted from 0
  --report-fd FD      write progress there, one JSON object a line, instead of the output of commands to 1 and 2;
                      the program ends when nobody reads it any more. Without it the operator is told
  --compression KIND  of the layers: gzip (default), zstd or none
  --threads N         for compression; 0 (default): one for each CPU
  --wait              until the stages that this one needs have left their reports on the volume
  --help, --version

Without --report-fd it tells how it goes: to IMAGEBUILD_REPORT_URL (http and an IP address; with the bearer token
IMAGEBUILD_REPORT_TOKEN), if set, and in /dev/termination-log, if there is one.

Exit status: 0 done, 1 the build's own fault, 2 wrong arguments, 3 the machine's fault; report.json says more.
Stopped by SIGTERM or SIGINT: 143 or 130, and nothing is told; 3 with --report-fd.
)";

struct Arguments {
  builder::StageJob job;
  bool wait = false;
  int report_fd = -1;
};

int usage(const std::string& message) {
  const std::string line = "imagebuild-stage: " + message + "; see --help\n";
  [[maybe_unused]] const ssize_t written = ::write(2, line.data(), line.size());
  return kExitUsage;
}

template <class T>
bool parse_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_compression(std::string_view text, archive::Compression& compression) {
  if (text == "gzip")
    compression = archive::Compression::kGzip;
  else if (text == "zstd")
    compression = archive::Compression::kZstd;
  else if (text == "none")
    compression = archive::Compression::kNone;
  else
    return false;
  return true;
}

// An exit status when the program is to end here.
std::optional<int> parse(int argc, char** argv, Arguments& arguments) {
  bool has_stage = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--help") return ::write(1, kHelp, std::strlen(kHelp)) < 0 ? kExitInfrastructure : kExitOk;
    if (name == "--version") {
      const std::string line = std::string("imagebuild-stage ") + IMAGEBUILD_VERSION + "\n";
      return ::write(1, line.data(), line.size()) < 0 ? kExitInfrastructure : kExitOk;
    }
    if (name == "--wait") {
      arguments.wait = true;
      continue;
    }
    if (i + 1 >= argc) return usage("'" + std::string(name) + "' is unknown or lacks its value");
    const std::string_view value = argv[++i];
    bool good = false;
    if (name == "--volume")
      good = value.starts_with('/') && !(arguments.job.volume = value).empty();
    else if (name == "--stage")
      good = has_stage = parse_number(value, arguments.job.stage) && arguments.job.stage >= 0;
    else if (name == "--report-fd")
      good = parse_number(value, arguments.report_fd) && arguments.report_fd >= 0;
    else if (name == "--compression")
      good = parse_compression(value, arguments.job.compression);
    else if (name == "--threads")
      good = parse_number(value, arguments.job.threads);
    else
      return usage("unknown option '" + std::string(name) + "'");
    if (!good) return usage("'" + std::string(value) + "' is not a value for " + std::string(name));
  }
  if (arguments.job.volume.empty() || !has_stage) return usage("--volume and --stage are needed");
  return std::nullopt;
}

// All of it, or whoever reads is gone: then nobody wants the stage any more, and as PID 1 our end is everybody's.
void write_or_end(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {
      struct pollfd poll_fd = {fd, POLLOUT, 0};
      ::poll(&poll_fd, 1, -1);
      continue;
    }
    if (written < 0) ::_exit(kExitInfrastructure);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void show(const api::Plan& plan, int stage, const api::StageEvent& event) {
  const api::PlanStage& what = plan.stages[static_cast<std::size_t>(stage)];
  const auto heading = [&](int step) {
    return "[" + what.name + " " + std::to_string(step + 1) + "/" + std::to_string(what.steps.size()) + "] ";
  };
  std::visit(Overloaded{
                 [&](const api::StepStarted& started) {
                   const auto& step = what.steps[static_cast<std::size_t>(started.step)];
                   write_or_end(1, heading(started.step) + step.text + "\n");
                 },
                 [&](const api::StepOutput& output) { write_or_end(output.stream == 2 ? 2 : 1, output.data); },
                 [&](const api::StepDone&) {},
                 [&](const api::StageDone& done) {
                   if (!done.report.failure) return;
                   const api::Failure& failure = *done.report.failure;
                   const std::string where = api::place(plan, failure.at);
                   write_or_end(2, where + ": stage '" + failure.stage + "': " + failure.message + "\n");
                 },
             },
             event);
}

// SIGTERM and SIGINT ask to stop; the second one insists.
class Signals {
 public:
  Signals() { block_stop_signals(); }
  void watch() {
    watch_stop_signals([this](int signal, bool is_first) {
      if (is_first) number = signal;
      (is_first ? stop : stop_now).request_stop();
    });
  }
  std::stop_source stop, stop_now;
  std::atomic<int> number = 0;  // Of the first signal, once `stop` is requested.
};

// Ends the program as soon as the other end of the report's pipe or socket is closed.
void end_with_reader(int fd) {
  std::thread([fd] {
    while (true) {
      struct pollfd poll_fd = {fd, 0, 0};
      if (::poll(&poll_fd, 1, -1) > 0 && (poll_fd.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        ::_exit(kExitInfrastructure);
      }
    }
  }).detach();
}

int fail(const Error& error) {
  const std::string line = "imagebuild-stage: " + error.message + "\n";
  [[maybe_unused]] const ssize_t written = ::write(2, line.data(), line.size());
  return error.exit_status();
}

Result<api::Plan> read_plan(const std::filesystem::path& volume) {
  auto text = read_file(volume / api::volume::kPlan, kMaxPlanBytes);
  if (!text.ok()) return Error{ErrorCode::kInternal, text.error().message};
  return api::Plan::parse(*text);
}

// Holds the stage's folder by an exclusive flock(2) until this process is gone, whatever ends it: a container beside
// this one waits for that, and looks from time to time, for a moment only. The file says that the stage has begun. On a
// volume without locks nobody waits.
void hold_folder(const builder::StageJob& job) {
  constexpr int kTries = 100;
  const std::filesystem::path folder = job.volume / api::volume::stage_folder(job.stage);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  for (int i = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK || i == kTries) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const UniqueFd begun(::open((folder / "begun").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

// The stage's work and its end, shown to people and told to the operator.
class Work {
 public:
  Work(Arguments& arguments, Signals& signals, builder::Reporter* reporter)
      : arguments_(arguments), signals_(signals), reporter_(reporter) {}

  int run() {
    const auto plan = read_plan(arguments_.job.volume);
    if (!plan.ok()) return end_with(plan.error());
    if (static_cast<std::size_t>(arguments_.job.stage) >= plan->stages.size()) {
      const Error error{ErrorCode::kInternal, "the plan has no stage " + std::to_string(arguments_.job.stage)};
      tell_failure(error);
      return usage(error.message);
    }
    stage_ = &plan->stages[static_cast<std::size_t>(arguments_.job.stage)];
    if (arguments_.report_fd < 0) {
      arguments_.job.on_event = [&](const api::StageEvent& event) {
        show(*plan, arguments_.job.stage, event);
        tell_progress(event);
      };
    } else if (const auto status = write_events()) {
      return *status;
    }
    if (arguments_.wait) {
      const Status waited = builder::wait_for_stages(arguments_.job.volume, stage_->needs, signals_.stop.get_token());
      if (!waited.ok()) return end_with(waited.error());
    }
    arguments_.job.stop_now = signals_.stop_now.get_token();
    const auto work = stage_->needs_container ? builder::run_stage : builder::compute_stage;
    const auto report = work(*plan, arguments_.job, signals_.stop.get_token());
    return report.ok() ? end_with(*report) : end_with(report.error());
  }

 private:
  // An exit status when the descriptor is not good for it.
  std::optional<int> write_events() {
    const int fd = arguments_.report_fd;
    struct stat stat = {};
    if (::fstat(fd, &stat) != 0) return usage("the descriptor " + std::to_string(fd) + " is not open");
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (!S_ISREG(stat.st_mode)) end_with_reader(fd);
    arguments_.job.on_event = [fd](const api::StageEvent& event) { write_or_end(fd, api::event_json(event) + "\n"); };
    return std::nullopt;
  }

  void tell_progress(const api::StageEvent& event) {
    const auto* started = std::get_if<api::StepStarted>(&event);
    if (started == nullptr) return;
    told_.step = started->step;
    if (reporter_ != nullptr) reporter_->progress(told_);
  }

  void tell_failure(const Error& error) {
    api::Failure failure;
    if (stage_ != nullptr) {
      failure.stage = stage_->name;
      failure.at = stage_->at;
    }
    failure.code = std::string(api::error_code_name(error.code));
    failure.message = error.message;
    told_.failure = std::move(failure);
    if (reporter_ != nullptr) reporter_->finish(told_, false);
  }

  // Whoever stopped the stage knows that it did not come to its own end; nothing is told then.
  std::optional<int> stopped() const {
    if (reporter_ == nullptr || !signals_.stop.stop_requested()) return std::nullopt;
    return 128 + signals_.number;
  }

  int end_with(const Error& error) {
    const int status = fail(error);
    if (const auto stop_status = stopped()) return *stop_status;
    tell_failure(error);
    return status;
  }

  int end_with(const api::StageReport& report) {
    if (report.failure) {
      if (const auto stop_status = stopped()) return *stop_status;
    }
    told_.done = !report.failure;
    told_.failure = report.failure;
    told_.export_bytes = report.export_bytes;
    if (reporter_ != nullptr) reporter_->finish(told_, false);
    if (!report.failure) return kExitOk;
    return Error{api::parse_error_code(report.failure->code), ""}.exit_status();
  }

  Arguments& arguments_;
  Signals& signals_;
  builder::Reporter* reporter_;  // Null: somebody reads --report-fd.
  const api::PlanStage* stage_ = nullptr;
  api::Told told_;
};

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (const auto status = parse(argc, argv, arguments)) return *status;
  static Signals signals;  // Its thread may outlive main().
  const auto reporter = arguments.report_fd < 0 ? builder::Reporter::from_environment() : nullptr;
  signals.watch();
  if (arguments.report_fd < 0) hold_folder(arguments.job);
  const int status = Work(arguments, signals, reporter.get()).run();
  // Without destructors of statics: the threads above still wait.
  ::_exit(status);
}
