#include "dockerfile/scope.h"

#include <algorithm>
#include <array>
#include <utility>

namespace imagebuild::dockerfile {

namespace {

constexpr std::array<std::string_view, 10> kProxyArguments{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy",
                                                           "FTP_PROXY",  "ftp_proxy",  "NO_PROXY",    "no_proxy",
                                                           "ALL_PROXY",  "all_proxy"};
constexpr std::array<std::string_view, 11> kPlatformArguments{
    "TARGETPLATFORM", "TARGETOS", "TARGETOSVERSION", "TARGETARCH", "TARGETVARIANT", "TARGETSTAGE",
    "BUILDPLATFORM",  "BUILDOS",  "BUILDOSVERSION",  "BUILDARCH",  "BUILDVARIANT"};
// Declared in a stage, these say what to scan and are no variables.
constexpr std::array<std::string_view, 2> kNotInEnvironment{"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"};
constexpr std::string_view kSourceDateEpoch = "SOURCE_DATE_EPOCH";
constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

template <std::size_t n>
bool contains(const std::array<std::string_view, n>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> names_of(const VariableList& list) {
  std::vector<std::string> result;
  for (const Variable& variable : list.all()) result.push_back(variable.name);
  return result;
}

}  // namespace

void VariableList::set(std::string_view name, std::string_view value) {
  const auto found =
      std::find_if(variables_.begin(), variables_.end(), [&](const Variable& v) { return v.name == name; });
  if (found != variables_.end()) {
    found->value = std::string(value);
  } else {
    variables_.push_back(Variable{std::string(name), std::string(value)});
  }
}

std::optional<std::string> VariableList::get(std::string_view name) const {
  for (const Variable& variable : variables_) {
    if (variable.name == name) return variable.value;
  }
  return std::nullopt;
}

std::vector<std::string> VariableList::as_strings() const {
  std::vector<std::string> result;
  for (const Variable& variable : variables_) result.push_back(variable.name + "=" + variable.value);
  return result;
}

std::string PlatformNames::str() const {
  return os + "/" + architecture + (variant.empty() ? "" : "/" + variant);
}

bool is_proxy_argument(std::string_view name) {
  return contains(kProxyArguments, name);
}

bool is_platform_argument(std::string_view name) {
  return contains(kPlatformArguments, name);
}

bool is_predefined_argument(std::string_view name) {
  return is_proxy_argument(name) || is_platform_argument(name) || name == kSourceDateEpoch ||
         name.substr(0, 9) == "BUILDKIT_";
}

GlobalScope::GlobalScope(std::map<std::string, std::string> build_args, const PlatformNames& build,
                         const PlatformNames& target, std::string_view target_stage)
    : build_args_(std::move(build_args)) {
  const auto set = [&](std::string_view name, std::string_view value) {
    values_.set(name, build_arg(name).value_or(std::string(value)));
  };
  set("BUILDPLATFORM", build.str());
  set("BUILDOS", build.os);
  set("BUILDOSVERSION", build.os_version);
  set("BUILDARCH", build.architecture);
  set("BUILDVARIANT", build.variant);
  set("TARGETPLATFORM", target.str());
  set("TARGETOS", target.os);
  set("TARGETOSVERSION", target.os_version);
  set("TARGETARCH", target.architecture);
  set("TARGETVARIANT", target.variant);
  set("TARGETSTAGE", target_stage.empty() ? "default" : target_stage);
}

Result<SolvedArgument> GlobalScope::declare(std::string_view name, std::optional<std::string_view> raw_default,
                                            char escape, std::size_t* error_offset) {
  SolvedArgument solved{std::string(name), build_arg(name), {}};
  if (!solved.value && raw_default) {
    ASSIGN_OR_RETURN(Expanded expanded, expand_word(*raw_default, escape, lookup(), error_offset));
    solved.value = std::move(expanded.text);
    solved.unmatched = std::move(expanded.unmatched);
  }
  if (solved.value) values_.set(name, *solved.value);
  declared_.insert(solved.name);
  return solved;
}

VariableLookup GlobalScope::lookup() const {
  return [this](std::string_view name) { return get(name); };
}

std::vector<std::string> GlobalScope::names() const {
  return names_of(values_);
}

std::optional<std::string> GlobalScope::build_arg(std::string_view name) const {
  const auto found = build_args_.find(std::string(name));
  if (found == build_args_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> GlobalScope::source_date_epoch() const {
  std::optional<std::string> value = build_arg(kSourceDateEpoch);
  if (!value) value = get(kSourceDateEpoch);
  if (value && value->empty()) return std::nullopt;
  return value;
}

std::vector<Variable> GlobalScope::proxy_environment() const {
  std::vector<Variable> result;
  for (std::size_t i = 0; i < kProxyArguments.size(); i += 2) {
    const std::string_view upper = kProxyArguments[i];
    const std::string_view lower = kProxyArguments[i + 1];
    std::optional<std::string> value = build_arg(lower);
    if (!value || value->empty()) value = build_arg(upper);
    if (!value || value->empty()) continue;
    result.push_back(Variable{std::string(upper), *value});
    result.push_back(Variable{std::string(lower), *value});
  }
  return result;
}

std::vector<std::string> GlobalScope::undeclared_build_args(const std::set<std::string>& declared) const {
  std::vector<std::string> result;
  for (const auto& [name, value] : build_args_) {
    const bool known = declared.count(name) > 0 || declared_.count(name) > 0 || is_predefined_argument(name);
    if (!known) result.push_back(name);
  }
  return result;
}

StageScope StageScope::on_image(const std::vector<std::string>& image_environment) {
  StageScope scope;
  for (const std::string& entry : image_environment) {
    const std::size_t equals = entry.find('=');
    scope.set_env(entry.substr(0, equals), equals == std::string::npos ? std::string() : entry.substr(equals + 1));
  }
  if (!scope.environment_.get("PATH")) scope.set_env("PATH", kDefaultPath);
  return scope;
}

StageScope StageScope::on_stage(const StageScope& parent) {
  StageScope scope = parent;
  for (const Variable& variable : parent.environment_.all()) scope.visible_.set(variable.name, variable.value);
  return scope;
}

Result<SolvedArgument> StageScope::declare(const GlobalScope& globals, std::string_view name,
                                           std::optional<std::string_view> raw_default, char escape,
                                           std::size_t* error_offset) {
  SolvedArgument solved{std::string(name), globals.build_arg(name), {}};
  if (!solved.value && raw_default) {
    ASSIGN_OR_RETURN(Expanded expanded, expand_word(*raw_default, escape, lookup(), error_offset));
    solved.value = std::move(expanded.text);
    solved.unmatched = std::move(expanded.unmatched);
  }
  if (!solved.value) solved.value = globals.get(name);
  if (solved.value && !contains(kNotInEnvironment, name)) visible_.set(name, *solved.value);
  declared_.set(name, solved.value.value_or(std::string()));
  return solved;
}

void StageScope::set_env(std::string_view name, std::string_view value) {
  environment_.set(name, value);
  visible_.set(name, value);
}

VariableLookup StageScope::lookup() const {
  return [this](std::string_view name) { return get(name); };
}

std::vector<std::string> StageScope::names() const {
  return names_of(visible_);
}

std::vector<Variable> StageScope::arguments() const {
  std::vector<Variable> result;
  for (const Variable& argument : declared_.all()) {
    result.push_back(Variable{argument.name, get(argument.name).value_or(argument.value)});
  }
  return result;
}

}  // namespace imagebuild::dockerfile
