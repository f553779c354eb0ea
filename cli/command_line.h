// What the parsers of all commands share: kinds of options, and what is wrong with an argument.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/nearest.h"
#include "base/result.h"
#include "cli/options.h"

namespace imagebuild::cli {

std::string in_quotes(const std::string& text);

// A repeatable option takes one value each time, so that it never swallows CONTEXT.
CLI::Option* add_repeated(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                          const std::string& type, const std::string& help);
CLI::Option* add_text(CLI::App& app, const std::string& names, std::string& value, const std::string& type,
                      const std::string& help);

class HelpFormatter final : public CLI::Formatter {
 public:
  // `context`: how the usage line names the build context.
  explicit HelpFormatter(std::string context = "CONTEXT");
  std::string make_usage(const CLI::App* app, std::string name) const override;

 private:
  std::string context_;
};

// Parses what follows the first `words` of `arguments`. Returns what is to be done instead: the help that was asked
// for, or telling what CLI11 does not understand; `name` is the command's.
std::optional<Command> parse_rest(CLI::App& app, std::span<const std::string> arguments, std::size_t words,
                                  const std::string& name);

// --registry-mirror, --insecure-registry and --registries.
void add_registry_options(CLI::App& app, builder::RegistryOptions& registry);

// What is wrong with the first argument that the app has no place for, if there is one.
std::optional<std::string> excess_argument(const CLI::App& app, const std::string& context);

// The one of `choices` that `value` names; kInvalidInput names them all.
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

}  // namespace imagebuild::cli
