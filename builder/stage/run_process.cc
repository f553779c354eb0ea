#include "builder/stage/run_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>

#include "base/unique_fd.h"
#include "builder/stage/descendants.h"

namespace imagebuild::builder {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr auto kGrace = 10s;          // Between SIGTERM and SIGKILL.
constexpr auto kLongestCleanUp = 5s;  // For killed processes to go; one in the kernel's hands may stay.
constexpr std::size_t kPieceBytes = 64 * 1024;

std::atomic<int> child_ended_fd = -1;  // What the signal handler writes to.

void wake(int fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof(one));
}

void on_child_signal(int) {
  const int saved = errno;
  if (const int fd = child_ended_fd.load(); fd >= 0) wake(fd);
  errno = saved;
}

// Lets SIGCHLD wake a poll for as long as it lives.
class ChildSignal {
 public:
  explicit ChildSignal(int wake_fd) {
    child_ended_fd = wake_fd;
    struct sigaction action = {};
    action.sa_handler = on_child_signal;
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    ::sigaction(SIGCHLD, &action, &before_);
  }
  ChildSignal(const ChildSignal&) = delete;
  ChildSignal& operator=(const ChildSignal&) = delete;
  ~ChildSignal() {
    ::sigaction(SIGCHLD, &before_, nullptr);
    child_ended_fd = -1;
  }

 private:
  struct sigaction before_ = {};
};

struct Pipe {
  UniqueFd read, write;
  static Result<Pipe> create() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot make a pipe", errno);
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

// An image may have no /dev at all; a pipe that nobody writes to is as empty.
Result<UniqueFd> empty_input() {
  UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null.valid()) return null;
  ASSIGN_OR_RETURN(Pipe pipe, Pipe::create());
  return std::move(pipe.read);
}

class Running {
 public:
  Running(const std::function<void(int, std::string_view)>& on_output, std::stop_token stop, std::stop_token stop_now)
      : on_output_(on_output), stop_(std::move(stop)), stop_now_(std::move(stop_now)) {}

  Result<RunOutcome> run(const RunChild& child) {
    wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_.valid()) return system_error("cannot watch a process", errno);
    const ChildSignal signal(wake_.get());
    const std::stop_callback on_stop(stop_, [this] { wake(wake_.get()); });
    const std::stop_callback on_stop_now(stop_now_, [this] { wake(wake_.get()); });
    is_init_ = ::getpid() == 1;
    if (!is_init_) ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    RETURN_IF_ERROR(start(child));
    watch();
    end_the_rest();
    while (read_some(out_, 1) || read_some(err_, 2)) {
    }
    if (stop_.stop_requested() || stop_now_.stop_requested()) {
      return Error{ErrorCode::kCancelled, "the build was stopped"};
    }
    return outcome();
  }

 private:
  Status start(const RunChild& child) {
    ASSIGN_OR_RETURN(Pipe out, Pipe::create());
    ASSIGN_OR_RETURN(Pipe err, Pipe::create());
    ASSIGN_OR_RETURN(Pipe failure, Pipe::create());
    ASSIGN_OR_RETURN(const UniqueFd in, empty_input());
    pid_ = ::fork();
    if (pid_ < 0) return system_error("cannot start a process", errno);
    if (pid_ == 0) become(child, in.get(), out.write.get(), err.write.get(), failure.write.get());
    out_ = std::move(out.read);
    err_ = std::move(err.read);
    failure_ = std::move(failure.read);
    for (const UniqueFd* fd : {&out_, &err_, &failure_}) ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
    return imagebuild::ok();
  }

  void watch() {
    while (!ended_) {
      std::array<struct pollfd, 3> fds = {{{wake_.get(), POLLIN, 0}, {out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}}};
      ::poll(fds.data(), fds.size(), 1000);
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t size = ::read(wake_.get(), &count, sizeof(count));
      read_some(out_, 1);
      read_some(err_, 2);
      reap();
      obey();
    }
  }

  // Reads one piece; false when there is nothing more for now. A stream whose writers are gone is closed.
  bool read_some(UniqueFd& fd, int stream) {
    if (!fd.valid()) return false;
    const ssize_t size = ::read(fd.get(), buffer_->data(), buffer_->size());
    if (size > 0) {
      on_output_(stream, std::string_view(buffer_->data(), static_cast<std::size_t>(size)));
      return true;
    }
    if (size == 0) fd.reset();
    return size < 0 && errno == EINTR;
  }

  // Takes every process that has ended: orphans come to PID 1 and to a subreaper. False when there are no more at all.
  bool reap() {
    while (true) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, WNOHANG);
      if (pid < 0 && errno == EINTR) continue;
      if (pid <= 0) return pid == 0;
      if (pid == pid_) {
        ended_ = true;
        status_ = status;
      }
    }
  }

  void obey() {
    if (ended_ || !(stop_.stop_requested() || stop_now_.stop_requested())) return;
    if (!kill_at_) {
      ::kill(-pid_, SIGTERM);
      kill_at_ = Steady::now() + kGrace;
    }
    if (stop_now_.stop_requested() || Steady::now() >= *kill_at_) ::kill(-pid_, SIGKILL);
  }

  void end_the_rest() {
    const auto until = Steady::now() + kLongestCleanUp;
    while (Steady::now() < until) {
      if (is_init_) {
        ::kill(-1, SIGKILL);
      } else {
        kill_descendants();
      }
      if (!reap()) return;
      struct pollfd fd = {wake_.get(), POLLIN, 0};
      ::poll(&fd, 1, 20);
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t size = ::read(wake_.get(), &count, sizeof(count));
      // A killed process may wait to write what nobody reads.
      read_some(out_, 1);
      read_some(err_, 2);
    }
  }

  RunOutcome outcome() const {
    RunOutcome outcome;
    if (WIFSIGNALED(status_)) {
      outcome.signal = WTERMSIG(status_);
      outcome.exit_status = 128 + outcome.signal;
    } else {
      outcome.exit_status = WEXITSTATUS(status_);
    }
    RunChildFailure failure;
    if (::read(failure_.get(), &failure, sizeof(failure)) == static_cast<ssize_t>(sizeof(failure))) {
      outcome.failure = failure;
    }
    return outcome;
  }

  const std::function<void(int, std::string_view)>& on_output_;
  std::stop_token stop_, stop_now_;
  UniqueFd wake_, out_, err_, failure_;
  std::unique_ptr<std::array<char, kPieceBytes>> buffer_ = std::make_unique<std::array<char, kPieceBytes>>();
  pid_t pid_ = -1;
  bool is_init_ = false;
  bool ended_ = false;
  int status_ = 0;
  std::optional<Steady::time_point> kill_at_;
};

}  // namespace

Result<RunOutcome> run_process(const RunChild& child, const std::function<void(int, std::string_view)>& on_output,
                               std::stop_token stop, std::stop_token stop_now) {
  return Running(on_output, std::move(stop), std::move(stop_now)).run(child);
}

bool can_mount_privately() {
  const pid_t pid = ::fork();
  if (pid < 0) return false;
  if (pid == 0) {
    // The whole way, as a security module may forbid mounts to whoever has the capability for them.
    const bool works = ::unshare(CLONE_NEWNS) == 0 &&
                       ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                       ::mount("tmpfs", "/", "tmpfs", 0, "size=4k") == 0;
    ::_exit(works ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace imagebuild::builder
