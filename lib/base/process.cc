#include "base/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/file.h"
#include "base/unique_fd.h"

extern char** environ;

namespace imagebuild {

namespace {

using std::chrono::steady_clock;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno);
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// A descriptor whose content is `text`, at its beginning.
Result<UniqueFd> input_of(const std::string& text) {
  if (text.empty()) return open_file("/dev/null", O_RDONLY);
  UniqueFd fd(::memfd_create("stdin", MFD_CLOEXEC));
  if (!fd.valid()) return system_error("memfd_create", errno);
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t count = ::write(fd.get(), text.data() + at, text.size() - at);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("write the standard input", errno);
    at += static_cast<std::size_t>(count);
  }
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return system_error("lseek", errno);
  return fd;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// What the child does not manage to do, as it tells us through a pipe.
enum class Step : int { kPrepare, kDirectory, kExec };
struct Failure {
  Step step = Step::kPrepare;
  int error = 0;
};

// Everything the child needs, made before the fork: behind it only async-signal-safe calls are allowed.
struct ChildPlan {
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;  // May be null.
  int status_fd = -1;
  pid_t parent = 0;
  std::vector<std::pair<int, int>> fds;  // {here, there}, 0 to 2 included; `here` is overwritten.
};

[[noreturn]] void give_up(const ChildPlan& plan, Step step) {
  const Failure failure{step, errno};
  (void)!::write(plan.status_fd, &failure, sizeof failure);
  ::_exit(127);
}

void close_on_exec_from_3() {
  if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);  // Linux before 5.11.
  const int last = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 65536));
  for (int fd = 3; fd < last; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

[[noreturn]] void become_program(ChildPlan& plan) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(plan, Step::kPrepare);
  if (::getppid() != plan.parent) ::_exit(127);  // It died before the line above.
  // First out of the way of every target, then to the targets.
  int above = 3;
  for (const auto& [here, there] : plan.fds) above = std::max(above, there + 1);
  if (plan.status_fd < above) {
    plan.status_fd = ::fcntl(plan.status_fd, F_DUPFD_CLOEXEC, above);
    if (plan.status_fd < 0) ::_exit(127);
  }
  for (auto& [here, there] : plan.fds) {
    here = ::fcntl(here, F_DUPFD_CLOEXEC, above);
    if (here < 0) give_up(plan, Step::kPrepare);
  }
  close_on_exec_from_3();
  for (const auto& [here, there] : plan.fds) {
    if (::dup2(here, there) < 0) give_up(plan, Step::kPrepare);
  }
  if (plan.directory != nullptr && ::chdir(plan.directory) != 0) give_up(plan, Step::kDirectory);
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.program, plan.argv, plan.environment);
  give_up(plan, Step::kExec);
}

// fork with every signal blocked, so that no handler of ours runs in the child.
pid_t fork_child(ChildPlan& plan) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) become_program(plan);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

// A child that is killed and reaped unless somebody waited for its end.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (reaped_) return;
    signal(SIGKILL);
    wait(0);
  }

  void signal(int number) const { ::kill(pid_, number); }
  bool has_ended() { return reaped_ || wait(WNOHANG); }
  // Readable when the child has ended; -1 before Linux 5.3.
  int pidfd() const { return pidfd_.get(); }
  int exit_status() const { return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_); }

 private:
  bool wait(int flags) {
    pid_t got = 0;
    do {
      got = ::waitpid(pid_, &status_, flags);
    } while (got < 0 && errno == EINTR);
    reaped_ = got != 0;
    return reaped_;
  }
  pid_t pid_;
  UniqueFd pidfd_;
  int status_ = 0;
  bool reaped_ = false;
};

// Watches a running child: moves its output, and ends it when asked to.
class Watch {
 public:
  Watch(const ProcessSpec& spec, Child& child, UniqueFd output, UniqueFd errors, UniqueFd wake)
      : spec_(spec), child_(child), streams_{std::move(output), std::move(errors)}, wake_(std::move(wake)) {}

  Result<ProcessResult> until_end(const std::stop_token& stop) {
    const std::stop_callback wake_up(stop, [this] {
      const std::uint64_t one = 1;
      (void)!::write(wake_.get(), &one, sizeof one);
    });
    while (true) {
      const bool ended = child_.has_ended();  // Before the last look at the pipes, so that nothing is missed.
      for (std::size_t i = 0; i < streams_.size(); ++i) RETURN_IF_ERROR(drain(i));
      if (ended) break;
      if (stop.stop_requested()) end_child();
      RETURN_IF_ERROR(wait_for_news());
    }
    if (asked_to_end_) return Error{ErrorCode::kCancelled, spec_.argv.front() + " was stopped"};
    result_of_run_.exit_status = child_.exit_status();
    return std::move(result_of_run_);
  }

 private:
  void end_child() {
    const steady_clock::time_point now = steady_clock::now();
    if (!asked_to_end_) {
      child_.signal(SIGTERM);
      asked_to_end_ = true;
      kill_at_ = now + spec_.stop_grace;
    }
    if (!killed_ && now >= kill_at_) {
      child_.signal(SIGKILL);
      killed_ = true;
    }
  }

  int timeout_ms() const {
    constexpr int kWithoutPidfd = 50;
    int timeout = child_.pidfd() >= 0 ? -1 : kWithoutPidfd;
    if (asked_to_end_ && !killed_) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(kill_at_ - steady_clock::now()).count();
      const int bounded = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
      timeout = timeout < 0 ? bounded : std::min(timeout, bounded);
    }
    return timeout;
  }

  Status wait_for_news() {
    std::array<pollfd, 4> fds{{{streams_[0].get(), POLLIN, 0},
                               {streams_[1].get(), POLLIN, 0},
                               {child_.pidfd(), POLLIN, 0},
                               {asked_to_end_ ? -1 : wake_.get(), POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), timeout_ms()) < 0 && errno != EINTR) return system_error("poll", errno);
    return ok();
  }

  // Reads what there is now: more than a pipe holds, but an end even if somebody never stops writing. A closed stream
  // is not watched any further.
  Status drain(std::size_t index) {
    constexpr int kPieces = 64;
    UniqueFd& fd = streams_[index];
    for (int pieces = 0; fd.valid() && pieces < kPieces; ++pieces) {
      const ssize_t count = ::read(fd.get(), buffer_.data(), buffer_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return ok();
      if (count < 0) return system_error("read from " + spec_.argv.front(), errno);
      if (count == 0) {
        fd.reset();
        return ok();
      }
      const std::string_view piece(buffer_.data(), static_cast<std::size_t>(count));
      if (spec_.on_output) {
        spec_.on_output(index == 0 ? 1 : 2, piece);
      } else {
        RETURN_IF_ERROR(collect(index, piece));
      }
      if (count < static_cast<ssize_t>(buffer_.size())) return ok();
    }
    return ok();
  }

  Status collect(std::size_t index, std::string_view piece) {
    collected_ += piece.size();
    if (collected_ > spec_.max_output_bytes) {
      return Error{ErrorCode::kLimit,
                   spec_.argv.front() + " printed more than " + std::to_string(spec_.max_output_bytes) + " bytes"};
    }
    (index == 0 ? result_of_run_.stdout_text : result_of_run_.stderr_text).append(piece);
    return ok();
  }

  const ProcessSpec& spec_;
  Child& child_;
  std::array<UniqueFd, 2> streams_;
  UniqueFd wake_;
  std::array<char, 64 * 1024> buffer_;
  std::uint64_t collected_ = 0;
  bool asked_to_end_ = false;
  bool killed_ = false;
  steady_clock::time_point kill_at_;
  ProcessResult result_of_run_;
};

Error start_error(const ProcessSpec& spec, const Failure& failure) {
  switch (failure.step) {
    case Step::kDirectory:
      return system_error(spec.directory, failure.error);
    case Step::kExec:
      if (failure.error == ENOENT) {
        return Error{ErrorCode::kNotFound, spec.argv.front() + ": no such program (or its interpreter is missing)"};
      }
      return system_error(spec.argv.front(), failure.error);
    case Step::kPrepare:
      break;
  }
  return system_error("cannot prepare " + spec.argv.front(), failure.error);
}

Result<std::string> program_of(const ProcessSpec& spec) {
  if (spec.argv.empty()) return Error{ErrorCode::kInternal, "no program to run"};
  if (spec.argv.front().find('/') != std::string::npos) return spec.argv.front();
  if (std::optional<std::string> path = find_in_path(spec.argv.front())) return *path;
  return Error{ErrorCode::kNotFound, spec.argv.front() + ": no such program in PATH"};
}

// Waits until the program runs or the child has said why not.
Status await_exec(const ProcessSpec& spec, const UniqueFd& status) {
  Failure failure;
  ssize_t count = 0;
  do {
    count = ::read(status.get(), &failure, sizeof failure);
  } while (count < 0 && errno == EINTR);
  if (count == 0) return ok();
  if (count < 0) return system_error("read", errno);
  return start_error(spec, failure);
}

}  // namespace

Result<ProcessResult> SystemProcessRunner::run(const ProcessSpec& spec, std::stop_token stop) {
  ASSIGN_OR_RETURN(const std::string program, program_of(spec));
  if (stop.stop_requested()) return Error{ErrorCode::kCancelled, spec.argv.front() + " was stopped"};
  ASSIGN_OR_RETURN(UniqueFd input, input_of(spec.stdin_text));
  ASSIGN_OR_RETURN(Pipe output, make_pipe());
  ASSIGN_OR_RETURN(Pipe errors, make_pipe());
  ASSIGN_OR_RETURN(Pipe status, make_pipe());
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return system_error("eventfd", errno);
  for (const UniqueFd* fd : {&output.read, &errors.read}) {
    if (::fcntl(fd->get(), F_SETFL, O_NONBLOCK) != 0) return system_error("fcntl", errno);
  }

  std::vector<std::string> arguments = spec.argv;
  std::vector<std::string> variables = spec.environment.value_or(std::vector<std::string>{});
  const std::vector<char*> argv = pointers_to(arguments);
  const std::vector<char*> environment = pointers_to(variables);
  ChildPlan plan;
  plan.program = program.c_str();
  plan.argv = argv.data();
  plan.environment = spec.environment ? environment.data() : environ;
  plan.directory = spec.directory.empty() ? nullptr : spec.directory.c_str();
  plan.status_fd = status.write.get();
  plan.parent = ::getpid();
  plan.fds = {{input.get(), 0}, {output.write.get(), 1}, {errors.write.get(), 2}};
  plan.fds.insert(plan.fds.end(), spec.inherited_fds.begin(), spec.inherited_fds.end());

  const pid_t pid = fork_child(plan);
  if (pid < 0) return system_error("fork", errno);
  Child child(pid);
  input.reset();
  output.write.reset();
  errors.write.reset();
  status.write.reset();
  RETURN_IF_ERROR(await_exec(spec, status.read));
  Watch watch(spec, child, std::move(output.read), std::move(errors.read), std::move(wake));
  return watch.until_end(stop);
}

std::optional<std::string> find_in_path(std::string_view program) {
  const auto can_run = [](const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
  };
  const std::string name(program);
  if (name.empty()) return std::nullopt;
  if (name.find('/') != std::string::npos) return can_run(name) ? std::optional(name) : std::nullopt;
  const char* configured = std::getenv("PATH");
  std::string_view folders = configured != nullptr ? configured : "/usr/local/bin:/usr/bin:/bin";
  while (true) {
    const std::size_t colon = folders.find(':');
    const std::string_view folder = folders.substr(0, colon);
    std::string path = std::string(folder.empty() ? "." : folder) + "/" + name;
    if (can_run(path)) return path;
    if (colon == std::string_view::npos) return std::nullopt;
    folders.remove_prefix(colon + 1);
  }
}

}  // namespace imagebuild
