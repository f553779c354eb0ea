// The command line, parsed: what each command is to do, checked as far as it can be without touching anything.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "archive/compress.h"
#include "builder/prepare/registries.h"
#include "builder/publish/publish.h"
#include "builder/source/named_contexts.h"
#include "cli/cache_spec.h"
#include "cli/output_spec.h"
#include "oci/platform.h"
#include "oci/reference.h"

namespace imagebuild::cli {

// The caller's environment: the value of a variable, if it is set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

// What both `build` and `plan` start from.
struct SourceOptions {
  std::string context;
  std::string dockerfile;
  std::vector<std::string> targets;                             // Stages; none: the last.
  std::vector<std::pair<std::string, std::string>> build_args;  // Names without a value are resolved or dropped.
  std::vector<oci::Platform> platforms;                         // None: this machine's.
  std::vector<builder::NamedContext> build_contexts;            // Of one name, the last that was given.
  api::RunSettings run;
  std::optional<std::int64_t> epoch_s;  // $SOURCE_DATE_EPOCH
  builder::RegistryOptions registry;
};

enum class ProgressMode { kAuto, kTty, kPlain, kJson };

struct BuildOptions {
  SourceOptions source;
  builder::TargetTags tags;              // By SourceOptions::targets; "" when there are none.
  std::vector<builder::Output> outputs;  // With tags and no --output: the registry.
  std::vector<SecretSource> secrets;
  std::vector<std::string> ssh;  // As given; see read_ssh().
  bool no_cache = false;
  std::vector<CacheSpec> cache_from, cache_to;  // Besides the store; in the order given, each once.
  ProgressMode progress = ProgressMode::kAuto;
  std::filesystem::path iid_file, metadata_file;  // Empty: not wanted.
  std::filesystem::path store;                    // Never empty.
  archive::Compression compression = archive::Compression::kGzip;
  unsigned parallel = 0;  // How many stages run at once; 0: one per CPU.
};

enum class PlanFormat { kText, kJson, kDot };

struct PlanOptions {
  SourceOptions source;
  PlanFormat format = PlanFormat::kText;
  std::filesystem::path store;  // What its cache has is told. Never empty.
};

enum class LintFormat { kText, kJson, kSarif };

struct LintOptions {
  std::string context = ".";
  std::string dockerfile;  // As -f gives it; empty: "Dockerfile" in the context.
  std::string target;
  std::map<std::string, std::string> build_args;  // Names without a value are resolved or dropped.
  std::vector<oci::Platform> platforms;           // Never empty.
  std::vector<std::string> named_contexts;        // The names of --build-context.
  LintFormat format = LintFormat::kText;
  bool warn_only = false;  // Findings do not make the command fail.
};

struct CacheOptions {
  enum class Action { kList, kUsage, kPrune };
  Action action = Action::kList;
  std::filesystem::path store;                     // Never empty.
  std::optional<CacheSpec> cache;                  // This one instead of the store.
  builder::RegistryOptions registry;               // Of `cache`.
  bool json = false;                               // Otherwise text.
  std::uint64_t max_bytes = UINT64_MAX;            // Of kPrune: what may stay.
  std::optional<std::chrono::seconds> older_than;  // Of kPrune: what was not used for so long goes.
  bool all = false;                                // Of kPrune: everything goes.
};

struct VersionOptions {};

// --help: to be printed on standard output.
struct HelpText {
  std::string text;
};

// The command line is wrong.
struct UsageError {
  std::string message;  // One sentence, without a final full stop.
  std::string command;  // Whose --help helps: "imagebuild build".
};

using Command =
    std::variant<BuildOptions, PlanOptions, LintOptions, CacheOptions, VersionOptions, HelpText, UsageError>;

// `arguments` without the program's name.
Command parse_command(std::span<const std::string> arguments, const Environment& environment);

// Where unpacked layers are kept when --store is not given: $IMAGEBUILD_STORE, else $XDG_CACHE_HOME/imagebuild, else
// $HOME/.cache/imagebuild, else /var/cache/imagebuild.
std::filesystem::path default_store(const Environment& environment);

}  // namespace imagebuild::cli
