#include "registry/auth.h"

#include <algorithm>

#include "http/retry.h"
#include "registry/base64.h"
#include "registry/token_answer.h"

namespace imagebuild::registry {
namespace {

constexpr std::uint64_t kMaxTokenBytes = 1U << 20;
// A token that ends while its request is under way is worth nothing.
constexpr std::chrono::seconds kExpiryMargin{10};

Error denied(std::string message) {
  return {ErrorCode::kDenied, std::move(message)};
}

}  // namespace

std::string pull_scope(const std::string& repository) {
  return "repository:" + repository + ":pull";
}
std::string push_scope(const std::string& repository) {
  return "repository:" + repository + ":pull,push";
}
std::string delete_scope(const std::string& repository) {
  return "repository:" + repository + ":delete";
}

Result<http::Url> Target::url(const std::string& rest) const {
  return http::Url::parse(endpoint.base.str() + "v2/" + repository + "/" + rest);
}

Result<std::string> Authorizer::header_for(const Target& target, const Scopes& scopes, std::stop_token stop) {
  const std::lock_guard lock(mutex_);
  const auto server = servers_.find(target.endpoint.base.origin());
  if (server == servers_.end()) return std::string();
  if (server->second.scheme == "basic") return basic(target, stop);
  return bearer(target, server->second, scopes, "", stop);
}

Result<std::string> Authorizer::renew(const Target& target, const Scopes& scopes, const http::Headers& answer,
                                      const std::string& used, std::stop_token stop) {
  const std::lock_guard lock(mutex_);
  std::vector<Challenge> challenges;
  for (const std::string& header : answer.all("WWW-Authenticate")) {
    for (Challenge& challenge : parse_challenges(header)) challenges.push_back(std::move(challenge));
  }
  const auto with_scheme = [&](std::string_view scheme) {
    return std::find_if(challenges.begin(), challenges.end(), [&](const Challenge& c) { return c.scheme == scheme; });
  };
  Server& server = servers_[target.endpoint.base.origin()];
  if (const auto bearer_challenge = with_scheme("bearer"); bearer_challenge != challenges.end()) {
    const std::string realm = bearer_challenge->get("realm"), service = bearer_challenge->get("service");
    if (server.scheme != "bearer" || server.realm != realm || server.service != service) {
      server = {.scheme = "bearer", .realm = realm, .service = service, .tokens = {}};
    }
    return bearer(target, server, scopes, used, stop);
  }
  if (with_scheme("basic") != challenges.end()) {
    server = {.scheme = "basic", .realm = {}, .service = {}, .tokens = {}};
    ASSIGN_OR_RETURN(std::string value, basic(target, stop));
    return value == used ? std::string() : value;
  }
  servers_.erase(target.endpoint.base.origin());
  if (challenges.empty()) return std::string();
  return denied("registry " + target.endpoint.name + " wants the authentication method '" + challenges.front().scheme +
                "', which is not supported (Basic and Bearer are)");
}

Result<std::optional<Credential>> Authorizer::credential(const Target& target, const std::stop_token& stop) {
  const std::pair key(target.endpoint.name, target.repository);
  if (const auto known = found_.find(key); known != found_.end()) return known->second;
  ASSIGN_OR_RETURN(std::optional<Credential> found, credentials_.find(key.first, key.second, stop));
  found_.emplace(key, found);
  return found;
}

Result<std::string> Authorizer::basic(const Target& target, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const auto found, credential(target, stop));
  if (!found || found->username.empty()) return std::string();
  return "Basic " + base64_encode(found->username + ":" + found->password);
}

Result<std::string> Authorizer::bearer(const Target& target, Server& server, const Scopes& scopes,
                                       const std::string& used, const std::stop_token& stop) {
  const auto known = server.tokens.find(scopes);
  const bool fresh = known != server.tokens.end() && known->second.expires - kExpiryMargin > now_();
  // Another thread may have renewed it since the request that was refused.
  if (fresh && "Bearer " + known->second.value != used) return "Bearer " + known->second.value;
  ASSIGN_OR_RETURN(const auto found, credential(target, stop));
  if (found && !found->registry_token.empty()) {
    const std::string value = "Bearer " + found->registry_token;
    return value == used ? std::string() : value;
  }
  ASSIGN_OR_RETURN(Token token, fetch(target, server, scopes, stop));
  const std::string value = "Bearer " + token.value;
  server.tokens.insert_or_assign(scopes, std::move(token));
  return value == used ? std::string() : value;
}

Result<Authorizer::Token> Authorizer::fetch(const Target& target, const Server& server, const Scopes& scopes,
                                            const std::stop_token& stop) {
  ASSIGN_OR_RETURN(const auto found, credential(target, stop));
  ASSIGN_OR_RETURN(const http::Request request, token_request(target, server, scopes, found));
  auto response = transport_.send(request, stop);
  const std::string who = "the token server of registry " + target.endpoint.name;
  if (!response.ok()) return response.error().in(who);
  if (response->status == 200) return read_token(target, std::move(response).value());
  const std::string status = " (" + std::to_string(response->status) + ")";
  if (http::is_transient(response->status)) {
    return Error{ErrorCode::kUnavailable, who + " failed" + status};
  }
  const std::string about = found ? "; check the credentials in " + found->source
                                  : "; there are no credentials for it in " + credentials_.where();
  return denied(who + " gave no access to '" + target.repository + "'" + status + about);
}

Result<http::Request> Authorizer::token_request(const Target& target, const Server& server, const Scopes& scopes,
                                                const std::optional<Credential>& credential) {
  auto realm = http::Url::parse(server.realm);
  if (!realm.ok()) {
    return Error{ErrorCode::kUnavailable,
                 "registry " + target.endpoint.name + " names a token server whose address is malformed"};
  }
  const bool exposes =
      realm->scheme() == "http" && !http::is_loopback(realm->host()) && target.endpoint.base.scheme() == "https";
  if (credential && exposes) {
    return denied("registry " + target.endpoint.name + " wants the credentials to be sent to " + realm->host_port() +
                  " over plain HTTP, which is refused");
  }
  if (credential && !credential->identity_token.empty()) {
    std::string all;
    for (const std::string& scope : scopes) all += (all.empty() ? "" : " ") + scope;
    std::string form = http::form_encode({{"grant_type", "refresh_token"},
                                          {"service", server.service},
                                          {"client_id", "imagebuild"},
                                          {"scope", all},
                                          {"refresh_token", credential->identity_token}});
    return http::Request{.method = "POST",
                         .url = std::move(realm).value(),
                         .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                         .body = http::RequestBody::of(std::move(form)),
                         .timeouts = timeouts_};
  }
  http::Url url = std::move(realm).value();
  if (!server.service.empty()) url = url.with_query("service", server.service);
  for (const std::string& scope : scopes) url = url.with_query("scope", scope);
  http::Request request{.url = std::move(url), .timeouts = timeouts_};
  if (credential && !credential->username.empty()) {
    request.headers.set("Authorization", "Basic " + base64_encode(credential->username + ":" + credential->password));
  }
  return request;
}

Result<Authorizer::Token> Authorizer::read_token(const Target& target, http::Response response) {
  const std::string who = "the token server of registry " + target.endpoint.name;
  auto text = read_all(*response.body, kMaxTokenBytes);
  if (!text.ok()) return text.error().in(who);
  const auto answer = parse_token_answer(*text, now_());
  if (!answer) return Error{ErrorCode::kUnavailable, who + " answered something that is not a token"};
  auto& known = found_[{target.endpoint.name, target.repository}];
  if (known && !known->identity_token.empty() && !answer->refresh_token.empty()) {
    known->identity_token = answer->refresh_token;
  }
  return Token{.value = answer->token, .expires = answer->expires};
}

std::string Authorizer::advice(const Target& target) {
  const std::lock_guard lock(mutex_);
  const auto known = found_.find({target.endpoint.name, target.repository});
  if (known == found_.end() || !known->second) {
    return "there are no credentials for it in " + credentials_.where();
  }
  return "check the credentials in " + known->second->source;
}

}  // namespace imagebuild::registry
