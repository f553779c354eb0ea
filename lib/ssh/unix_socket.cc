#include "ssh/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/file.h"

namespace imagebuild::ssh {
namespace {

constexpr int kBacklog = 64;

// An address, with the folder that must stay open while it is used.
struct Address {
  sockaddr_un value{};
  UniqueFd folder;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&value); }
};

Result<Address> address_of(const std::filesystem::path& path) {
  Address address;
  std::string text = path.string();
  if (text.size() >= sizeof address.value.sun_path) {
    ASSIGN_OR_RETURN(address.folder, open_file(path.parent_path(), O_PATH | O_DIRECTORY));
    text = "/proc/self/fd/" + std::to_string(address.folder.get()) + "/" + path.filename().string();
  }
  if (text.size() >= sizeof address.value.sun_path)
    return Error{ErrorCode::kLimit, "the name of the socket '" + path.string() + "' is too long"};
  address.value.sun_family = AF_UNIX;
  text.copy(address.value.sun_path, text.size());
  return address;
}

Result<UniqueFd> new_socket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return system_error("make a socket", errno);
  return fd;
}

// Everything after bind().
Status open_to(const UniqueFd& fd, const std::string& path, const SocketAccess& access) {
  constexpr auto kSame = static_cast<uid_t>(-1);
  if (::chmod(path.c_str(), access.mode) != 0) return system_error("change the mode of '" + path + "'", errno);
  if (::lchown(path.c_str(), access.uid.value_or(kSame), access.gid.value_or(kSame)) != 0)
    return system_error("change the owner of '" + path + "'", errno);
  if (::listen(fd.get(), kBacklog) != 0) return system_error("listen on '" + path + "'", errno);
  return ok();
}

}  // namespace

Result<UniqueFd> listen_on(const std::filesystem::path& path, const SocketAccess& access) {
  ASSIGN_OR_RETURN(const Address address, address_of(path));
  ASSIGN_OR_RETURN(UniqueFd fd, new_socket());
  if (::bind(fd.get(), address.get(), sizeof address.value) != 0)
    return system_error("make the socket '" + path.string() + "'", errno);
  if (const Status opened = open_to(fd, path.string(), access); !opened.ok()) {
    ::unlink(path.c_str());
    return opened.error();
  }
  return fd;
}

Result<UniqueFd> connect_to(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const Address address, address_of(path));
  ASSIGN_OR_RETURN(UniqueFd fd, new_socket());
  if (::connect(fd.get(), address.get(), sizeof address.value) == 0) return fd;
  if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTSOCK)
    return Error{ErrorCode::kNotFound, "nobody listens on the socket '" + path.string() + "'"};
  return system_error("connect to '" + path.string() + "'", errno);
}

}  // namespace imagebuild::ssh
