#include "ssh/forward.h"

#include "ssh/agent.h"

namespace imagebuild::ssh {
namespace {

class ForwardSession final : public Session {
 public:
  ForwardSession(UniqueFd client, UniqueFd agent) : Session(std::move(client)) {
    streams_.emplace_back(std::move(agent));
  }

  // One request at a time, so that answers keep the order of requests.
  bool advance() override {
    if (client().gone()) return false;
    if (waiting_) {
      const auto reply = agent().take();
      if (!reply) return !agent().gone() && !agent().ended();
      client().put(*reply);
      waiting_ = false;
    }
    if (!client().sent_all()) return true;
    if (agent().gone() || agent().ended()) return false;
    const auto request = client().take();
    if (!request) return !client().gone() && !client().ended();
    waiting_ = is_permitted(*request);
    if (waiting_) {
      agent().put(*request);
    } else {
      client().put(refusal());
    }
    return true;
  }

 private:
  MessageStream& agent() { return streams_[1]; }
  bool waiting_ = false;
};

}  // namespace

Result<std::unique_ptr<SocketServer>> forward_agent(const std::filesystem::path& path, const SocketAccess& access,
                                                    std::filesystem::path agent) {
  RETURN_IF_ERROR(connect_to(agent).in("the SSH agent"));
  return SocketServer::start(path, access, [agent = std::move(agent)](UniqueFd client) -> std::unique_ptr<Session> {
    Result<UniqueFd> upstream = connect_to(agent);
    if (!upstream.ok()) return nullptr;
    return std::make_unique<ForwardSession>(std::move(client), std::move(*upstream));
  });
}

}  // namespace imagebuild::ssh
