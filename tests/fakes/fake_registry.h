// A registry in memory that speaks the OCI distribution protocol over a real socket, and misbehaves on request.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fakes/http_server.h"
#include "oci/digest.h"

namespace imagebuild::fakes {

enum class RegistryAuth { kNone, kBasic, kBearer };

struct FakeRegistryOptions {
  RegistryAuth auth = RegistryAuth::kNone;
  std::string username = "user", password = "secret", identity_token = "identity";
  bool anonymous_pull = false;       // Bearer: a token without credentials may pull.
  int token_lifetime_seconds = 300;  // What expires_in says; see also expire_tokens().
  bool relative_locations = false;
  bool takes_chunks = true;           // Otherwise PATCH is 405.
  std::uint64_t min_chunk_bytes = 0;  // Announced in the answer to POST.
  bool mounts = true;
  std::string redirect_blobs_to;  // A base URL: GET of a blob becomes 307 to <base>/<digest>.
  bool manifest_head = true;      // Otherwise HEAD of a manifest is 405.
  bool removes = true;            // Otherwise DELETE of a manifest is 405.
  std::size_t tags_a_page = 1000;
  std::optional<TlsIdentity> identity;
};

// What goes wrong with the next requests that match.
struct Fault {
  enum class Kind {
    kStatus,        // Answers `status` with `headers` and `body`.
    kDrop,          // Reads `bytes` of the request's body (an upload keeps them), then hangs up without an answer.
    kDropInAnswer,  // Sends `bytes` of the answer's body, then hangs up.
    kShortAnswer,   // Sends only `bytes` of the body, as if that were all.
    kCorrupt,       // Flips a bit of the body's last byte.
    kHang,          // Never answers.
    kHangInAnswer,  // Sends `bytes` of the answer's body, then nothing more.
    kAnswerLost,    // Does what was asked for, then hangs up without an answer.
    kHeaders,       // Answers normally, with `headers` replaced.
  };
  Kind kind = Kind::kStatus;
  std::string method;     // Empty: any.
  std::string path_part;  // Empty: any; "" otherwise has to occur in the path.
  int times = 1;
  int skip = 0;  // So many matching requests pass unharmed before.
  int status = 503;
  std::size_t bytes = 0;
  http::Headers headers;
  std::string body;
};

struct LoggedRequest {
  std::string method, path;
  std::map<std::string, std::string> query;
  http::Headers headers;
  std::string body;  // Of token requests and manifests only.
  std::string line() const { return method + " " + path; }
};

class FakeRegistry {
 public:
  explicit FakeRegistry(FakeRegistryOptions options = {});

  std::string host() const { return server_.host(); }  // As it stands in references: "127.0.0.1:PORT".
  std::string url() const { return server_.url(); }

  oci::Digest add_blob(const std::string& repository, std::string bytes);
  oci::Digest add_manifest(const std::string& repository, const std::string& tag, std::string media_type,
                           std::string bytes);
  std::optional<std::string> blob(const std::string& repository, const oci::Digest& digest);
  std::optional<std::string> manifest(const std::string& repository, const std::string& tag_or_digest);
  std::size_t open_uploads();

  void inject(Fault fault);
  // Every token given out so far stops working, as if its time were over.
  void expire_tokens();
  void set_content_type(std::string type);  // What manifests are served as, instead of their own type.

  std::vector<LoggedRequest> log();
  // How many requests with that method (empty: any) and that text in their path have arrived.
  std::size_t count(std::string_view method, std::string_view path_part);
  void clear_log();

 private:
  struct Stored {
    std::string media_type, bytes;
  };
  struct Session {
    std::string repository, bytes;
  };
  struct Repository {
    std::map<std::string, std::string> blobs;  // By digest.
    std::map<std::string, Stored> manifests;   // By digest.
    std::map<std::string, std::string> tags;   // To a digest.
  };

  void handle(Exchange& exchange);
  std::optional<Fault> take_fault(const Exchange& exchange);
  // Whether the fault was the whole answer; else `fault` is left for reply().
  bool play(Exchange& exchange, const Fault& fault);
  bool authorized(Exchange& exchange);
  bool may(const Exchange& exchange, const std::string& scope);
  void issue_token(Exchange& exchange);
  void route(Exchange& exchange, const std::optional<Fault>& fault);
  void blobs(Exchange& exchange, const std::string& name, const std::string& digest, const std::optional<Fault>& fault);
  void manifests(Exchange& exchange, const std::string& name, const std::string& which,
                 const std::optional<Fault>& fault);
  void list_tags(Exchange& exchange, const std::string& name, const std::optional<Fault>& fault);
  void remove_manifest(Exchange& exchange, const std::string& name, const std::string& digest,
                       const std::optional<Fault>& fault);
  void put_manifest(Exchange& exchange, const std::string& name, const std::string& which,
                    const std::optional<Fault>& fault);
  void uploads(Exchange& exchange, const std::string& name, const std::string& id, const std::optional<Fault>& fault);
  void start_upload(Exchange& exchange, const std::string& name, const std::optional<Fault>& fault);
  void append(Exchange& exchange, const std::string& id, const std::optional<Fault>& fault);
  void commit(Exchange& exchange, const std::string& name, const std::string& id, const std::optional<Fault>& fault);
  void reply(Exchange& exchange, int status, http::Headers headers, std::string body,
             const std::optional<Fault>& fault);
  http::Headers session_headers(const std::string& name, const std::string& id, std::size_t received) const;

  const FakeRegistryOptions options_;
  std::mutex mutex_;
  std::map<std::string, Repository> repositories_;
  std::map<std::string, Session> sessions_;
  std::map<std::string, std::set<std::string>> tokens_;  // To what they allow: "a/b:pull".
  std::vector<Fault> faults_;
  std::vector<LoggedRequest> log_;
  std::string content_type_;
  int next_id_ = 1;
  HttpServer server_;  // Last: it stops before anything else goes.
};

}  // namespace imagebuild::fakes
