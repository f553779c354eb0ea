// An SSH agent of our own, for private keys that a build was given and a container without ssh-agent.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "base/result.h"
#include "ssh/private_key.h"
#include "ssh/socket_server.h"

namespace imagebuild::ssh {

// An agent on a new socket at `path` (see listen_on()) that has `keys` and can list them and sign, nothing else, until
// the server is destroyed. kLimit for more keys than a message can list.
Result<std::unique_ptr<SocketServer>> serve_agent(const std::filesystem::path& path, const SocketAccess& access,
                                                  std::vector<PrivateKey> keys);

}  // namespace imagebuild::ssh
