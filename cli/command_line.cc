#include "cli/command_line.h"

#include "cli/help_texts.h"

namespace imagebuild::cli {

namespace {

// Every spelling of the app's options, for "did you mean".
std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// CLI11's message as ours are written.
std::string first_line(std::string text) {
  text = text.substr(0, text.find('\n'));
  while (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

std::string in_quotes(const std::string& text) {
  return "'" + text + "'";
}

CLI::Option* add_repeated(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                          const std::string& type, const std::string& help) {
  return app.add_option(names, values, help)->type_name(type)->allow_extra_args(false);
}

CLI::Option* add_text(CLI::App& app, const std::string& names, std::string& value, const std::string& type,
                      const std::string& help) {
  return app.add_option(names, value, help)->type_name(type);
}

HelpFormatter::HelpFormatter(std::string context) : context_(std::move(context)) {
  constexpr std::size_t kNameColumn = 32;
  column_width(kNameColumn);
}

std::string HelpFormatter::make_usage(const CLI::App*, std::string name) const {
  return "\nUsage: " + name + " [OPTIONS] " + context_ + "\n";
}

std::optional<Command> parse_rest(CLI::App& app, std::span<const std::string> arguments, std::size_t words,
                                  const std::string& name) {
  const auto rest = arguments.subspan(words);
  std::vector<std::string> reversed(rest.rbegin(), rest.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return HelpText{app.help()};
  } catch (const CLI::ParseError& error) {
    return UsageError{first_line(error.what()), name};
  }
  return std::nullopt;
}

void add_registry_options(CLI::App& app, builder::RegistryOptions& registry) {
  add_repeated(app, "--registry-mirror", registry.mirrors, "HOST=URL", kMirrorHelp)->group("Registries");
  add_repeated(app, "--insecure-registry", registry.insecure, "HOST", kInsecureHelp)->group("Registries");
  add_text(app, "--registries", registry.file, "FILE", kRegistriesHelp)->group("Registries");
}

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

}  // namespace imagebuild::cli
