// imagebuild-stage: carries out one stage of a plan as the first process of the stage's container. Statically linked,
// because the container is made from any image, an empty one included.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <variant>

#include "api/volume.h"
#include "base/file.h"
#include "base/overloaded.h"
#include "builder/stage/stage.h"

namespace {

using namespace imagebuild;

constexpr std::uint64_t kMaxPlanBytes = 256U << 20;

constexpr const char* kHelp =
    R"(imagebuild-stage: carries out one stage of a build plan inside the stage's container

  imagebuild-stage --volume DIR --stage N [--report-fd FD] [--compression gzip|zstd|none] [--threads N]

  --volume DIR        the artifact volume, with plan.json in it
  --stage N           which of the plan's stages, counted from 0
  --report-fd FD      write progress there, one JSON object a line, instead of the output of commands to 1 and 2;
                      the program ends when nobody reads it any more
  --compression KIND  of the layers: gzip (default), zstd or none
  --threads N         for compression; 0 (default): one for each CPU
  --help, --version

Exit status: 0 done, 1 the build's own fault, 2 wrong arguments, 3 the machine's fault; report.json says more.
)";

struct Arguments {
  builder::StageJob job;
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
  Signals() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGTERM);
    ::sigaddset(&signals_, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
  }
  void watch() {
    std::thread([this] {
      int signal = 0;
      if (::sigwait(&signals_, &signal) == 0) stop.request_stop();
      if (::sigwait(&signals_, &signal) == 0) stop_now.request_stop();
    }).detach();
  }
  std::stop_source stop, stop_now;

 private:
  sigset_t signals_ = {};
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

int run(Arguments& arguments, Signals& signals) {
  const auto text = read_file(arguments.job.volume / api::volume::kPlan, kMaxPlanBytes);
  if (!text.ok()) return fail(Error{ErrorCode::kInternal, text.error().message});
  const auto plan = api::Plan::parse(*text);
  if (!plan.ok()) return fail(plan.error());
  if (static_cast<std::size_t>(arguments.job.stage) >= plan->stages.size()) {
    return usage("the plan has no stage " + std::to_string(arguments.job.stage));
  }
  struct stat stat = {};
  const int fd = arguments.report_fd;
  if (fd >= 0) {
    if (::fstat(fd, &stat) != 0) return usage("the descriptor " + std::to_string(fd) + " is not open");
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (!S_ISREG(stat.st_mode)) end_with_reader(fd);
    arguments.job.on_event = [fd](const api::StageEvent& event) { write_or_end(fd, api::event_json(event) + "\n"); };
  } else {
    arguments.job.on_event = [&](const api::StageEvent& event) { show(*plan, arguments.job.stage, event); };
  }
  arguments.job.stop_now = signals.stop_now.get_token();
  const bool needs_container = plan->stages[static_cast<std::size_t>(arguments.job.stage)].needs_container;
  const auto work = needs_container ? builder::run_stage : builder::compute_stage;
  const auto report = work(*plan, arguments.job, signals.stop.get_token());
  if (!report.ok()) return fail(report.error());
  if (!report->failure) return kExitOk;
  return Error{api::parse_error_code(report->failure->code), ""}.exit_status();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (const auto status = parse(argc, argv, arguments)) return *status;
  static Signals signals;  // Its thread may outlive main().
  signals.watch();
  const int status = run(arguments, signals);
  // Without destructors of statics: the threads above still wait.
  ::_exit(status);
}
