// How blobs come to the registry: uploads whole or in parts, and mounts.
#include "fakes/fake_registry.h"
#include "fakes/registry_errors.h"

namespace imagebuild::fakes {

http::Headers FakeRegistry::session_headers(const std::string& name, const std::string& id,
                                            std::size_t received) const {
  const std::string path = "/v2/" + name + "/blobs/uploads/" + id + "?_state=a%2Bb%3D";
  http::Headers headers{{"Location", options_.relative_locations ? path : url() + path},
                        {"Range", "0-" + std::to_string(received == 0 ? 0 : received - 1)}};
  if (options_.min_chunk_bytes > 0) headers.add("OCI-Chunk-Min-Length", std::to_string(options_.min_chunk_bytes));
  return headers;
}

void FakeRegistry::uploads(Exchange& exchange, const std::string& name, const std::string& id,
                           const std::optional<Fault>& fault) {
  if (id.empty() && exchange.method == "POST") return start_upload(exchange, name, fault);
  std::size_t received = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto session = sessions_.find(id);
    if (session == sessions_.end() || session->second.repository != name) {
      return fail(exchange, 404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    }
    received = session->second.bytes.size();
  }
  if (exchange.query["_state"] != "a+b=") return fail(exchange, 400, "BLOB_UPLOAD_INVALID", "the state is missing");
  if (exchange.method == "GET") return reply(exchange, 204, session_headers(name, id, received), {}, fault);
  if (exchange.method == "PATCH") return append(exchange, id, fault);
  if (exchange.method == "PUT") return commit(exchange, name, id, fault);
  if (exchange.method != "DELETE") return fail(exchange, 405, "UNSUPPORTED", "unsupported");
  {
    const std::lock_guard lock(mutex_);
    sessions_.erase(id);
  }
  reply(exchange, 204, {}, {}, fault);
}

void FakeRegistry::start_upload(Exchange& exchange, const std::string& name, const std::optional<Fault>& fault) {
  const std::string digest = exchange.query["mount"], from = exchange.query["from"];
  const bool allowed = options_.mounts && !digest.empty() && may(exchange, from + ":pull");
  std::string id;
  {
    const std::lock_guard lock(mutex_);
    const auto& source = repositories_[from].blobs;
    const auto found = source.find(digest);
    if (allowed && found != source.end()) {
      repositories_[name].blobs[digest] = found->second;
    } else {
      id = std::to_string(next_id_++);
      sessions_[id] = {.repository = name, .bytes = {}};
    }
  }
  if (!id.empty()) return reply(exchange, 202, session_headers(name, id, 0), {}, fault);
  reply(exchange, 201, {{"Location", "/v2/" + name + "/blobs/" + digest}, {"Docker-Content-Digest", digest}}, {},
        fault);
}

void FakeRegistry::append(Exchange& exchange, const std::string& id, const std::optional<Fault>& fault) {
  if (!options_.takes_chunks) {
    exchange.read_body();
    return fail(exchange, 405, "UNSUPPORTED", "no chunks here");
  }
  const std::string range = exchange.headers.find("Content-Range").value_or("");
  const std::string body = exchange.read_body();
  std::string name;
  std::size_t received = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);  // It may have been forgotten while its bytes came.
    if (found == sessions_.end()) return fail(exchange, 404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    Session& session = found->second;
    const std::string expected =
        std::to_string(session.bytes.size()) + "-" + std::to_string(session.bytes.size() + body.size() - 1);
    if (range != expected) return fail(exchange, 416, "RANGE_INVALID", "not the next part");
    session.bytes += body;
    name = session.repository;
    received = session.bytes.size();
  }
  reply(exchange, 202, session_headers(name, id, received), {}, fault);
}

void FakeRegistry::commit(Exchange& exchange, const std::string& name, const std::string& id,
                          const std::optional<Fault>& fault) {
  const std::string body = exchange.read_body();
  const std::string digest = exchange.query["digest"];
  {
    const std::lock_guard lock(mutex_);
    std::string bytes = std::move(sessions_[id].bytes) + body;
    sessions_.erase(id);
    if (oci::Digest::of(bytes).str() != digest) {
      return fail(exchange, 400, "DIGEST_INVALID", "provided digest did not match uploaded content");
    }
    repositories_[name].blobs[digest] = std::move(bytes);
  }
  reply(exchange, 201, {{"Location", "/v2/" + name + "/blobs/" + digest}, {"Docker-Content-Digest", digest}}, {},
        fault);
}

}  // namespace imagebuild::fakes
