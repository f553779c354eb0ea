#include "builder/stage/child_network.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace imagebuild::builder {
namespace {

int raise_loopback() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  struct ifreq request = {};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const int error = ::ioctl(fd, SIOCSIFFLAGS, &request) != 0 ? errno : 0;
  ::close(fd);
  return error;
}

int write_map(int process_fd, const char* name) {
  constexpr char kEveryone[] = "0 0 4294967295";
  const int fd = ::openat(process_fd, name, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const bool good = ::write(fd, kEveryone, sizeof(kEveryone) - 1) >= 0;
  const int error = good ? 0 : errno;
  ::close(fd);
  return error;
}

// The maps of a user namespace that names all users have to be written by somebody outside it.
int enter_user_namespace() {
  const int self = ::open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (self < 0) return errno;
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return errno;
  const pid_t writer = ::fork();
  if (writer < 0) return errno;
  if (writer == 0) {
    char byte = 0;
    ::close(ready[1]);
    if (::read(ready[0], &byte, 1) != 1) ::_exit(EPERM);
    int error = write_map(self, "uid_map");
    if (error == 0) error = write_map(self, "gid_map");
    ::_exit(error);
  }
  const int error = ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 ? errno : 0;
  if (error == 0) {
    [[maybe_unused]] const ssize_t written = ::write(ready[1], "x", 1);
  }
  ::close(ready[0]);
  ::close(ready[1]);
  ::close(self);
  int status = 0;
  while (::waitpid(writer, &status, 0) < 0 && errno == EINTR) {
  }
  if (error != 0) return error;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

}  // namespace

int leave_network() {
  const int refused = ::unshare(CLONE_NEWNET) == 0 ? raise_loopback() : errno;
  if (refused != EPERM) return refused;
  if (const int error = enter_user_namespace(); error != 0) return error;
  return raise_loopback();
}

}  // namespace imagebuild::builder
