// The plan: a Dockerfile, solved. Pure data with a version, exchanged as JSON between the programs: everything is
// expanded, every base is pinned by digest, and each stage knows what it needs and what others take from it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/source_line.h"
#include "api/warning.h"
#include "base/result.h"
#include "oci/manifest.h"

namespace imagebuild::api {

// RUN --mount=type=secret.
struct SecretMount {
  std::string id;
  std::string target;  // Absolute path of the file; empty when only `env` is wanted.
  std::string env;     // Name of an environment variable that gets the content; empty for none.
  bool required = false;
  std::uint32_t mode = 0400;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool operator==(const SecretMount&) const = default;
};

// A file whose content stands in the Dockerfile itself (a heredoc).
struct InlineFile {
  std::string name;
  std::string content;
  bool operator==(const InlineFile&) const = default;
};

// Where COPY, ADD and mounts take files from.
struct FromContext {
  bool operator==(const FromContext&) const = default;
};
struct FromStage {
  int stage = 0;  // Index into Plan::stages; that stage exports what is taken.
  bool operator==(const FromStage&) const = default;
};
struct FromTree {
  int tree = 0;  // Index into Plan::trees.
  bool operator==(const FromTree&) const = default;
};
using CopyFrom = std::variant<FromContext, FromStage, FromTree>;

// RUN --mount=type=bind. Whatever the command writes there is dropped.
struct BindMount {
  CopyFrom from;
  std::string source;  // Relative to the tree's root, cleaned; "" is the root itself.
  std::string target;  // Absolute and cleaned.
  bool writable = false;
  bool operator==(const BindMount&) const = default;
};

// Who may use a cache at the same time: any step; one step a copy, so that a second one gets another copy; one step,
// for which the others wait.
enum class CacheSharing { kShared, kPrivate, kLocked };

// RUN --mount=type=cache: a folder that outlives the build.
struct CacheMount {
  std::string id;      // Steps that name the same id share the folder.
  std::string target;  // Absolute and cleaned.
  CacheSharing sharing = CacheSharing::kShared;
  std::optional<CopyFrom> from;  // What a new cache begins with; without it, an empty folder.
  std::string source;            // In `from`, as BindMount::source.
  bool read_only = false;        // What the command writes is dropped or refused.
  std::uint32_t mode = 0755;     // Of a new cache's folder, as uid and gid.
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool operator==(const CacheMount&) const = default;
};

// RUN --mount=type=tmpfs: an empty folder that is gone after the command.
struct TmpfsMount {
  std::string target;            // Absolute and cleaned.
  std::uint64_t size_bytes = 0;  // The most it may hold; 0: no limit of its own.
  bool operator==(const TmpfsMount&) const = default;
};

// RUN --mount=type=ssh: the socket of an SSH agent; the first of a step is its SSH_AUTH_SOCK.
struct SshMount {
  std::string id;      // "default" when the Dockerfile names none.
  std::string target;  // Absolute path of the socket.
  bool required = false;
  std::uint32_t mode = 0600;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool operator==(const SshMount&) const = default;
};

using Mount = std::variant<BindMount, CacheMount, TmpfsMount, SshMount>;

// RUN --network.
enum class Network { kDefault, kNone, kHost };

struct RunStep {
  std::vector<std::string> argv;     // Complete: the shell and its line, or the exec form.
  std::optional<InlineFile> script;  // RUN <<EOF with "#!": written as an executable file outside the root; argv[0] is
                                     // its name, to be replaced by its path.
  std::vector<std::string> env;  // "NAME=value": the whole environment but for HOME, which the stage's passwd gives.
  std::string user;              // As USER says it: "", "name", "1000", "name:group", "1000:1000".
  std::string working_dir;       // Absolute.
  std::vector<SecretMount> secrets;
  std::vector<Mount> mounts;  // Sorted by target: a mount below another one comes after it.
  Network network = Network::kDefault;
  bool operator==(const RunStep&) const = default;
};

// What ADD fetched from elsewhere, besides its sources from the context.
struct RemoteSource {
  int tree = 0;         // Index into Plan::trees: a download (its only file is copied) or a Git checkout (its content).
  bool unpack = false;  // --unpack: a downloaded archive is unpacked instead of copied.
  bool operator==(const RemoteSource&) const = default;
};

struct CopyStep {
  CopyFrom from;
  // Patterns (base/glob.h) relative to the tree's root, cleaned; "" is the root itself. With `parents`, a "/./" in one
  // says from where on its folders are kept.
  std::vector<std::string> sources;
  std::vector<RemoteSource> remotes;       // Besides `sources`, after them.
  std::vector<InlineFile> inline_sources;  // Besides these, after them.
  std::string destination;                 // Absolute and cleaned, without a trailing slash unless it is "/".
  bool destination_is_folder = false;      // Written with a trailing slash or as ".", or there are several sources.
  // --chown as written: "user", "user:group", "1:2"; empty: root, but files of stages keep their owners.
  std::string owner;
  std::string mode;                  // --chmod as written, octal ("0755") or symbolic ("u=rwX,go-w"); empty: unchanged.
  std::vector<std::string> exclude;  // --exclude: patterns as in .dockerignore, relative to the source tree's root.
  bool parents = false;              // --parents: sources keep the folders they stand in.
  bool link = false;             // --link: the layer depends on nothing below it, so no link in the root is followed.
  bool unpack_archives = false;  // ADD: a local tar archive is unpacked instead of copied.
  bool operator==(const CopyStep&) const = default;
};

// WORKDIR: makes the folder (0755) and its parents where they are missing.
struct WorkdirStep {
  std::string path;   // Absolute and cleaned.
  std::string owner;  // The USER in force, as CopyStep::owner; empty: root. Owns what has to be made.
  bool operator==(const WorkdirStep&) const = default;
};

// ENV, LABEL, CMD …: nothing happens in the file system.
struct MetadataStep {
  bool operator==(const MetadataStep&) const = default;
};

struct Step {
  SourceLine at;
  std::string text;        // One line for people: "RUN gcc -o app main.c".
  std::string created_by;  // For the image's history, as BuildKit writes it.
  std::variant<RunStep, CopyStep, WorkdirStep, MetadataStep> action;
  bool operator==(const Step&) const = default;
};

// An image from outside that a stage starts from.
struct BaseImage {
  std::string name;       // As the Dockerfile says it: "alpine:3.18", "oci-layout:///srv/base".
  std::string reference;  // Canonical and pinned ("docker.io/library/alpine:3.18@sha256:…") or the layout's address.
  std::string digest;     // Of the manifest for the wanted platform.
  std::string manifest_json;
  std::string config_json;
  bool operator==(const BaseImage&) const = default;
};

// A tree of files from outside that is no image. Preparing puts it on the volume (volume::tree_tar).
struct NamedContext {
  std::string name;  // --build-context NAME=folder
  bool operator==(const NamedContext&) const = default;
};
struct HttpDownload {
  std::string url;
  std::string checksum;  // "sha256:…"; empty: not checked.
  bool operator==(const HttpDownload&) const = default;
};
struct GitCheckout {
  std::string url;       // Without "#ref:folder".
  std::string ref;       // Branch, tag or commit; empty: the remote's HEAD.
  std::string folder;    // In the repository; empty: all of it.
  std::string checksum;  // The commit that `ref` must be, or how it begins; empty: not checked.
  bool keep_git_dir = false;
  bool submodules = true;
  bool operator==(const GitCheckout&) const = default;
};
struct FileTree {
  std::variant<NamedContext, HttpDownload, GitCheckout> origin;
  SourceLine at;  // Of the instruction that names it first.
  bool operator==(const FileTree&) const = default;
};

// What holds for every RUN of the build.
struct HostAlias {
  std::string name;
  std::string address;  // IPv4 or IPv6.
  bool operator==(const HostAlias&) const = default;
};
struct Ulimit {
  std::string name;       // As setrlimit's, without "RLIMIT_", in lower case: "nofile".
  std::int64_t soft = 0;  // -1: unlimited.
  std::int64_t hard = 0;
  bool operator==(const Ulimit&) const = default;
};
struct RunSettings {
  std::vector<HostAlias> hosts;  // --add-host
  std::vector<Ulimit> ulimits;   // --ulimit
  std::uint64_t shm_bytes = 0;   // --shm-size: of /dev/shm; 0: as the runtime has it.
  bool operator==(const RunSettings&) const = default;
};

struct Scratch {
  bool operator==(const Scratch&) const = default;
};
struct OnImage {
  int image = 0;  // Index into Plan::images.
  bool operator==(const OnImage&) const = default;
};
struct OnStage {
  int stage = 0;  // Index into Plan::stages; always smaller than the stage's own.
  bool operator==(const OnStage&) const = default;
};
using StageBase = std::variant<Scratch, OnImage, OnStage>;

struct PlanStage {
  std::string
      name;  // The name after AS, else the index in the Dockerfile; "image <name>" for COPY --from=<image>. Unique.
  SourceLine at;  // Of its FROM (or of the COPY --from).
  StageBase base;
  std::string platform;  // "linux/amd64"
  std::vector<Step> steps;
  std::vector<int> needs;  // Stages that must be done before this one starts; sorted, each smaller than its own index.
  std::vector<std::string> exports;  // Patterns that later stages copy from here, as in CopyStep::sources; sorted.
  // Some later stage or the image is built on this one, so each step's difference must be kept as a layer. Otherwise
  // only the exports leave the stage and no snapshot is taken.
  bool keep_layers = false;
  // Without keep_layers: the differences are kept all the same, for a cache alone, and not compressed.
  bool cache_layers = false;
  // The stage's steps or exports need its root file system: it runs in a container. Otherwise its layers are computed.
  bool needs_container = false;
  oci::RunConfig config;  // At the end of the stage.
  std::string author;     // MAINTAINER; empty: the base image's.
  bool operator==(const PlanStage&) const = default;
};

// An image that the build makes: a --target for one platform.
struct PlanTarget {
  int stage = 0;         // Index into Plan::stages.
  std::string platform;  // As it was asked for; the stage's own may be another (FROM --platform=…).
  std::string name;      // As --target says it; empty: the last stage. Targets of one name are one image for several
                         // platforms.
  bool operator==(const PlanTarget&) const = default;
};

// A rule of docs/rules that the Dockerfile does not want (`# check=skip=…`): for the checks of the built image.
struct SkippedRule {
  std::string rule;    // A rule's name, or "all".
  int first_line = 0;  // The lines of the instruction it is said for; 0 and 0: the whole file.
  int last_line = 0;
  bool operator==(const SkippedRule&) const = default;
};

struct Plan {
  static constexpr int kVersion = 2;

  std::string dockerfile;    // Its path, for messages.
  std::int64_t epoch_s = 0;  // No time in the image is later than this (SOURCE_DATE_EPOCH).
  // The user said the epoch; else it is that of the source's commit, and a cache does not ask for it.
  bool epoch_is_given = false;
  std::vector<BaseImage> images;
  std::vector<FileTree> trees;
  RunSettings run;
  std::vector<PlanStage> stages;    // Only those that the targets need, in an order in which they could run one by one.
  std::vector<PlanTarget> targets;  // At least one; those of one name stand side by side.
  std::vector<Warning> warnings;
  std::vector<SkippedRule> skipped_rules;
  bool operator==(const Plan&) const = default;

  std::string json() const;                          // Deterministic.
  static Result<Plan> parse(std::string_view json);  // kCorrupt for anything but a plan of this version.
};

// "Dockerfile:3: LegacyKeyValueFormat: …": a warning for people.
std::string text_of(const Plan& plan, const Warning& warning);
// "Dockerfile:3:1": how messages name a place in the plan's Dockerfile; without the column where it is not known (0).
std::string place(const Plan& plan, const SourceLine& at);
// What the Dockerfile calls the stage: its name without what tells it from the same stage for another platform
// ("build (linux/arm64)").
std::string written_name(const PlanStage& stage);
// The names of the targets, each once, in their order: one for each image that is published.
std::vector<std::string> target_names(const Plan& plan);
// The targets of one name.
std::vector<PlanTarget> targets_named(const Plan& plan, const std::string& name);
// How many of the stage's first steps leave their layers: all with keep_layers, else with cache_layers those up to the
// last RUN that a step follows. (A cache gives the last one's work as exports, and a COPY costs no more than its
// layer.)
std::size_t steps_with_layers(const PlanStage& stage);
// The image at the bottom of a stage's chain of bases; nullptr for scratch.
const BaseImage* root_image(const Plan& plan, int stage);
// The stages from the bottom of the chain up to `stage` itself.
std::vector<int> base_chain(const Plan& plan, int stage);
// The ids of the secrets that the stage's RUN steps mount: sorted, each once. Secret n of a stage's volume is the n-th.
std::vector<std::string> secret_ids(const Plan& plan, int stage);
// The same for its cache mounts (volume::kCaches) and its SSH mounts (volume::kSsh).
std::vector<std::string> cache_ids(const Plan& plan, int stage);
std::vector<std::string> ssh_ids(const Plan& plan, int stage);

}  // namespace imagebuild::api
