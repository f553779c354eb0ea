#include "builder/stage/run_child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "builder/stage/capabilities.h"
#include "builder/stage/child_mounts.h"
#include "builder/stage/child_network.h"

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

int set_limit(const ChildLimit& limit) {
  const struct rlimit value = {static_cast<rlim_t>(limit.soft), static_cast<rlim_t>(limit.hard)};
  return ::setrlimit(static_cast<__rlimit_resource>(limit.resource), &value) != 0 ? errno : 0;
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
  const auto fail = [](RunPhase phase, int error, int index) {
    const RunChildFailure failure{phase, error, index};
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
  if (const ChildMountFailure mounts = arrange_mounts(child); mounts.error != 0) {
    fail(RunPhase::kMounts, mounts.error, mounts.index);
  }
  if (child.make_working_dir) {
    if (const int error = make_folders(child.working_dir.c_str()); error != 0) fail(RunPhase::kWorkingDir, error, 0);
  }
  if (child.no_network) {
    if (const int error = leave_network(); error != 0) fail(RunPhase::kNetwork, error, 0);
  }
  for (std::size_t i = 0; i < child.limits.size(); ++i) {
    if (const int error = set_limit(child.limits[i]); error != 0) fail(RunPhase::kLimits, error, static_cast<int>(i));
  }
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
      failure.index = at;
      if (errno != EACCES) break;
    }
    ++at;
  }
  fail(failure.phase, failure.error, failure.index);
  ::_exit(127);
}

}  // namespace imagebuild::builder
