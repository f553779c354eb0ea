// Authorization headers: which scheme each server wants, and the tokens that were fetched for it
// (distribution's token authentication specification, and its OAuth2 variant for identity tokens).
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "http/transport.h"
#include "registry/challenge.h"
#include "registry/credentials.h"
#include "registry/hosts.h"

namespace imagebuild::registry {

// "repository:library/alpine:pull" and its like. Several for a mount: push to the target, pull from the source.
using Scopes = std::set<std::string>;

std::string pull_scope(const std::string& repository);
std::string push_scope(const std::string& repository);
std::string delete_scope(const std::string& repository);

// One repository on one server.
struct Target {
  Endpoint endpoint;
  std::string repository;

  // "https://host/v2/<repository>/<rest>"
  Result<http::Url> url(const std::string& rest) const;
};

// Thread-safe. While one thread fetches a token, others that need one wait for it.
class Authorizer {
 public:
  Authorizer(http::HttpTransport& transport, const Credentials& credentials, Clock now, http::Timeouts timeouts)
      : transport_(transport), credentials_(credentials), now_(std::move(now)), timeouts_(timeouts) {}

  // The Authorization value for a request; empty while the server has not asked for any.
  Result<std::string> header_for(const Target& target, const Scopes& scopes, std::stop_token stop);
  // After a 401 to a request that was sent with `used`: what to send instead, or empty when there is nothing better.
  // Tokens of the challenge's realm are fetched here, in one try: whoever sends the request tries both again. A refusal
  // by the token server is kDenied, its failure kUnavailable.
  Result<std::string> renew(const Target& target, const Scopes& scopes, const http::Headers& answer,
                            const std::string& used, std::stop_token stop);
  // For messages: what a person should check after a refusal.
  std::string advice(const Target& target);

 private:
  struct Token {
    std::string value;
    WallTime expires;
  };
  struct Server {        // What is known about one origin.
    std::string scheme;  // "", "basic" or "bearer".
    std::string realm, service;
    std::map<Scopes, Token> tokens;
  };

  Result<std::optional<Credential>> credential(const Target& target, const std::stop_token& stop);
  Result<std::string> basic(const Target& target, const std::stop_token& stop);
  Result<std::string> bearer(const Target& target, Server& server, const Scopes& scopes, const std::string& used,
                             const std::stop_token& stop);
  Result<Token> fetch(const Target& target, const Server& server, const Scopes& scopes, const std::stop_token& stop);
  Result<http::Request> token_request(const Target& target, const Server& server, const Scopes& scopes,
                                      const std::optional<Credential>& credential);
  Result<Token> read_token(const Target& target, http::Response response);

  http::HttpTransport& transport_;
  const Credentials& credentials_;
  const Clock now_;
  const http::Timeouts timeouts_;
  std::mutex mutex_;
  std::map<std::string, Server> servers_;                                           // By origin.
  std::map<std::pair<std::string, std::string>, std::optional<Credential>> found_;  // By registry and repository.
};

}  // namespace imagebuild::registry
