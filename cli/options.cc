#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/nearest.h"
#include "cli/help_texts.h"

namespace imagebuild::cli {

namespace {

// What CLI11 fills, before anything is checked.
struct RawSource {
  std::string context;
  std::string dockerfile, target, platform;
  std::vector<std::string> build_args, build_contexts;
  builder::RegistryOptions registry;
};

struct RawBuild {
  RawSource source;
  std::vector<std::string> tags, outputs, secrets;
  bool no_cache = false;
  std::string progress = "auto", compression = "gzip";
  std::string iid_file, metadata_file, store;
  unsigned parallel = 0;
};

struct RawPlan {
  RawSource source;
  std::string format = "text";
};

// A repeatable option takes one value each time, so that it never swallows CONTEXT.
CLI::Option* add_repeated(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                          const std::string& type, const std::string& help) {
  return app.add_option(names, values, help)->type_name(type)->allow_extra_args(false);
}

CLI::Option* add_text(CLI::App& app, const std::string& names, std::string& value, const std::string& type,
                      const std::string& help) {
  return app.add_option(names, value, help)->type_name(type);
}

void add_source_options(CLI::App& app, RawSource& source) {
  app.add_option("CONTEXT", source.context, kContextHelp)->type_name("");
  add_text(app, "-f,--file", source.dockerfile, "FILE", kFileHelp)->group("What to build");
  add_text(app, "--target", source.target, "STAGE", kTargetHelp)->group("What to build");
  add_repeated(app, "--build-arg", source.build_args, "K[=V]", kBuildArgHelp)->group("What to build");
  add_text(app, "--platform", source.platform, "OS/ARCH", kPlatformHelp)->group("What to build");
  add_repeated(app, "--build-context", source.build_contexts, "NAME=VALUE", "")->group("");
  add_repeated(app, "--registry-mirror", source.registry.mirrors, "HOST=URL", kMirrorHelp)->group("Registries");
  add_repeated(app, "--insecure-registry", source.registry.insecure, "HOST", kInsecureHelp)->group("Registries");
  add_text(app, "--registries", source.registry.file, "FILE", kRegistriesHelp)->group("Registries");
}

void add_build_options(CLI::App& app, RawBuild& build) {
  add_source_options(app, build.source);
  add_repeated(app, "--secret", build.secrets, "SECRET", kSecretHelp)->group("What to build");
  add_repeated(app, "-t,--tag", build.tags, "REF", kTagHelp)->group("Where the image goes");
  add_repeated(app, "-o,--output", build.outputs, "OUTPUT", kOutputHelp)->group("Where the image goes");
  add_text(app, "--compression", build.compression, "KIND", kCompressionHelp)->group("Where the image goes");
  add_text(app, "--iidfile", build.iid_file, "FILE", kIidFileHelp)->group("Where the image goes");
  add_text(app, "--metadata-file", build.metadata_file, "FILE", kMetadataHelp)->group("Where the image goes");
  add_text(app, "--progress", build.progress, "MODE", kProgressHelp)->group("How it runs");
  app.add_flag("--no-cache", build.no_cache, kNoCacheHelp)->group("How it runs");
  app.add_option("--parallel", build.parallel, kParallelHelp)->type_name("N")->group("How it runs");
  add_text(app, "--store", build.store, "DIR", kStoreHelp)->group("How it runs");
}

std::string in_quotes(const std::string& text) {
  return "'" + text + "'";
}

class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(32); }
  std::string make_usage(const CLI::App*, std::string name) const override {
    return "\nUsage: " + name + " [OPTIONS] CONTEXT\n";
  }
};

template <class T>
Result<T> choose(const std::string& option, const std::string& value,
                 const std::vector<std::pair<std::string, T>>& choices) {
  std::vector<std::string> names;
  std::string list;
  for (const auto& [name, choice] : choices) {
    if (name == value) return choice;
    list += (list.empty() ? "" : names.size() + 1 == choices.size() ? " or " : ", ") + name;
    names.push_back(name);
  }
  const auto near = nearest(value, names);
  return Error{ErrorCode::kInvalidInput,
               option + ": unknown value " + in_quotes(value) +
                   (near ? "; did you mean " + in_quotes(*near) + "?" : "; it can be " + list)};
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

Result<SourceOptions> check_source(const RawSource& raw, const Environment& environment) {
  const auto invalid = [](std::string message) { return Error{ErrorCode::kInvalidInput, std::move(message)}; };
  if (raw.context.empty()) {
    return invalid("no build context is given; name a folder, a tar file or '-' (for this folder: '.')");
  }
  if (!raw.build_contexts.empty()) {
    return Error{ErrorCode::kUnsupported,
                 "--build-context is not supported yet; name an image with FROM or COPY --from instead, also as "
                 "oci-layout://FOLDER"};
  }
  SourceOptions source;
  source.context = raw.context;
  source.dockerfile = raw.dockerfile;
  source.target = raw.target;
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
  if (raw.platform.find(',') != std::string::npos) {
    return Error{ErrorCode::kUnsupported,
                 "--platform: one platform at a time is supported yet, not " + in_quotes(raw.platform)};
  }
  if (!raw.platform.empty()) {
    ASSIGN_OR_RETURN(source.platform, oci::Platform::parse(raw.platform).in("--platform"));
  }
  ASSIGN_OR_RETURN(source.epoch_s, source_date_epoch(environment));
  return source;
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
  for (const std::string& text : raw.tags) {
    ASSIGN_OR_RETURN(oci::Reference tag, oci::Reference::parse(text).in("--tag"));
    if (tag.digest()) {
      return Error{ErrorCode::kInvalidInput, "--tag: " + in_quotes(text) + " names a digest; give a tag instead"};
    }
    if (std::ranges::find(build.tags, tag) == build.tags.end()) build.tags.push_back(std::move(tag));
  }
  for (const std::string& text : raw.outputs) {
    ASSIGN_OR_RETURN(builder::Output output, parse_output(text));
    build.outputs.push_back(std::move(output));
  }
  RETURN_IF_ERROR(check_outputs(build));
  for (const std::string& text : raw.secrets) {
    ASSIGN_OR_RETURN(SecretSource secret, parse_secret(text));
    if (std::ranges::any_of(build.secrets, [&](const SecretSource& other) { return other.id == secret.id; })) {
      return Error{ErrorCode::kInvalidInput, "--secret: id " + in_quotes(secret.id) + " is given twice"};
    }
    build.secrets.push_back(std::move(secret));
  }
  ASSIGN_OR_RETURN(build.progress, choose<ProgressMode>("--progress", raw.progress,
                                                        {{"auto", ProgressMode::kAuto},
                                                         {"tty", ProgressMode::kTty},
                                                         {"plain", ProgressMode::kPlain},
                                                         {"json", ProgressMode::kJson}}));
  ASSIGN_OR_RETURN(build.compression, choose<archive::Compression>("--compression", raw.compression,
                                                                   {{"gzip", archive::Compression::kGzip},
                                                                    {"zstd", archive::Compression::kZstd}}));
  build.no_cache = raw.no_cache;
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
  ASSIGN_OR_RETURN(
      plan.format,
      choose<PlanFormat>("--format", raw.format,
                         {{"text", PlanFormat::kText}, {"json", PlanFormat::kJson}, {"dot", PlanFormat::kDot}}));
  return plan;
}

// Every spelling of the app's options, for "did you mean".
std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// What is wrong with the first argument that the app has no place for, if there is one.
std::optional<std::string> excess_argument(const CLI::App& app, const std::string& context) {
  for (const std::string& extra : app.remaining()) {
    if (!extra.starts_with('-')) {
      return "one build context is expected, but there are two: " + in_quotes(context) + " and " + in_quotes(extra);
    }
    const std::string name = extra.substr(0, extra.find('='));
    const auto near = nearest(name, option_names(app));
    return "unknown option " + in_quotes(name) + (near ? "; did you mean " + in_quotes(*near) + "?" : "");
  }
  return std::nullopt;
}

template <class T>
Command to_command(Result<T> checked, const std::string& command) {
  if (!checked.ok()) return UsageError{checked.error().message, command};
  return std::move(checked).value();
}

std::string first_line(std::string text) {
  text = text.substr(0, text.find('\n'));
  while (text.ends_with('.')) text.pop_back();
  return text;
}

Command unknown_command(const std::string& word) {
  const std::vector<std::string> commands = {"build", "plan", "version"};
  const auto near = nearest(word, commands);
  if (word.starts_with('-')) return UsageError{"unknown option " + in_quotes(word), "imagebuild"};
  return UsageError{"unknown command " + in_quotes(word) +
                        (near ? "; did you mean " + in_quotes(*near) + "?" : "; it can be build, plan or version"),
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
  }
  app.set_help_flag("-h,--help", "Print this text")->group(is_build ? "How it runs" : "How it is shown");
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend() - 1);
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return HelpText{app.help()};
  } catch (const CLI::ParseError& error) {
    return UsageError{first_line(error.what()), name};
  }
  const std::string& context = is_build ? build.source.context : plan.source.context;
  if (const auto excess = excess_argument(app, context)) return UsageError{*excess, name};
  if (is_build) return to_command(check_build(build, environment), name);
  return to_command(check_plan(plan, environment), name);
}

}  // namespace imagebuild::cli
