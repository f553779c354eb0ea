// Unix sockets by path: one to listen on, with the owner and mode that RUN --mount=type=ssh names, and one to talk to.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"

namespace imagebuild::ssh {

// Who may connect; absent ids are the caller's own.
struct SocketAccess {
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  mode_t mode = 0600;
};

// Both are non-blocking and closed on exec. A path may be longer than the 107 bytes of a socket's address if its last
// part is not: it is then reached through /proc/self/fd.

// A new socket at `path`, where nothing may be yet and only the caller may write in the folder. Nobody can connect
// before owner and mode are as asked.
Result<UniqueFd> listen_on(const std::filesystem::path& path, const SocketAccess& access);
// kNotFound when nobody listens there.
Result<UniqueFd> connect_to(const std::filesystem::path& path);

}  // namespace imagebuild::ssh
