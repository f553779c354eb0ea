#include "ssh/agent_server.h"

#include "ssh/agent.h"

namespace imagebuild::ssh {
namespace {

using Keys = std::vector<PrivateKey>;

class AgentSession final : public Session {
 public:
  AgentSession(UniqueFd client, std::shared_ptr<const Keys> keys)
      : Session(std::move(client)), keys_(std::move(keys)) {}

  // One request at a time: a client that does not read its answers gets no more of them.
  bool advance() override {
    if (client().gone()) return false;
    if (!client().sent_all()) return true;
    if (const auto request = client().take()) {
      client().put(answer(*request, *keys_));
      return true;
    }
    return !client().gone() && !client().ended();
  }

 private:
  std::shared_ptr<const Keys> keys_;
};

}  // namespace

Result<std::unique_ptr<SocketServer>> serve_agent(const std::filesystem::path& path, const SocketAccess& access,
                                                  std::vector<PrivateKey> keys) {
  if (identities(keys).size() > kMaxMessageBytes)
    return Error{ErrorCode::kLimit, "these are more SSH keys than an agent can list; give fewer"};
  return SocketServer::start(path, access, [shared = std::make_shared<const Keys>(std::move(keys))](UniqueFd client) {
    return std::make_unique<AgentSession>(std::move(client), shared);
  });
}

}  // namespace imagebuild::ssh
