// Which variables an instruction sees: build arguments and ENV, by the rules of BuildKit. Values; nothing is read here.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dockerfile/expand.h"

namespace imagebuild::dockerfile {

struct Variable {
  std::string name;
  std::string value;
  friend bool operator==(const Variable&, const Variable&) = default;
};

// Variables in the order they were first set; setting a name again keeps its place.
class VariableList {
 public:
  void set(std::string_view name, std::string_view value);
  std::optional<std::string> get(std::string_view name) const;
  const std::vector<Variable>& all() const { return variables_; }
  std::vector<std::string> as_strings() const;  // "NAME=value"

 private:
  std::vector<Variable> variables_;
};

// The values of the automatic arguments; `variant` and `os_version` may be empty.
struct PlatformNames {
  std::string os;
  std::string architecture;
  std::string variant;
  std::string os_version;
  std::string str() const;  // "linux/arm64/v8"
};

// HTTP_PROXY http_proxy HTTPS_PROXY https_proxy FTP_PROXY ftp_proxy NO_PROXY no_proxy ALL_PROXY all_proxy.
bool is_proxy_argument(std::string_view name);
// TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT TARGETOSVERSION TARGETSTAGE, and BUILD… of the first five.
bool is_platform_argument(std::string_view name);
// Arguments that act on the build without being declared: the proxies, the platforms, SOURCE_DATE_EPOCH, BUILDKIT_*.
bool is_predefined_argument(std::string_view name);

// One name of one ARG instruction, solved.
struct SolvedArgument {
  std::string name;
  std::optional<std::string> value;  // Nothing: declared without a default, and nobody gave a value.
  std::set<std::string> unmatched;   // The unset variables its default uses.
};

// Before the first FROM: what the command line gave, the platform arguments, and the ARGs of the file's head.
// FROM sees it; a stage sees one of its names only after an ARG of the stage names it again.
class GlobalScope {
 public:
  // `build_args` as --build-arg gave them (they win over every default, those of the platform arguments included);
  // `target_stage` is TARGETSTAGE: the name of the stage to build, "default" when empty.
  GlobalScope(std::map<std::string, std::string> build_args, const PlatformNames& build, const PlatformNames& target,
              std::string_view target_stage = {});

  // ARG name[=raw_default] before the first FROM; the default expands with the globals so far. Errors as expand().
  Result<SolvedArgument> declare(std::string_view name, std::optional<std::string_view> raw_default, char escape,
                                 std::size_t* error_offset = nullptr);

  std::optional<std::string> get(std::string_view name) const { return values_.get(name); }
  // For FROM. Refers to this object: valid while it lives.
  VariableLookup lookup() const;
  // Every global that is set, for "did you mean".
  std::vector<std::string> names() const;
  // The --build-arg value, if one was given.
  std::optional<std::string> build_arg(std::string_view name) const;
  // SOURCE_DATE_EPOCH from --build-arg or a global ARG; nothing when absent or empty.
  std::optional<std::string> source_date_epoch() const;
  // The proxies given with --build-arg, each with its upper and lower case name. For RUN's environment only: never in
  // a cache key, a layer, the image's configuration or its history.
  std::vector<Variable> proxy_environment() const;
  // The --build-arg names that no ARG of the file declares (`declared`: the names of all ARGs of all stages) and that
  // are not predefined, sorted: the build goes on, the user is warned.
  std::vector<std::string> undeclared_build_args(const std::set<std::string>& declared) const;

 private:
  std::map<std::string, std::string> build_args_;
  VariableList values_;
  std::set<std::string> declared_;
};

// Within a stage. Instructions see the ENVs of the base image, the ENVs so far and the ARGs declared so far; where an
// ENV and an ARG have the same name, the one set last counts (what BuildKit does, and so `ARG X` then `ENV X=1` is 1).
class StageScope {
 public:
  // FROM image or FROM scratch: `image_environment` is the configuration's Env ("NAME=value" each). A missing PATH
  // becomes Docker's default, also in the image's configuration, as BuildKit does.
  static StageScope on_image(const std::vector<std::string>& image_environment);
  // FROM stage: ENVs *and* ARGs of the parent's end are inherited; at the start every ENV wins over an ARG of its name.
  static StageScope on_stage(const StageScope& parent);

  // ARG name[=raw_default] in the stage. The value is the --build-arg, else the default expanded with this scope, else
  // the global of that name; without any, a value that is visible already (an ENV, a parent's ARG) stays.
  Result<SolvedArgument> declare(const GlobalScope& globals, std::string_view name,
                                 std::optional<std::string_view> raw_default, char escape,
                                 std::size_t* error_offset = nullptr);

  // ENV name=value, already expanded. All pairs of one instruction are expanded before the first is set.
  void set_env(std::string_view name, std::string_view value);

  std::optional<std::string> get(std::string_view name) const { return visible_.get(name); }
  // For every instruction of the stage. Refers to this object: valid while it lives, sees later changes.
  VariableLookup lookup() const;
  // Every name that is set here, for "did you mean".
  std::vector<std::string> names() const;

  // What RUN gets, without the proxies (GlobalScope::proxy_environment, appended last by who runs it): the ENVs of the
  // base, the ENVs and the ARGs so far. This is what a cache key holds.
  const std::vector<Variable>& run_environment() const { return visible_.all(); }
  // The ARGs declared so far (inherited ones first) with their effective value, each once, in order of declaration: for
  // the history's "|1 NAME=value /bin/sh -c …".
  std::vector<Variable> arguments() const;
  // The image configuration's Env: base and ENV, no ARG.
  const std::vector<Variable>& image_environment() const { return environment_.all(); }

 private:
  VariableList environment_;  // ENV: goes into the image.
  VariableList visible_;      // ENV and ARG.
  VariableList declared_;     // ARG, with the value of the declaration ("" without).
};

}  // namespace imagebuild::dockerfile
