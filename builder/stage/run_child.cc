#include "builder/stage/run_child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "builder/stage/capabilities.h"

namespace imagebuild::builder {
namespace {

constexpr int kFailureFd = 3;

void reset_signals() {
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_from(unsigned first) {
  if (::syscall(SYS_close_range, first, ~0U, 0U) == 0) return;
  struct rlimit limit = {};  // Linux before 5.9.
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t end = limit.rlim_cur < 65536 ? limit.rlim_cur : 65536;
  for (rlim_t fd = first; fd < end; ++fd) ::close(static_cast<int>(fd));
}

// 0, 1 and 2 are the standard streams, 3 the failure pipe, which closes itself when the program starts.
bool arrange_descriptors(int in, int out, int err, int failure_fd) {
  // Out of the way first: any of them may be where another has to go.
  const int high_in = ::fcntl(in, F_DUPFD_CLOEXEC, 16);
  const int high_out = ::fcntl(out, F_DUPFD_CLOEXEC, 16);
  const int high_err = ::fcntl(err, F_DUPFD_CLOEXEC, 16);
  const int high_failure = ::fcntl(failure_fd, F_DUPFD_CLOEXEC, 16);
  if (::dup2(high_in, 0) < 0 || ::dup2(high_out, 1) < 0 || ::dup2(high_err, 2) < 0) return false;
  if (::dup3(high_failure, kFailureFd, O_CLOEXEC) < 0) return false;
  close_from(kFailureFd + 1);
  return true;
}

int write_file(const RunFile& file) {
  const int fd = ::open(file.staged.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  for (std::size_t at = 0; at < file.content.size();) {
    const ssize_t written = ::write(fd, file.content.data() + at, file.content.size() - at);
    if (written < 0) return errno;
    at += static_cast<std::size_t>(written);
  }
  if (::fchown(fd, file.uid, file.gid) != 0 || ::fchmod(fd, file.mode) != 0) return errno;
  ::close(fd);
  if (file.target.empty()) return 0;
  if (::mount(file.staged.c_str(), file.target.c_str(), nullptr, MS_BIND, nullptr) != 0) return errno;
  return ::unlink(file.staged.c_str()) != 0 ? errno : 0;
}

int arrange_mounts(const RunChild& child) {
  if (!child.private_mounts) return 0;
  if (::unshare(CLONE_NEWNS) != 0) return errno;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
  for (const std::string& mount : child.hidden_mounts) {
    if (::umount2(mount.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT) return errno;
  }
  if (child.staging.empty()) return 0;
  if (::mount("tmpfs", child.staging.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) return errno;
  for (const RunFile& file : child.files) {
    if (const int error = write_file(file); error != 0) return error;
  }
  return 0;
}

int change_user(const RunChild& child) {
  if (!child.change_user) return 0;
  if (::setgroups(child.groups.size(), child.groups.data()) != 0) return errno;
  if (::setresgid(child.gid, child.gid, child.gid) != 0) return errno;
  return ::setresuid(child.uid, child.uid, child.uid) != 0 ? errno : 0;
}

}  // namespace

void become(const RunChild& child, int in, int out, int err, int failure_fd) {
  const pid_t parent = ::getppid();
  ::setsid();
  const auto fail = [](RunPhase phase, int error, int program) {
    const RunChildFailure failure{phase, error, program};
    [[maybe_unused]] const ssize_t written = ::write(kFailureFd, &failure, sizeof(failure));
    ::_exit(127);
  };
  // Two arrays of pointers, on the stack so that nothing is allocated after the fork; the kernel bounds both.
  const auto pointers = [](const std::vector<std::string>& texts, char** out_pointers) {
    std::size_t count = 0;
    for (const std::string& text : texts) out_pointers[count++] = const_cast<char*>(text.c_str());
    out_pointers[count] = nullptr;
  };
  auto** argv = static_cast<char**>(__builtin_alloca((child.argv.size() + 1) * sizeof(char*)));
  auto** env = static_cast<char**>(__builtin_alloca((child.env.size() + 1) * sizeof(char*)));
  pointers(child.argv, argv);
  pointers(child.env, env);

  if (!arrange_descriptors(in, out, err, failure_fd)) ::_exit(127);
  if (const int error = arrange_mounts(child); error != 0) fail(RunPhase::kMounts, error, 0);
  if (const int error = drop_bounding_capabilities(); error != 0) fail(RunPhase::kCapabilities, error, 0);
  const bool here = ::chdir(child.working_dir.c_str()) == 0;
  if (const int error = change_user(child); error != 0) fail(RunPhase::kUser, error, 0);
  if (const int error = drop_own_capabilities(); error != 0) fail(RunPhase::kCapabilities, error, 0);
  // A folder that only the user may enter (a network home without root's rights).
  if (!here && ::chdir(child.working_dir.c_str()) != 0) fail(RunPhase::kWorkingDir, errno, 0);
  ::umask(022);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);  // After the change of user, which clears it.
  if (::getppid() != parent) ::_exit(127);
  reset_signals();

  // As execvp(3): a program that may not be run is remembered, one that is not there is passed over.
  RunChildFailure failure{RunPhase::kExec, ENOENT, 0};
  int at = 0;
  for (const std::string& program : child.programs) {
    ::execve(program.c_str(), argv, env);
    if (errno != ENOENT && errno != ENOTDIR) {
      failure.error = errno;
      failure.program = at;
      if (errno != EACCES) break;
    }
    ++at;
  }
  fail(failure.phase, failure.error, failure.program);
  ::_exit(127);
}

}  // namespace imagebuild::builder
