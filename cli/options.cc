#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/nearest.h"
#include "builder/prepare/run_settings.h"
#include "cli/cache_options.h"
#include "cli/command_line.h"
#include "cli/help_texts.h"
#include "cli/lint_options.h"
#include "cli/target_spec.h"

namespace imagebuild::cli {

namespace {

// What CLI11 fills, before anything is checked.
struct RawSource {
  std::string context;
  std::string dockerfile;
  std::vector<std::string> targets, platforms, build_args, build_contexts, hosts, ulimits;
  std::string shm_size;
  builder::RegistryOptions registry;
};

struct RawBuild {
  RawSource source;
  std::vector<std::string> tags, outputs, secrets, ssh, cache_from, cache_to;
  bool no_cache = false;
  std::string progress = "auto", compression = "gzip";
  std::string iid_file, metadata_file, store;
  unsigned parallel = 0;
};

struct RawPlan {
  RawSource source;
  std::string format = "text";
  std::string store;
};

void add_source_options(CLI::App& app, RawSource& source, const char* targets_name = "STAGE",
                        const char* targets_help = kPlanTargetHelp) {
  app.add_option("CONTEXT", source.context, kContextHelp)->type_name("");
  add_text(app, "-f,--file", source.dockerfile, "FILE", kFileHelp)->group("What to build");
  add_repeated(app, "--target", source.targets, targets_name, targets_help)->group("What to build");
  add_repeated(app, "--build-arg", source.build_args, "K[=V]", kBuildArgHelp)->group("What to build");
  add_repeated(app, "--platform", source.platforms, "OS/ARCH,…", kPlatformHelp)->group("What to build");
  add_repeated(app, "--build-context", source.build_contexts, "NAME=VALUE", kBuildContextHelp)->group("What to build");
  add_repeated(app, "--add-host", source.hosts, "NAME:ADDRESS", kAddHostHelp)->group("What RUN sees");
  add_repeated(app, "--ulimit", source.ulimits, "NAME=SOFT[:HARD]", kUlimitHelp)->group("What RUN sees");
  add_text(app, "--shm-size", source.shm_size, "SIZE", kShmSizeHelp)->group("What RUN sees");
  add_registry_options(app, source.registry);
}

void add_build_options(CLI::App& app, RawBuild& build) {
  add_source_options(app, build.source, "STAGE[=REF]", kTargetHelp);
  add_repeated(app, "--secret", build.secrets, "SECRET", kSecretHelp)->group("What to build");
  add_repeated(app, "--ssh", build.ssh, "SSH", kSshHelp)->group("What to build");
  add_repeated(app, "-t,--tag", build.tags, "REF", kTagHelp)->group("Where the image goes");
  add_repeated(app, "-o,--output", build.outputs, "OUTPUT", kOutputHelp)->group("Where the image goes");
  add_text(app, "--compression", build.compression, "KIND", kCompressionHelp)->group("Where the image goes");
  add_text(app, "--iidfile", build.iid_file, "FILE", kIidFileHelp)->group("Where the image goes");
  add_text(app, "--metadata-file", build.metadata_file, "FILE", kMetadataHelp)->group("Where the image goes");
  add_text(app, "--progress", build.progress, "MODE", kProgressHelp)->group("How it runs");
  add_repeated(app, "--cache-from", build.cache_from, "CACHE", kCacheFromHelp)->group("What is kept between builds");
  add_repeated(app, "--cache-to", build.cache_to, "CACHE", kCacheToHelp)->group("What is kept between builds");
  app.add_flag("--no-cache", build.no_cache, kNoCacheHelp)->group("What is kept between builds");
  app.add_option("--parallel", build.parallel, kParallelHelp)->type_name("N")->group("How it runs");
  add_text(app, "--store", build.store, "DIR", kStoreHelp)->group("What is kept between builds");
}

Result<std::optional<std::int64_t>> source_date_epoch(const Environment& environment) {
  const std::optional<std::string> text = environment("SOURCE_DATE_EPOCH");
  if (!text || text->empty()) return std::optional<std::int64_t>();
  std::int64_t seconds = 0;
  const char* const end = text->data() + text->size();
  const auto parsed = std::from_chars(text->data(), end, seconds);
  if (parsed.ec != std::errc() || parsed.ptr != end || seconds < 0) {
    return Error{ErrorCode::kInvalidInput,
                 "SOURCE_DATE_EPOCH is " + in_quotes(*text) + ", not a number of seconds since 1970"};
  }
  return std::optional(seconds);
}

Result<std::vector<TargetSpec>> parse_targets(const std::vector<std::string>& texts) {
  std::vector<TargetSpec> targets;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(TargetSpec target, parse_target(text));
    targets.push_back(std::move(target));
  }
  return targets;
}

// As with build arguments, the last of a name counts.
Result<std::vector<builder::NamedContext>> check_build_contexts(const std::vector<std::string>& given) {
  std::vector<builder::NamedContext> contexts;
  for (const std::string& text : given) {
    ASSIGN_OR_RETURN(builder::NamedContext context, builder::parse_named_context(text).in("--build-context"));
    std::erase_if(contexts, [&](const builder::NamedContext& other) { return other.name == context.name; });
    contexts.push_back(std::move(context));
  }
  return contexts;
}

Result<api::RunSettings> check_run_settings(const RawSource& raw) {
  api::RunSettings run;
  for (const std::string& text : raw.hosts) {
    ASSIGN_OR_RETURN(api::HostAlias host, builder::parse_host(text).in("--add-host"));
    run.hosts.push_back(std::move(host));
  }
  for (const std::string& text : raw.ulimits) {
    ASSIGN_OR_RETURN(api::Ulimit limit, builder::parse_ulimit(text).in("--ulimit"));
    std::erase_if(run.ulimits, [&](const api::Ulimit& other) { return other.name == limit.name; });
    run.ulimits.push_back(std::move(limit));
  }
  if (raw.shm_size.empty()) return run;
  ASSIGN_OR_RETURN(run.shm_bytes, builder::parse_bytes(raw.shm_size).in("--shm-size"));
  return run;
}

Result<SourceOptions> check_source(const RawSource& raw, const Environment& environment) {
  const auto invalid = [](std::string message) { return Error{ErrorCode::kInvalidInput, std::move(message)}; };
  if (raw.context.empty()) {
    return invalid("no build context is given; name a folder, a tar file or '-' (for this folder: '.')");
  }
  SourceOptions source;
  source.context = raw.context;
  source.dockerfile = raw.dockerfile;
  source.registry = raw.registry;
  for (const std::string& text : raw.build_args) {
    auto [name, value] = split_assignment(text);
    if (name.empty()) return invalid("--build-arg: " + in_quotes(text) + " has no name");
    if (text.find('=') == std::string::npos) {
      const std::optional<std::string> inherited = environment(name);
      if (!inherited) continue;
      value = *inherited;
    }
    source.build_args.emplace_back(std::move(name), std::move(value));
  }
  ASSIGN_OR_RETURN(const std::vector<TargetSpec> targets, parse_targets(raw.targets));
  source.targets = stages_of(targets);
  ASSIGN_OR_RETURN(source.platforms, parse_platforms(raw.platforms));
  ASSIGN_OR_RETURN(source.build_contexts, check_build_contexts(raw.build_contexts));
  ASSIGN_OR_RETURN(source.run, check_run_settings(raw));
  ASSIGN_OR_RETURN(source.epoch_s, source_date_epoch(environment));
  return source;
}

Result<std::vector<CacheSpec>> parse_caches(const std::vector<std::string>& texts,
                                            Result<CacheSpec> (*parse)(std::string_view)) {
  std::vector<CacheSpec> caches;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(CacheSpec cache, parse(text));
    if (std::ranges::find(caches, cache) == caches.end()) caches.push_back(std::move(cache));
  }
  return caches;
}

Status check_outputs(BuildOptions& build) {
  const auto is_registry = [](const builder::Output& output) {
    return output.kind == builder::Output::Kind::kRegistry;
  };
  if (build.outputs.empty() && !build.tags.empty()) build.outputs.emplace_back();
  if (std::ranges::count_if(build.outputs, is_registry) > 1) {
    return Error{ErrorCode::kInvalidInput, "--output: type=registry is given twice"};
  }
  if (build.tags.empty() && std::ranges::any_of(build.outputs, is_registry)) {
    return Error{ErrorCode::kInvalidInput, "--output: type=registry needs a name to push to; add -t REF"};
  }
  const bool several = build.source.targets.size() > 1 || build.source.platforms.size() > 1;
  if (several && std::ranges::any_of(build.outputs, [](const builder::Output& output) {
        return output.kind == builder::Output::Kind::kDockerArchive;
      })) {
    return Error{ErrorCode::kInvalidInput,
                 "--output: type=docker-archive holds one image for one platform; write several with "
                 "type=oci-archive,dest=FILE"};
  }
  for (std::size_t i = 0; i < build.outputs.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!build.outputs[i].destination.empty() && build.outputs[i].destination == build.outputs[j].destination) {
        return Error{ErrorCode::kInvalidInput,
                     "--output: two outputs have the same dest=" + build.outputs[i].destination.string()};
      }
    }
  }
  return ok();
}

Result<BuildOptions> check_build(const RawBuild& raw, const Environment& environment) {
  BuildOptions build;
  ASSIGN_OR_RETURN(build.source, check_source(raw.source, environment));
  std::vector<oci::Reference> tags;
  for (const std::string& text : raw.tags) {
    ASSIGN_OR_RETURN(oci::Reference tag, parse_image_name("--tag", text));
    if (std::ranges::find(tags, tag) == tags.end()) tags.push_back(std::move(tag));
  }
  for (const std::string& text : raw.outputs) {
    ASSIGN_OR_RETURN(builder::Output output, parse_output(text));
    build.outputs.push_back(std::move(output));
  }
  ASSIGN_OR_RETURN(const std::vector<TargetSpec> targets, parse_targets(raw.source.targets));
  ASSIGN_OR_RETURN(build.tags, tags_by_target(targets, tags, !build.outputs.empty()));
  RETURN_IF_ERROR(check_outputs(build));
  if (!raw.iid_file.empty() && build.source.targets.size() > 1) {
    return Error{ErrorCode::kInvalidInput,
                 "--iidfile holds one image ID; with several --target take --metadata-file, which has all"};
  }
  for (const std::string& text : raw.secrets) {
    ASSIGN_OR_RETURN(SecretSource secret, parse_secret(text));
    if (std::ranges::any_of(build.secrets, [&](const SecretSource& other) { return other.id == secret.id; })) {
      return Error{ErrorCode::kInvalidInput, "--secret: id " + in_quotes(secret.id) + " is given twice"};
    }
    build.secrets.push_back(std::move(secret));
  }
  build.ssh = raw.ssh;
  ASSIGN_OR_RETURN(build.progress, choose<ProgressMode>("--progress", raw.progress,
                                                        {{"auto", ProgressMode::kAuto},
                                                         {"tty", ProgressMode::kTty},
                                                         {"plain", ProgressMode::kPlain},
                                                         {"json", ProgressMode::kJson}}));
  ASSIGN_OR_RETURN(build.compression, choose<archive::Compression>("--compression", raw.compression,
                                                                   {{"gzip", archive::Compression::kGzip},
                                                                    {"zstd", archive::Compression::kZstd}}));
  build.no_cache = raw.no_cache;
  ASSIGN_OR_RETURN(build.cache_from, parse_caches(raw.cache_from, parse_cache_from));
  ASSIGN_OR_RETURN(build.cache_to, parse_caches(raw.cache_to, parse_cache_to));
  build.iid_file = raw.iid_file;
  build.metadata_file = raw.metadata_file;
  build.store = raw.store.empty() ? default_store(environment) : std::filesystem::path(raw.store);
  constexpr unsigned kMostStages = 256;
  if (raw.parallel > kMostStages) {
    return Error{ErrorCode::kInvalidInput, "--parallel: at most " + std::to_string(kMostStages) + " stages at once"};
  }
  build.parallel = raw.parallel;
  return build;
}

Result<PlanOptions> check_plan(const RawPlan& raw, const Environment& environment) {
  PlanOptions plan;
  ASSIGN_OR_RETURN(plan.source, check_source(raw.source, environment));
  for (const std::string& text : raw.source.targets) {
    if (text.find('=') == std::string::npos) continue;
    return Error{ErrorCode::kInvalidInput, "--target: " + in_quotes(text) + " names an image, but plan makes none"};
  }
  ASSIGN_OR_RETURN(
      plan.format,
      choose<PlanFormat>("--format", raw.format,
                         {{"text", PlanFormat::kText}, {"json", PlanFormat::kJson}, {"dot", PlanFormat::kDot}}));
  plan.store = raw.store.empty() ? default_store(environment) : std::filesystem::path(raw.store);
  return plan;
}

template <class T>
Command to_command(Result<T> checked, const std::string& command) {
  if (!checked.ok()) return UsageError{checked.error().message, command};
  return std::move(checked).value();
}

Command unknown_command(const std::string& word) {
  const std::vector<std::string> commands = {"build", "plan", "lint", "cache", "version"};
  const auto near = nearest(word, commands);
  if (word.starts_with('-')) return UsageError{"unknown option " + in_quotes(word), "imagebuild"};
  return UsageError{
      "unknown command " + in_quotes(word) +
          (near ? "; did you mean " + in_quotes(*near) + "?" : "; it can be build, plan, lint, cache or version"),
      "imagebuild"};
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* const value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

std::filesystem::path default_store(const Environment& environment) {
  const auto set = [&](const std::string& name) {
    const std::optional<std::string> value = environment(name);
    return value && !value->empty() ? value : std::nullopt;
  };
  if (const auto store = set("IMAGEBUILD_STORE")) return *store;
  if (const auto cache = set("XDG_CACHE_HOME")) return std::filesystem::path(*cache) / "imagebuild";
  if (const auto home = set("HOME")) return std::filesystem::path(*home) / ".cache" / "imagebuild";
  return "/var/cache/imagebuild";
}

Command parse_command(std::span<const std::string> arguments, const Environment& environment) {
  if (arguments.empty()) return UsageError{"no command is given", "imagebuild"};
  const std::string& first = arguments.front();
  if (first == "-h" || first == "--help" || first == "help") return HelpText{kMainHelp};
  if (first == "version" || first == "--version") {
    if (arguments.size() == 1) return VersionOptions{};
    if (arguments[1] == "--help" || arguments[1] == "-h") return HelpText{kVersionHelp};
    return UsageError{"'version' takes no arguments, but there is " + in_quotes(arguments[1]), "imagebuild version"};
  }
  if (first == "lint") return parse_lint(arguments, environment);
  if (first == "cache") return parse_cache(arguments, environment);
  if (first != "build" && first != "plan") return unknown_command(first);

  const bool is_build = first == "build";
  const std::string name = "imagebuild " + first;
  CLI::App app(is_build ? kBuildDescription : kPlanDescription, name);
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(is_build ? kBuildFooter : kPlanFooter);
  app.allow_extras();
  RawBuild build;
  RawPlan plan;
  if (is_build) {
    add_build_options(app, build);
  } else {
    add_source_options(app, plan.source);
    add_text(app, "--format", plan.format, "FORMAT", kFormatHelp)->group("How it is shown");
    add_text(app, "--store", plan.store, "DIR", kPlanStoreHelp)->group("How it is shown");
  }
  app.set_help_flag("-h,--help", "Print this text")->group(is_build ? "How it runs" : "How it is shown");
  if (auto instead = parse_rest(app, arguments, 1, name)) return std::move(*instead);
  const std::string& context = is_build ? build.source.context : plan.source.context;
  if (const auto excess = excess_argument(app, context)) return UsageError{*excess, name};
  if (is_build) return to_command(check_build(build, environment), name);
  return to_command(check_plan(plan, environment), name);
}

}  // namespace imagebuild::cli
