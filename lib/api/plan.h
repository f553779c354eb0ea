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

#include "base/result.h"
#include "oci/manifest.h"

namespace imagebuild::api {

// Where a step stands in the Dockerfile; line and column count from 1.
struct SourceLine {
  int line = 0;
  int column = 0;
  bool operator==(const SourceLine&) const = default;
};

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

struct RunStep {
  std::vector<std::string> argv;     // Complete: the shell and its line, or the exec form.
  std::optional<InlineFile> script;  // RUN <<EOF with "#!": written as an executable file outside the root; argv[0] is
                                     // its name, to be replaced by its path.
  std::vector<std::string> env;  // "NAME=value": the whole environment but for HOME, which the stage's passwd gives.
  std::string user;              // As USER says it: "", "name", "1000", "name:group", "1000:1000".
  std::string working_dir;       // Absolute.
  std::vector<SecretMount> secrets;
  bool operator==(const RunStep&) const = default;
};

// Where COPY and ADD take files from.
struct FromContext {
  bool operator==(const FromContext&) const = default;
};
struct FromStage {
  int stage = 0;  // Index into Plan::stages; that stage exports the step's sources.
  bool operator==(const FromStage&) const = default;
};
using CopyFrom = std::variant<FromContext, FromStage>;

struct CopyStep {
  CopyFrom from;
  std::vector<std::string>
      sources;  // Patterns (base/glob.h) relative to the tree's root, cleaned; "" is the root itself.
  std::vector<InlineFile> inline_sources;  // Besides `sources`.
  std::string destination;                 // Absolute and cleaned, without a trailing slash unless it is "/".
  bool destination_is_folder = false;      // Written with a trailing slash or as ".", or there are several sources.
  std::string
      owner;  // --chown as written: "user", "user:group", "1:2"; empty: root for the context, unchanged for stages.
  std::optional<std::uint32_t> mode;  // --chmod, for files and folders alike.
  bool unpack_archives = false;       // ADD: a local tar archive is unpacked instead of copied.
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
  // The stage's steps or exports need its root file system: it runs in a container. Otherwise its layers are computed.
  bool needs_container = false;
  oci::RunConfig config;  // At the end of the stage.
  std::string author;     // MAINTAINER; empty: the base image's.
  bool operator==(const PlanStage&) const = default;
};

struct Plan {
  static constexpr int kVersion = 1;

  std::string dockerfile;    // Its path, for messages.
  std::int64_t epoch_s = 0;  // No time in the image is later than this (SOURCE_DATE_EPOCH).
  std::vector<BaseImage> images;
  std::vector<PlanStage> stages;  // Only those that the target needs, in an order in which they could run one by one.
  int target = 0;                 // Index into stages.
  std::vector<std::string> warnings;
  bool operator==(const Plan&) const = default;

  std::string json() const;                          // Deterministic.
  static Result<Plan> parse(std::string_view json);  // kCorrupt for anything but a plan of this version.
};

// "Dockerfile:3:1": how messages name a place in the plan's Dockerfile; without the column where it is not known (0).
std::string place(const Plan& plan, const SourceLine& at);
// The image at the bottom of a stage's chain of bases; nullptr for scratch.
const BaseImage* root_image(const Plan& plan, int stage);
// The stages from the bottom of the chain up to `stage` itself.
std::vector<int> base_chain(const Plan& plan, int stage);
// The ids of the secrets that the stage's RUN steps mount: sorted, each once. Secret n of a stage's volume is the n-th.
std::vector<std::string> secret_ids(const Plan& plan, int stage);

}  // namespace imagebuild::api
