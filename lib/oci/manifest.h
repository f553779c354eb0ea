// Descriptors, manifests, indexes and image configs: OCI image-spec 1.1 and Docker image manifest v2 schema 2.
// Every parse() takes untrusted text: wrong types, missing fields and negative sizes are kCorrupt, excess is kLimit,
// and what the formats allow but this program does not do (schema 1, sha512) is kUnsupported. Unknown members are
// ignored and null counts as absent, as in Docker. Every json() is deterministic: sorted keys, no white space, no empty
// members.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/digest.h"
#include "oci/platform.h"

namespace imagebuild::oci {

namespace media_type {
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";

// Whether a media type is that of an index (a list of images), of a manifest, of an image's config: OCI's or Docker's.
bool is_index(std::string_view media_type);
bool is_manifest(std::string_view media_type);
bool is_config(std::string_view media_type);
}  // namespace media_type

// The largest manifest or config that is read (registries accept 4 MiB).
inline constexpr std::uint64_t kMaxManifestBytes = 4U << 20;

struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size_bytes = 0;
  std::optional<Platform> platform;  // In an index only.
  std::map<std::string, std::string> annotations;
};

struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  std::map<std::string, std::string> annotations;

  static Result<Manifest> parse(std::string_view json);
  std::string json() const;
};

struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
  std::map<std::string, std::string> annotations;

  static Result<Index> parse(std::string_view json);
  std::string json() const;
  // The best image for `wanted`: an exact variant before a missing one; attestations (platform unknown/unknown) never.
  // The only entry without a platform is taken when nothing else fits; it may itself be an index. kNotFound names the
  // platforms that there are.
  Result<Descriptor> choose(const Platform& wanted) const;
};

struct Healthcheck {
  std::vector<std::string> test;  // {"NONE"}, {"CMD", …} or {"CMD-SHELL", line}.
  std::int64_t interval_ns = 0, timeout_ns = 0, start_period_ns = 0, start_interval_ns = 0;  // 0: inherited.
  int retries = 0;
  bool operator==(const Healthcheck&) const = default;
};

// What a container of the image runs, and how (the "config" member, plus Docker's extensions).
struct RunConfig {
  std::string user;
  std::vector<std::string> env;  // "NAME=value", in order, each name once.
  std::optional<std::vector<std::string>> entrypoint;
  std::optional<std::vector<std::string>> cmd;
  std::vector<std::string> volumes;        // Sorted.
  std::vector<std::string> exposed_ports;  // Sorted: "80/tcp".
  std::string working_dir;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
  std::optional<Healthcheck> healthcheck;
  std::vector<std::string> shell;     // Empty: ["/bin/sh", "-c"].
  std::vector<std::string> on_build;  // Triggers, as written.
  bool operator==(const RunConfig&) const = default;
};

struct History {
  std::string created;  // RFC 3339, or empty.
  std::string created_by;
  std::string comment;
  std::string author;
  bool empty_layer = false;
  bool operator==(const History&) const = default;
};

struct ImageConfig {
  std::string created;  // RFC 3339, or empty.
  std::string author;
  Platform platform = Platform::host();
  RunConfig config;
  std::vector<Digest> diff_ids;
  std::vector<History> history;

  // A history that does not tell as many layers as there are is repaired as align_history() does: such images exist and
  // run. A missing "os" or "architecture" is this machine's.
  static Result<ImageConfig> parse(std::string_view json);
  std::string json() const;
  // Makes `history` have exactly one non-empty entry for each diff id: the oldest surplus entries become empty layers,
  // missing ones are added at the end. Call it before adding to a base image that may have no history at all.
  void align_history();
};

}  // namespace imagebuild::oci
