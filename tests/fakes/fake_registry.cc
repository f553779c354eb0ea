#include "fakes/fake_registry.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "fakes/registry_errors.h"
#include "registry/base64.h"

namespace imagebuild::fakes {
namespace {

// "/v2/<name>/<kind>/<rest>" in parts; the name may have slashes.
bool split(const std::string& path, const std::string& kind, std::string& name, std::string& rest) {
  const auto found = path.rfind("/" + kind + "/");
  if (!path.starts_with("/v2/") || found == path.npos || found < 4) return false;
  name = path.substr(4, found - 4);
  rest = path.substr(found + kind.size() + 2);
  return true;
}

std::string repository_of(const std::string& path) {
  std::string name, rest;
  for (const char* kind : {"blobs/uploads", "blobs", "manifests", "tags"}) {
    if (split(path, kind, name, rest)) return name;
  }
  return {};
}

}  // namespace

FakeRegistry::FakeRegistry(FakeRegistryOptions options)
    : options_(std::move(options)), server_([this](Exchange& exchange) { handle(exchange); }, options_.identity) {}

// ---- what tests call
oci::Digest FakeRegistry::add_blob(const std::string& repository, std::string bytes) {
  const oci::Digest digest = oci::Digest::of(bytes);
  const std::lock_guard lock(mutex_);
  repositories_[repository].blobs[digest.str()] = std::move(bytes);
  return digest;
}

oci::Digest FakeRegistry::add_manifest(const std::string& repository, const std::string& tag, std::string media_type,
                                       std::string bytes) {
  const oci::Digest digest = oci::Digest::of(bytes);
  const std::lock_guard lock(mutex_);
  Repository& its = repositories_[repository];
  its.manifests[digest.str()] = {.media_type = std::move(media_type), .bytes = std::move(bytes)};
  if (!tag.empty()) its.tags[tag] = digest.str();
  return digest;
}

std::optional<std::string> FakeRegistry::blob(const std::string& repository, const oci::Digest& digest) {
  const std::lock_guard lock(mutex_);
  const auto& blobs = repositories_[repository].blobs;
  const auto found = blobs.find(digest.str());
  return found == blobs.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> FakeRegistry::manifest(const std::string& repository, const std::string& which) {
  const std::lock_guard lock(mutex_);
  const Repository& its = repositories_[repository];
  const auto tag = its.tags.find(which);
  const auto found = its.manifests.find(tag == its.tags.end() ? which : tag->second);
  return found == its.manifests.end() ? std::nullopt : std::optional(found->second.bytes);
}

std::size_t FakeRegistry::open_uploads() {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

void FakeRegistry::inject(Fault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FakeRegistry::expire_tokens() {
  const std::lock_guard lock(mutex_);
  tokens_.clear();
}

void FakeRegistry::set_content_type(std::string type) {
  const std::lock_guard lock(mutex_);
  content_type_ = std::move(type);
}

std::vector<LoggedRequest> FakeRegistry::log() {
  const std::lock_guard lock(mutex_);
  return log_;
}

void FakeRegistry::clear_log() {
  const std::lock_guard lock(mutex_);
  log_.clear();
}

std::size_t FakeRegistry::count(std::string_view method, std::string_view path_part) {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(log_.begin(), log_.end(), [&](const LoggedRequest& request) {
    return (method.empty() || request.method == method) && request.path.find(path_part) != std::string::npos;
  }));
}

// ---- requests
void FakeRegistry::handle(Exchange& exchange) {
  {
    const std::lock_guard lock(mutex_);
    log_.push_back({.method = exchange.method,
                    .path = exchange.path,
                    .query = exchange.query,
                    .headers = exchange.headers,
                    .body = {}});
  }
  const std::optional<Fault> fault = take_fault(exchange);
  if (fault && play(exchange, *fault)) return;
  if (exchange.path == "/token") return issue_token(exchange);
  if (!authorized(exchange)) return;
  route(exchange, fault);
}

std::optional<Fault> FakeRegistry::take_fault(const Exchange& exchange) {
  const std::lock_guard lock(mutex_);
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (!fault->method.empty() && fault->method != exchange.method) continue;
    if (exchange.path.find(fault->path_part) == std::string::npos) continue;
    if (fault->skip > 0) {
      --fault->skip;
      continue;
    }
    Fault taken = *fault;
    if (--fault->times == 0) faults_.erase(fault);
    return taken;
  }
  return {};
}

bool FakeRegistry::play(Exchange& exchange, const Fault& fault) {
  switch (fault.kind) {
    case Fault::Kind::kStatus:
      exchange.respond(fault.status, fault.headers, fault.body);
      return true;
    case Fault::Kind::kHang:
      exchange.hang();
      return true;
    case Fault::Kind::kDrop: {
      const std::string received = exchange.read_body(fault.bytes);
      const std::lock_guard lock(mutex_);
      const auto session = sessions_.find(exchange.path.substr(exchange.path.rfind('/') + 1));
      if (session != sessions_.end() && exchange.method == "PATCH") session->second.bytes += received;
      exchange.drop();
      return true;
    }
    default:
      return false;
  }
}

// ---- access
bool FakeRegistry::authorized(Exchange& exchange) {
  if (options_.auth == RegistryAuth::kNone) return true;
  const std::string authorization = exchange.headers.find("Authorization").value_or("");
  if (options_.auth == RegistryAuth::kBasic) {
    const std::string right = "Basic " + registry::base64_encode(options_.username + ":" + options_.password);
    if (authorization == right) return true;
    exchange.respond(401, {{"WWW-Authenticate", "Basic realm=\"fake, registry\""}},
                     errors("UNAUTHORIZED", "authentication required"));
    return false;
  }
  const bool only_reads = exchange.method == "GET" || exchange.method == "HEAD";
  const bool removes = exchange.method == "DELETE" && exchange.path.find("/manifests/") != std::string::npos;
  const std::string action = only_reads ? "pull" : removes ? "delete" : "push";
  const std::string repository = repository_of(exchange.path);
  if (may(exchange, repository + ":" + action)) return true;
  exchange.respond(401,
                   {{"WWW-Authenticate", "Bearer realm=\"" + url() + "/token\",service=\"fake\",scope=\"repository:" +
                                             repository + ":" + action + "\""}},
                   errors("UNAUTHORIZED", "authentication required"));
  return false;
}

bool FakeRegistry::may(const Exchange& exchange, const std::string& permission) {
  if (options_.auth != RegistryAuth::kBearer) return true;
  const std::string authorization = exchange.headers.find("Authorization").value_or("");
  if (!authorization.starts_with("Bearer ")) return false;
  const std::lock_guard lock(mutex_);
  const auto token = tokens_.find(authorization.substr(7));
  return token != tokens_.end() && token->second.contains(permission);
}

void FakeRegistry::issue_token(Exchange& exchange) {
  bool known = false;
  std::string scopes = exchange.query["scope"];
  if (exchange.method == "POST") {
    const std::string form = exchange.read_body();
    known = form.find("refresh_token=" + options_.identity_token) != form.npos &&
            form.find("grant_type=refresh_token") != form.npos;
    // The form's only field with spaces is the scope: "repository%3Aa%2Fb%3Apull%2Cpush".
    const auto at = form.find("scope=");
    scopes = at == form.npos ? "" : form.substr(at + 6, form.find('&', at) - at - 6);
    for (const auto& [code, text] : {std::pair("%3A", ":"), {"%2F", "/"}, {"%2C", ","}, {"%20", " "}}) {
      for (std::size_t i; (i = scopes.find(code)) != scopes.npos;) scopes.replace(i, 3, text);
    }
    const std::lock_guard lock(mutex_);
    log_.back().body = form;
  } else {
    const auto basic = exchange.headers.find("Authorization");
    known = basic == "Basic " + registry::base64_encode(options_.username + ":" + options_.password);
    if (basic && !known) return fail(exchange, 401, "UNAUTHORIZED", "wrong password");
  }
  if (!known && !options_.anonymous_pull) return fail(exchange, 401, "UNAUTHORIZED", "who are you");
  const std::lock_guard lock(mutex_);
  const std::string token = "token-" + std::to_string(next_id_++);
  std::istringstream words(scopes);
  for (std::string scope; words >> scope;) {
    const auto colon = scope.rfind(':');
    const std::string name = scope.substr(11, colon - 11), actions = scope.substr(colon + 1);
    if (actions.find("pull") != actions.npos) tokens_[token].insert(name + ":pull");
    if (known && actions.find("push") != actions.npos) tokens_[token].insert(name + ":push");
    if (known && actions.find("delete") != actions.npos) tokens_[token].insert(name + ":delete");
  }
  exchange.respond(
      200, {{"Content-Type", "application/json"}},
      R"({"token":")" + token + R"(","expires_in":)" + std::to_string(options_.token_lifetime_seconds) + "}");
}

// ---- content
void FakeRegistry::route(Exchange& exchange, const std::optional<Fault>& fault) {
  std::string name, rest;
  if (split(exchange.path, "blobs/uploads", name, rest)) return uploads(exchange, name, rest, fault);
  if (split(exchange.path, "blobs", name, rest)) return blobs(exchange, name, rest, fault);
  if (split(exchange.path, "manifests", name, rest)) return manifests(exchange, name, rest, fault);
  if (split(exchange.path, "tags", name, rest) && rest == "list") return list_tags(exchange, name, fault);
  if (exchange.path == "/v2/") return exchange.respond(200);
  fail(exchange, 404, "NOT_FOUND", "no such page");
}

void FakeRegistry::reply(Exchange& exchange, int status, http::Headers headers, std::string body,
                         const std::optional<Fault>& fault) {
  if (!fault) return exchange.respond(status, headers, body);
  const std::string part = body.substr(0, fault->bytes);
  switch (fault->kind) {
    case Fault::Kind::kDropInAnswer:
      exchange.begin(status, headers, body.size());
      exchange.write(part);
      return exchange.drop();
    case Fault::Kind::kHangInAnswer:
      exchange.begin(status, headers, body.size());
      exchange.write(part);
      return exchange.hang();
    case Fault::Kind::kShortAnswer:
      headers.remove("Content-Length");
      return exchange.respond(status, headers, part);
    case Fault::Kind::kCorrupt:
      if (!body.empty()) body.back() = static_cast<char>(body.back() ^ 1);
      return exchange.respond(status, headers, body);
    case Fault::Kind::kAnswerLost:
      return exchange.drop();
    case Fault::Kind::kHeaders:
      for (const auto& [key, value] : fault->headers) headers.set(key, value);
      return exchange.respond(status, headers, body);
    default:
      return exchange.respond(status, headers, body);
  }
}

void FakeRegistry::blobs(Exchange& exchange, const std::string& name, const std::string& digest,
                         const std::optional<Fault>& fault) {
  std::string bytes;
  {
    const std::lock_guard lock(mutex_);
    const auto& known = repositories_[name].blobs;
    const auto found = known.find(digest);
    if (found == known.end()) return fail(exchange, 404, "BLOB_UNKNOWN", "blob unknown to registry");
    bytes = found->second;
  }
  if (exchange.method == "GET" && !options_.redirect_blobs_to.empty()) {
    return exchange.respond(307, {{"Location", options_.redirect_blobs_to + "/" + digest}});
  }
  http::Headers headers{{"Docker-Content-Digest", digest}, {"Content-Type", "application/octet-stream"}};
  if (exchange.method == "HEAD") {
    headers.add("Content-Length", std::to_string(bytes.size()));
    return reply(exchange, 200, headers, {}, fault);
  }
  const std::string range = exchange.headers.find("Range").value_or("");
  if (!range.starts_with("bytes=")) return reply(exchange, 200, headers, std::move(bytes), fault);
  const std::size_t first = std::strtoull(range.c_str() + 6, nullptr, 10);
  if (first >= bytes.size()) return fail(exchange, 416, "RANGE_INVALID", "no such part");
  headers.add("Content-Range", "bytes " + std::to_string(first) + "-" + std::to_string(bytes.size() - 1) + "/" +
                                   std::to_string(bytes.size()));
  reply(exchange, 206, headers, bytes.substr(first), fault);
}

void FakeRegistry::manifests(Exchange& exchange, const std::string& name, const std::string& which,
                             const std::optional<Fault>& fault) {
  if (exchange.method == "PUT") return put_manifest(exchange, name, which, fault);
  if (exchange.method == "DELETE") return remove_manifest(exchange, name, which, fault);
  if (exchange.method == "HEAD" && !options_.manifest_head) return fail(exchange, 405, "UNSUPPORTED", "no HEAD");
  Stored stored;
  std::string digest;
  {
    const std::lock_guard lock(mutex_);
    const Repository& its = repositories_[name];
    const auto tag = its.tags.find(which);
    digest = tag == its.tags.end() ? which : tag->second;
    const auto found = its.manifests.find(digest);
    if (found == its.manifests.end()) return fail(exchange, 404, "MANIFEST_UNKNOWN", "manifest unknown");
    stored = found->second;
    if (!content_type_.empty()) stored.media_type = content_type_;
  }
  http::Headers headers{{"Docker-Content-Digest", digest}, {"Content-Type", stored.media_type}};
  if (exchange.method == "HEAD") {
    headers.add("Content-Length", std::to_string(stored.bytes.size()));
    stored.bytes.clear();
  }
  reply(exchange, 200, headers, std::move(stored.bytes), fault);
}

void FakeRegistry::list_tags(Exchange& exchange, const std::string& name, const std::optional<Fault>& fault) {
  std::string list, last;
  bool has_more = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = repositories_.find(name);
    if (found == repositories_.end())
      return fail(exchange, 404, "NAME_UNKNOWN", "repository name not known to registry");
    std::size_t count = 0;
    for (auto it = found->second.tags.upper_bound(exchange.query["last"]); it != found->second.tags.end(); ++it) {
      has_more = count++ == options_.tags_a_page;
      if (has_more) break;
      list += (list.empty() ? "\"" : ",\"") + it->first + "\"";
      last = it->first;
    }
  }
  http::Headers headers{{"Content-Type", "application/json"}};
  if (has_more) headers.add("Link", "</v2/" + name + "/tags/list?n=1000&last=" + last + ">; rel=\"next\"");
  reply(exchange, 200, headers,
        R"({"name":")" + name + R"(","tags":)" + (list.empty() ? "null" : "[" + list + "]") + "}", fault);
}

void FakeRegistry::remove_manifest(Exchange& exchange, const std::string& name, const std::string& digest,
                                   const std::optional<Fault>& fault) {
  if (!options_.removes) return fail(exchange, 405, "UNSUPPORTED", "The operation is unsupported.");
  {
    const std::lock_guard lock(mutex_);
    Repository& its = repositories_[name];
    if (its.manifests.erase(digest) == 0) return fail(exchange, 404, "MANIFEST_UNKNOWN", "manifest unknown");
    std::erase_if(its.tags, [&](const auto& tag) { return tag.second == digest; });
  }
  reply(exchange, 202, {}, {}, fault);
}

void FakeRegistry::put_manifest(Exchange& exchange, const std::string& name, const std::string& which,
                                const std::optional<Fault>& fault) {
  std::string bytes = exchange.read_body();
  const std::string digest = oci::Digest::of(bytes).str();
  const bool by_digest = which.starts_with("sha256:");
  if (by_digest && which != digest) return fail(exchange, 400, "DIGEST_INVALID", "provided digest did not match");
  const std::string type = exchange.headers.find("Content-Type").value_or("");
  add_manifest(name, by_digest ? "" : which, type, std::move(bytes));
  reply(exchange, 201, {{"Docker-Content-Digest", digest}, {"Location", "/v2/" + name + "/manifests/" + digest}}, {},
        fault);
}

}  // namespace imagebuild::fakes
