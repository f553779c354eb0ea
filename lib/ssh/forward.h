// The user's SSH agent, lent to a build under another path, owner and mode.
#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "ssh/socket_server.h"

namespace imagebuild::ssh {

// A new socket at `path` (see listen_on()) that passes on to the agent at `agent` what lists its keys or signs, over a
// connection for each client. Everything else is refused here, as BuildKit does: a build may not add, remove or lock
// the user's keys. kNotFound when no agent listens now.
Result<std::unique_ptr<SocketServer>> forward_agent(const std::filesystem::path& path, const SocketAccess& access,
                                                    std::filesystem::path agent);

}  // namespace imagebuild::ssh
