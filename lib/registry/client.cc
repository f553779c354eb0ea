#include "registry/client.h"

#include <algorithm>
#include <charconv>

#include "registry/blob_source.h"
#include "registry/manifest_type.h"
#include "registry/refusal.h"
#include "registry/tags.h"
#include "registry/upload.h"
#include "registry/wire.h"

namespace imagebuild::registry {
namespace {

std::string accepted_types() {
  std::string text;
  for (const auto type : {oci::media_type::kOciIndex, oci::media_type::kOciManifest, oci::media_type::kDockerIndex,
                          oci::media_type::kDockerManifest}) {
    text += (text.empty() ? "" : ", ") + std::string(type);
  }
  return text;
}

// Of a blob that grows: small, so that little is left to send at its end.
constexpr std::uint64_t kGrowingChunkBytes = 8U << 20;
constexpr http::Timeouts kHaste{.connect = std::chrono::seconds(2), .idle = std::chrono::seconds(2)};

Error cancelled() {
  return {ErrorCode::kCancelled, "stopped"};
}

// Whether another server may know better than the one that answered so.
bool worth_asking_next(const Error& error) {
  return error.code != ErrorCode::kCancelled;
}

std::optional<std::uint64_t> content_length(const http::Headers& headers) {
  const auto text = headers.find("Content-Length").value_or("");
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

}  // namespace

struct Client::State {
  State(http::HttpTransport& transport, ClientOptions given)
      : options(std::move(given)),
        authorizer(transport, options.credentials, options.seams.now, options.timeouts),
        wire(transport, authorizer, options.retry, options.seams, options.timeouts),
        hasty_wire(transport, authorizer, options.retry, options.seams, kHaste) {}

  Result<Target> origin(const oci::Reference& reference) const {
    ASSIGN_OR_RETURN(Endpoint endpoint, options.hosts.origin(reference.registry()));
    return Target{.endpoint = std::move(endpoint), .repository = reference.repository()};
  }
  // Asks the mirrors in order, then the registry itself; its error counts, with the last mirror's behind it.
  template <class Ask>
  auto ask_in_turn(const oci::Reference& reference, const Ask& ask) -> decltype(ask(std::declval<Target>())) {
    ASSIGN_OR_RETURN(const std::vector<Endpoint> endpoints, options.hosts.for_pull(reference.registry()));
    std::string mirror_failure;
    for (const Endpoint& endpoint : endpoints) {
      auto answer = ask(Target{.endpoint = endpoint, .repository = reference.repository()});
      if (answer.ok() || !worth_asking_next(answer.error())) return answer;
      if (endpoint.mirror) {
        mirror_failure = " (before, its mirror failed: " + answer.error().message + ")";
        continue;
      }
      return Error{answer.error().code, answer.error().message + mirror_failure};
    }
    return Error{ErrorCode::kInternal, "no server to ask"};
  }
  Result<ManifestContent> manifest_from(const Target& target, const oci::Reference& reference,
                                        const std::stop_token& stop);
  Result<ManifestContent> manifest_once(const Target& target, const oci::Reference& reference,
                                        const http::Request& request, const std::stop_token& stop,
                                        const http::Retrier& retrier, std::optional<std::chrono::milliseconds>& wish);
  static Result<ManifestContent> read_manifest(const Target& target, const oci::Reference& reference,
                                               http::Response& response);
  Result<std::optional<oci::Descriptor>> head_manifest(const Target& target, const oci::Reference& reference,
                                                       const std::stop_token& stop);
  Result<bool> has_blob(const Target& target, const oci::Digest& digest, const std::stop_token& stop);
  // kMounted, or the upload that was opened instead, or neither when the registry does not want to mount.
  Result<std::variant<std::monostate, BlobOutcome, UploadSession>> mount(const Target& target,
                                                                         const oci::Digest& digest,
                                                                         const std::string& from,
                                                                         const std::stop_token& stop);
  Error refused_push(const Target& target, http::Response& response);

  const ClientOptions options;
  Authorizer authorizer;
  Wire wire;
  Wire hasty_wire;  // For what need not succeed.
};

Client::Client(http::HttpTransport& transport, ClientOptions options)
    : state_(std::make_shared<State>(transport, std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

// ------------------------------------------------------------------------------------------------------------- pulls
namespace {

Doing pulling(const Target& target, const oci::Reference& reference) {
  return {.what = "the pull of '" + reference.familiar() + "'",
          .not_found = "there is no image '" + reference.familiar() + "' in registry " + target.endpoint.name};
}

Result<http::Request> manifest_request(const Target& target, const oci::Reference& reference, const char* method) {
  ASSIGN_OR_RETURN(http::Url url, target.url("manifests/" + reference.identifier()));
  return http::Request{.method = method, .url = std::move(url), .headers = {{"Accept", accepted_types()}}};
}

}  // namespace

Result<ManifestContent> Client::manifest(const oci::Reference& reference, std::stop_token stop) {
  return state_->ask_in_turn(reference,
                             [&](const Target& target) { return state_->manifest_from(target, reference, stop); });
}

Result<ManifestContent> Client::State::manifest_from(const Target& target, const oci::Reference& reference,
                                                     const std::stop_token& stop) {
  // One count of tries, whether sending fails or the answer breaks off.
  http::Retrier retrier = wire.retrier(target, stop);
  ASSIGN_OR_RETURN(const http::Request request, manifest_request(target, reference, "GET"));
  while (true) {
    std::optional<std::chrono::milliseconds> wish;
    auto content = manifest_once(target, reference, request, stop, retrier, wish);
    if (content.ok()) return content;
    if (stop.stop_requested()) return cancelled();
    if (retrier.again(content.error(), wish)) continue;
    if (stop.stop_requested()) return cancelled();
    return content;
  }
}

Result<ManifestContent> Client::State::manifest_once(const Target& target, const oci::Reference& reference,
                                                     const http::Request& request, const std::stop_token& stop,
                                                     const http::Retrier& retrier,
                                                     std::optional<std::chrono::milliseconds>& wish) {
  ASSIGN_OR_RETURN(http::Response response, wire.send(target, request, {pull_scope(target.repository)}, stop));
  if (response.status == 200) return read_manifest(target, reference, response);
  wish = retrier.wish_of(response);
  return refusal(authorizer, target, pulling(target, reference), response);
}

Result<ManifestContent> Client::State::read_manifest(const Target& target, const oci::Reference& reference,
                                                     http::Response& response) {
  const std::string which = "the manifest of '" + reference.familiar() + "' from registry " + target.endpoint.name;
  auto bytes = read_all(*response.body, oci::kMaxManifestBytes);
  if (!bytes.ok()) return bytes.error().in(which);
  const oci::Digest digest = oci::Digest::of(*bytes);
  const auto promised =
      reference.digest() ? std::optional(reference.digest()->str()) : response.headers.find("Docker-Content-Digest");
  if (promised && *promised != digest.str()) {
    return Error{ErrorCode::kCorrupt, which + " has the digest " + digest.str() + " instead of " + *promised};
  }
  auto type = manifest_type(*bytes, response.headers.find("Content-Type").value_or(""));
  if (!type.ok()) return type.error().in(which);
  oci::Descriptor descriptor{.media_type = std::move(type).value(), .digest = digest, .size_bytes = bytes->size()};
  return ManifestContent{.descriptor = std::move(descriptor), .bytes = std::move(bytes).value()};
}

Result<oci::Descriptor> Client::resolve(const oci::Reference& reference, std::stop_token stop) {
  return state_->ask_in_turn(reference, [&](const Target& target) -> Result<oci::Descriptor> {
    ASSIGN_OR_RETURN(std::optional<oci::Descriptor> told, state_->head_manifest(target, reference, stop));
    if (told) return std::move(*told);
    ASSIGN_OR_RETURN(ManifestContent content, state_->manifest_from(target, reference, stop));
    return std::move(content.descriptor);
  });
}

Result<std::optional<oci::Descriptor>> Client::State::head_manifest(const Target& target,
                                                                    const oci::Reference& reference,
                                                                    const std::stop_token& stop) {
  const std::optional<oci::Descriptor> untold;
  ASSIGN_OR_RETURN(const http::Request request, manifest_request(target, reference, "HEAD"));
  ASSIGN_OR_RETURN(http::Response response, wire.send_retrying(target, request, {pull_scope(target.repository)}, stop));
  if (http::is_transient(response.status)) return refusal(authorizer, target, pulling(target, reference), response);
  // Some servers answer HEAD with what they would not answer GET; else only a success is believed.
  if (response.status != 200) return untold;
  const auto digest = oci::Digest::parse(response.headers.find("Docker-Content-Digest").value_or(""));
  const auto size = content_length(response.headers);
  const std::string type = response.headers.find("Content-Type").value_or("");
  if (!digest.ok() || !size || *size > oci::kMaxManifestBytes || !is_manifest_type(type)) return untold;
  if (reference.digest() && *reference.digest() != *digest) return untold;
  return std::optional(oci::Descriptor{.media_type = type, .digest = *digest, .size_bytes = *size});
}

Result<std::unique_ptr<ByteSource>> Client::blob(const oci::Reference& repository, const oci::Descriptor& blob,
                                                 std::stop_token stop) {
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> bytes, state_->ask_in_turn(repository, [&](Target target) {
    return BlobSource::open(state_, state_->wire, std::move(target), blob.digest, stop);
  }));
  return oci::verified(std::move(bytes), blob.digest, blob.size_bytes);
}

Result<std::string> Client::blob_text(const oci::Reference& repository, const oci::Descriptor& wanted,
                                      std::uint64_t max_bytes, std::stop_token stop) {
  if (wanted.size_bytes > max_bytes) {
    return Error{ErrorCode::kLimit, "the blob " + wanted.digest.str() + " has " + std::to_string(wanted.size_bytes) +
                                        " bytes, more than the " + std::to_string(max_bytes) + " that are read"};
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> bytes, blob(repository, wanted, stop));
  return read_all(*bytes, max_bytes);
}

// ------------------------------------------------------------------------------------------------------------ pushes
Error Client::State::refused_push(const Target& target, http::Response& response) {
  const Doing doing{.what = "the push to '" + target.repository + "'",
                    .not_found = "registry " + target.endpoint.name + " has no repository '" + target.repository +
                                 "' to push to, or it is not visible with these credentials"};
  return refusal(authorizer, target, doing, response);
}

Result<bool> Client::has_blob(const oci::Reference& repository, const oci::Digest& digest, std::stop_token stop) {
  ASSIGN_OR_RETURN(const Target target, state_->origin(repository));
  return state_->has_blob(target, digest, stop);
}

Result<bool> Client::State::has_blob(const Target& target, const oci::Digest& digest, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(http::Url url, target.url("blobs/" + digest.str()));
  const http::Request request{.method = "HEAD", .url = std::move(url)};
  ASSIGN_OR_RETURN(http::Response response, wire.send_retrying(target, request, {push_scope(target.repository)}, stop));
  if (response.status == 404) return false;
  if (response.status != 200) return refused_push(target, response);
  return true;
}

Result<std::variant<std::monostate, BlobOutcome, UploadSession>> Client::State::mount(const Target& target,
                                                                                      const oci::Digest& digest,
                                                                                      const std::string& from,
                                                                                      const std::stop_token& stop) {
  using Answer = std::variant<std::monostate, BlobOutcome, UploadSession>;
  ASSIGN_OR_RETURN(const http::Url url, target.url("blobs/uploads/"));
  const http::Request request{.method = "POST", .url = url.with_query("mount", digest.str()).with_query("from", from)};
  auto response = wire.send_retrying(target, request, {push_scope(target.repository), pull_scope(from)}, stop);
  if (!response.ok()) {
    // Credentials for the source may be missing; the bytes can still be sent.
    if (response.error().code == ErrorCode::kDenied) return Answer();
    return response.error();
  }
  drain(*response);
  if (response->status == 201) return Answer(BlobOutcome::kMounted);
  if (response->status != 202) return Answer();
  ASSIGN_OR_RETURN(UploadSession session, parse_session(target, request, *response));
  return Answer(std::move(session));
}

Result<std::optional<BlobOutcome>> Client::adopt_blob(const oci::Reference& repository, const oci::Descriptor& blob,
                                                      const std::optional<oci::Reference>& mount_from,
                                                      std::stop_token stop) {
  ASSIGN_OR_RETURN(const Target target, state_->origin(repository));
  ASSIGN_OR_RETURN(const bool there, state_->has_blob(target, blob.digest, stop));
  if (there) return std::optional(BlobOutcome::kExisted);
  if (!mount_from || mount_from->registry() != repository.registry()) return std::optional<BlobOutcome>();
  if (mount_from->repository() == repository.repository()) return std::optional<BlobOutcome>();
  ASSIGN_OR_RETURN(const auto answer, state_->mount(target, blob.digest, mount_from->repository(), stop));
  if (const auto* outcome = std::get_if<BlobOutcome>(&answer)) return std::optional(*outcome);
  if (const auto* session = std::get_if<UploadSession>(&answer)) {
    // Nobody is going to fill it. Registries clean up by themselves in the end, so a failure does not matter.
    const http::Request cancel{.method = "DELETE", .url = session->location};
    auto response = state_->wire.send(target, cancel, {push_scope(target.repository)}, stop);
    if (response.ok()) drain(*response);
  }
  return std::optional<BlobOutcome>();
}

Result<BlobOutcome> Client::push_blob(const oci::Reference& repository, const oci::Descriptor& blob,
                                      const BlobOpener& open, const std::optional<oci::Reference>& mount_from,
                                      std::stop_token stop) {
  ASSIGN_OR_RETURN(const Target target, state_->origin(repository));
  ASSIGN_OR_RETURN(const bool there, state_->has_blob(target, blob.digest, stop));
  if (there) return BlobOutcome::kExisted;
  std::optional<UploadSession> session;
  if (mount_from && mount_from->registry() == repository.registry() &&
      mount_from->repository() != repository.repository()) {
    ASSIGN_OR_RETURN(auto answer, state_->mount(target, blob.digest, mount_from->repository(), stop));
    if (const auto* outcome = std::get_if<BlobOutcome>(&answer)) return *outcome;
    if (auto* opened = std::get_if<UploadSession>(&answer)) session = std::move(*opened);
  }
  Upload upload(state_->wire, target, blob, open, state_->options.chunk_bytes, stop);
  RETURN_IF_ERROR(upload.run(std::move(session)));
  return BlobOutcome::kUploaded;
}

Status Client::push_growing_blob(const oci::Reference& repository, const BlobGrowth& grow, const BlobOpener& open,
                                 std::stop_token stop) {
  ASSIGN_OR_RETURN(const Target target, state_->origin(repository));
  const std::uint64_t chunk_bytes = std::min(state_->options.chunk_bytes, kGrowingChunkBytes);
  Upload upload(state_->wire, target, grow, open, chunk_bytes, std::move(stop));
  Status status = upload.run({});
  if (!status.ok()) upload.forget(state_->hasty_wire);
  return status;
}

Result<oci::Digest> Client::push_manifest(const oci::Reference& reference, std::string_view media_type,
                                          std::string_view bytes, std::stop_token stop) {
  const oci::Digest digest = oci::Digest::of(bytes);
  const std::string which = "the manifest for '" + reference.familiar() + "'";
  if (reference.digest() && *reference.digest() != digest) {
    return Error{ErrorCode::kInvalidInput, which + " has the digest " + digest.str() + ", which is not the one named"};
  }
  ASSIGN_OR_RETURN(const Target target, state_->origin(reference));
  const std::string name = reference.tag().empty() ? digest.str() : reference.tag();
  ASSIGN_OR_RETURN(http::Url url, target.url("manifests/" + name));
  const http::Request request{.method = "PUT",
                              .url = std::move(url),
                              .headers = {{"Content-Type", std::string(media_type)}},
                              .body = http::RequestBody::of(std::string(bytes))};
  ASSIGN_OR_RETURN(http::Response response,
                   state_->wire.send_retrying(target, request, {push_scope(target.repository)}, stop));
  if (response.status != 201 && response.status != 200) return state_->refused_push(target, response);
  drain(response);
  const auto stored = response.headers.find("Docker-Content-Digest");
  if (stored && *stored != digest.str()) {
    return Error{ErrorCode::kCorrupt, "registry " + target.endpoint.name + " stored " + which + " as " + *stored +
                                          " instead of " + digest.str()};
  }
  return digest;
}

// ---------------------------------------------------------------------------------------------------- housekeeping
Result<std::vector<std::string>> Client::tags(const oci::Reference& repository, std::stop_token stop) {
  ASSIGN_OR_RETURN(const Target target, state_->origin(repository));
  return list_tags(state_->wire, target, stop);
}

Status Client::remove_manifest(const oci::Reference& repository, const oci::Digest& digest, std::stop_token stop) {
  ASSIGN_OR_RETURN(const Target target, state_->origin(repository));
  return registry::remove_manifest(state_->wire, target, digest, stop);
}

}  // namespace imagebuild::registry
