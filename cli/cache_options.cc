#include "cli/cache_options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/nearest.h"
#include "builder/prepare/run_settings.h"
#include "cli/cache_spec.h"
#include "cli/command_line.h"
#include "cli/help_texts.h"

namespace imagebuild::cli {

namespace {

using Action = CacheOptions::Action;

struct Raw {
  std::string store, cache, format = "text", max_size, older_than;
  builder::RegistryOptions registry;
  bool all = false;
};

void add_options(CLI::App& app, Action action, Raw& raw) {
  if (action == Action::kPrune) {
    add_text(app, "--max-size", raw.max_size, "SIZE", kMaxSizeHelp)->group("What goes");
    add_text(app, "--older-than", raw.older_than, "TIME", kOlderThanHelp)->group("What goes");
    app.add_flag("--all", raw.all, kPruneAllHelp)->group("What goes");
  }
  add_text(app, "--store", raw.store, "DIR", kStoreHelp)->group("Where");
  add_text(app, "--cache", raw.cache, "CACHE", kNamedCacheHelp)->group("Where");
  add_registry_options(app, raw.registry);
  add_text(app, "--format", raw.format, "FORMAT", kCacheFormatHelp)->group("How it is shown");
  app.set_help_flag("-h,--help", "Print this text")->group("How it is shown");
}

Result<CacheOptions> check(Action action, const Raw& raw, const Environment& environment) {
  CacheOptions options;
  options.action = action;
  options.store = raw.store.empty() ? default_store(environment) : std::filesystem::path(raw.store);
  ASSIGN_OR_RETURN(options.json, choose<bool>("--format", raw.format, {{"text", false}, {"json", true}}));
  const builder::RegistryOptions& registry = raw.registry;
  if (raw.cache.empty()) {
    if (!registry.mirrors.empty() || !registry.insecure.empty() || !registry.file.empty()) {
      return Error{ErrorCode::kInvalidInput, "options of registries are for --cache, which is not there"};
    }
  } else {
    if (!raw.store.empty()) return Error{ErrorCode::kInvalidInput, "--cache is another place than --store; say one"};
    ASSIGN_OR_RETURN(options.cache, parse_cache_from(raw.cache).in("--cache"));
    options.registry = registry;
  }
  if (action != Action::kPrune) return options;
  options.all = raw.all;
  if (!raw.max_size.empty()) {
    ASSIGN_OR_RETURN(options.max_bytes, builder::parse_bytes(raw.max_size).in("--max-size"));
  }
  if (!raw.older_than.empty()) {
    ASSIGN_OR_RETURN(options.older_than, parse_age(raw.older_than).in("--older-than"));
  }
  const bool has_limit = !raw.max_size.empty() || !raw.older_than.empty();
  if (options.all && has_limit) {
    return Error{ErrorCode::kInvalidInput, "--all removes everything; leave out --max-size and --older-than"};
  }
  if (!options.all && !has_limit) {
    return Error{ErrorCode::kInvalidInput,
                 "say what is to be removed: --max-size SIZE, --older-than TIME, or --all for everything"};
  }
  return options;
}

std::optional<Action> action_of(const std::string& word) {
  if (word == "ls") return Action::kList;
  if (word == "du") return Action::kUsage;
  if (word == "prune") return Action::kPrune;
  return std::nullopt;
}

const char* description_of(Action action) {
  switch (action) {
    case Action::kList:
      return kCacheListDescription;
    case Action::kUsage:
      return kCacheUsageDescription;
    case Action::kPrune:
      break;
  }
  return kCachePruneDescription;
}

}  // namespace

Result<std::chrono::seconds> parse_age(std::string_view text) {
  static const std::map<char, std::int64_t> kUnits = {{'w', 604'800}, {'d', 86'400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  constexpr std::int64_t kMost = 100LL * 365 * 86'400;
  const Error wrong{ErrorCode::kInvalidInput,
                    in_quotes(std::string(text)) + " is no length of time; write it as 168h, 7d or 30m"};
  std::int64_t seconds = 0;
  if (text.empty()) return wrong;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || number > kMost) return wrong;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit = text.empty() ? kUnits.end() : kUnits.find(text.front());
    if (unit == kUnits.end()) return wrong;
    text.remove_prefix(1);
    if (number > (kMost - seconds) / unit->second) return wrong;
    seconds += number * unit->second;
  }
  return std::chrono::seconds(seconds);
}

Command parse_cache(std::span<const std::string> arguments, const Environment& environment) {
  const std::string word = arguments.size() > 1 ? arguments[1] : "";
  if (word == "-h" || word == "--help") return HelpText{kCacheHelp};
  const std::optional<Action> action = action_of(word);
  if (!action) {
    if (word.empty()) return UsageError{"'cache' needs a command: ls, du or prune", "imagebuild cache"};
    const std::vector<std::string> known = {"ls", "du", "prune"};
    const auto near = nearest(word, known);
    return UsageError{"unknown command " + in_quotes("cache " + word) +
                          (near ? "; did you mean " + in_quotes(*near) + "?" : "; it can be ls, du or prune"),
                      "imagebuild cache"};
  }
  const std::string name = "imagebuild cache " + word;
  CLI::App app(description_of(*action), name);
  app.formatter(std::make_shared<HelpFormatter>(""));
  app.footer(*action == Action::kPrune ? kCachePruneFooter : kCacheListFooter);
  app.allow_extras();
  Raw raw;
  add_options(app, *action, raw);
  if (auto instead = parse_rest(app, arguments, 2, name)) return std::move(*instead);
  for (const std::string& extra : app.remaining()) {
    if (!extra.starts_with('-'))
      return UsageError{in_quotes("cache " + word) + " takes no arguments, but there is " + in_quotes(extra), name};
  }
  if (const auto excess = excess_argument(app, "")) return UsageError{*excess, name};
  Result<CacheOptions> options = check(*action, raw, environment);
  if (!options.ok()) return UsageError{options.error().message, name};
  return std::move(*options);
}

}  // namespace imagebuild::cli
