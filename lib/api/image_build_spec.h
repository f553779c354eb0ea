// What a user asks of an ImageBuild (imagebuild.dev/v1alpha1): the spec as typed values. The custom resource
// definition in crds/ says the same in OpenAPI; a test keeps the two together.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/plan.h"

namespace imagebuild::api {

struct SecretRef {
  std::string name;
  bool operator==(const SecretRef&) const = default;
};
struct ConfigMapRef {
  std::string name;
  bool operator==(const ConfigMapRef&) const = default;
};
// One key of a Secret or ConfigMap in the ImageBuild's namespace.
struct KeyRef {
  std::string name;
  std::string key;
  bool operator==(const KeyRef&) const = default;
};

struct GitSource {
  std::string url;       // https, http, ssh or git, or "user@host:path".
  std::string revision;  // Branch, tag or commit; empty: the remote's HEAD.
  std::optional<SecretRef> secret;
  std::optional<std::int64_t> depth;  // Commits to fetch; 0: all; absent: kDefaultGitDepth.
  bool submodules = false;
  bool operator==(const GitSource&) const = default;
};
struct HttpSource {
  std::string url;     // Of a tar (plain or compressed) or zip archive.
  std::string sha256;  // 64 lower-case hexadecimal digits; empty: not checked.
  std::optional<SecretRef> secret;
  bool operator==(const HttpSource&) const = default;
};
struct InlineSource {
  std::map<std::string, std::string> files;  // Path to text.
  bool operator==(const InlineSource&) const = default;
};
struct ClaimSource {
  std::string claim_name;
  bool operator==(const ClaimSource&) const = default;
};
struct OciSource {
  std::string image;  // Its file system is the context.
  bool operator==(const OciSource&) const = default;
};

// Where the context comes from: exactly one of the six (validate() sees to it).
struct Source {
  std::optional<GitSource> git;
  std::optional<HttpSource> http;
  std::optional<InlineSource> inline_files;
  std::optional<ConfigMapRef> config_map;
  std::optional<ClaimSource> claim;
  std::optional<OciSource> oci;
  std::string sub_path;  // The folder below the source that is the context; empty: all of it.
  bool operator==(const Source&) const = default;
};

// A tree or image by a name that the Dockerfile uses as it uses a stage: FROM name, COPY --from=name. It goes before an
// image of that name.
struct BuildContext {
  std::string name;
  std::string image;  // Stands for the image `name`; empty: `files` says where the tree comes from (never by `oci`).
  Source files;
  bool operator==(const BuildContext&) const = default;
};

struct ValueFrom {
  std::optional<KeyRef> config_map_key;
  bool operator==(const ValueFrom&) const = default;
};
struct BuildArg {
  std::string name;
  std::optional<std::string> value;  // Exactly one of the two.
  std::optional<ValueFrom> value_from;
  bool operator==(const BuildArg&) const = default;
};

// A secret for RUN --mount=type=secret,id=….
struct BuildSecret {
  std::string id;
  KeyRef key;
  bool operator==(const BuildSecret&) const = default;
};

// A private key for RUN --mount=type=ssh,id=….
struct BuildSsh {
  std::string id;  // Empty: kDefaultSshId.
  KeyRef key;
  bool operator==(const BuildSsh&) const = default;
};

// Where the folders of RUN --mount=type=cache lie; without a claim they go with the stage's pod.
struct CacheMounts {
  std::optional<ClaimSource> claim;
  bool operator==(const CacheMounts&) const = default;
};

// A line of /etc/hosts (core/v1 HostAlias).
struct ExtraHost {
  std::string ip;
  std::vector<std::string> hostnames;
  bool operator==(const ExtraHost&) const = default;
};
// setrlimit(2) for RUN.
struct RunLimit {
  std::string name;                  // As kRunLimitNames.
  std::int64_t soft = 0;             // -1: unlimited.
  std::optional<std::int64_t> hard;  // Absent: as soft.
  bool operator==(const RunLimit&) const = default;
};

enum class Compression { kGzip, kZstd };
struct Output {
  std::string image;                         // Repository and tag to push to.
  std::vector<std::string> additional_tags;  // More tags in the same repository.
  std::optional<SecretRef> push_secret;      // kubernetes.io/dockerconfigjson.
  bool insecure = false;                     // Plain HTTP or an unverified certificate.
  Compression compression = Compression::kGzip;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  bool operator==(const Output&) const = default;
};

// A Kubernetes quantity as written ("500m", "2Gi"); validate() looks into it.
struct Quantity {
  std::string text;
  bool operator==(const Quantity&) const = default;
};
struct ResourceNeeds {
  std::map<std::string, Quantity> requests;
  std::map<std::string, Quantity> limits;
  bool operator==(const ResourceNeeds&) const = default;
};
// core/v1 Toleration.
struct Toleration {
  std::string key;
  std::string op;  // "Exists", "Equal" or empty (Equal).
  std::string value;
  std::string effect;
  std::optional<std::int64_t> seconds;
  bool operator==(const Toleration&) const = default;
};
// A JSON object that is passed on as it is; empty: absent.
struct RawJson {
  std::string text;
  bool operator==(const RawJson&) const = default;
};
// How the pods of stages are made.
struct PodSettings {
  ResourceNeeds resources;
  std::map<std::string, std::string> node_selector;
  std::vector<Toleration> tolerations;
  RawJson affinity;  // core/v1 Affinity.
  std::string runtime_class_name;
  std::string priority_class_name;
  std::string service_account_name;
  bool operator==(const PodSettings&) const = default;
};
struct StageSettings {
  std::string name;  // As the Dockerfile's AS says, or the stage's index.
  PodSettings pod;
  bool operator==(const StageSettings&) const = default;
};

// A repository that keeps results of stages.
struct CacheRegistry {
  std::string repository;           // Without tag and digest.
  std::optional<SecretRef> secret;  // kubernetes.io/dockerconfigjson; absent: those to pull and push with.
  bool insecure = false;            // As Output::insecure.
  bool operator==(const CacheRegistry&) const = default;
};
// Where the results of stages outlive the build: at most one place (validate() sees to it). Without one, and not
// disabled, the operator's own settings count.
struct CacheSettings {
  std::optional<ClaimSource> claim;
  std::optional<CacheRegistry> registry;
  Quantity max_size;  // Of a claim's; empty: kDefaultCacheSize.
  std::string ttl;    // Of a claim's: what was not used for so long goes; empty: kDefaultCacheTtl.
  bool disabled = false;
  bool operator==(const CacheSettings&) const = default;
};

enum class Transport { kVolume, kRegistry };
struct ArtifactVolume {
  std::string storage_class_name;  // Empty: the cluster's default.
  Quantity size;                   // Empty: kDefaultArtifactSize.
  std::vector<std::string> access_modes;
  bool operator==(const ArtifactVolume&) const = default;
};
struct Artifacts {
  Transport transport = Transport::kVolume;
  ArtifactVolume volume;
  std::string repository;  // For Transport::kRegistry.
  bool operator==(const Artifacts&) const = default;
};

inline constexpr std::int64_t kDefaultGitDepth = 1;
inline constexpr const char* kDefaultArtifactSize = "10Gi";
inline constexpr const char* kDefaultAccessMode = "ReadWriteOnce";
inline constexpr const char* kDefaultTimeout = "1h";
inline constexpr std::int64_t kDefaultRetries = 2;
inline constexpr std::int64_t kDefaultTtlSeconds = 3600;
inline constexpr const char* kDefaultSshId = "default";
inline constexpr const char* kDefaultCacheSize = "10Gi";
inline constexpr const char* kDefaultCacheTtl = "336h";
// The limits of setrlimit(2), without "RLIMIT_", in lower case.
inline constexpr const char* kRunLimitNames[] = {"as",      "core",     "cpu",        "data",   "fsize", "locks",
                                                 "memlock", "msgqueue", "nice",       "nofile", "nproc", "rss",
                                                 "rtprio",  "rttime",   "sigpending", "stack"};

struct ImageBuildSpec {
  Source source;
  std::string dockerfile;  // Path in the context; empty with no dockerfile_inline: "Dockerfile".
  std::string dockerfile_inline;
  std::string target;                  // Stage name or index; empty: the last.
  std::vector<std::string> platforms;  // "linux/arm64"; empty: the platform of the node that prepares.
  std::vector<BuildArg> build_args;
  std::vector<BuildContext> contexts;
  std::vector<BuildSecret> secrets;
  std::vector<BuildSsh> ssh;
  CacheMounts cache_mounts;
  CacheSettings cache;
  std::vector<ExtraHost> extra_hosts;
  std::vector<RunLimit> ulimits;
  Quantity shm_size;  // Of /dev/shm in stages that run something; empty: as the node's container runtime has it.
  Output output;
  std::vector<SecretRef> image_pull_secrets;
  std::vector<StageSettings> stages;
  PodSettings stage_defaults;
  Artifacts artifacts;
  std::string timeout;        // Of the whole build; empty: kDefaultTimeout.
  std::string stage_timeout;  // Of each pod; empty: only `timeout` counts.
  std::optional<std::int64_t> retries;
  std::optional<std::int64_t> ttl_seconds_after_finished;
  bool suspend = false;
  bool cancel = false;
  bool operator==(const ImageBuildSpec&) const = default;
};

// Whether results of stages are looked up and kept.
bool uses_cache(const CacheSettings& cache);

// Whether the claim may be mounted on several nodes at once (ReadWriteMany).
bool spreads_over_nodes(const ArtifactVolume& volume);

// Whether all pods of a build must run on one node, because its artifact claim can be mounted on one only.
bool on_one_node(const ImageBuildSpec& spec);

// What the spec says of a cache, or `of_operator` where it says nothing and could use one.
CacheSettings cache_or_default(const ImageBuildSpec& spec, const CacheSettings& of_operator);

// The settings of one stage: its own over the defaults, member by member.
PodSettings settings_for(const ImageBuildSpec& spec, const std::string& stage);

// What of the spec holds for every RUN, as the plan says it. `spec` has passed validate().
RunSettings run_settings(const ImageBuildSpec& spec);

// The key for an SSH mount's id; null when the spec has none.
const BuildSsh* find_ssh(const ImageBuildSpec& spec, const std::string& id);

}  // namespace imagebuild::api
