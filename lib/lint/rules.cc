#include "lint/rules.h"

#include <algorithm>
#include <array>

namespace imagebuild::lint {

namespace {

// Sorted by name; find_rule() relies on it.
constexpr auto kRules = std::to_array<Rule>({
    {"ConsistentInstructionCasing", "All instructions of a file are written in one case"},
    {"CopyIgnoredFile", "COPY and ADD name nothing that .dockerignore leaves out"},
    {"DuplicateStageName", "Each stage has a name of its own"},
    {"ExposeInvalidFormat", "EXPOSE names ports without an address or a host port"},
    {"ExposeProtoCasing", "The protocols of EXPOSE are written in lower case"},
    {"FromAsCasing", "AS is written in the case of its FROM"},
    {"FromPlatformFlagConstDisallowed", "FROM --platform names no fixed platform"},
    {"InvalidBaseImagePlatform", "A base image is for the platform that its stage is built for"},
    {"InvalidDefaultArgInFrom", "The defaults of ARG give FROM a valid image name"},
    {"InvalidDefinitionDescription", "A comment above FROM or ARG begins with the name it describes", false},
    {"JSONArgsRecommended", "CMD and ENTRYPOINT are written as JSON arrays"},
    {"LegacyKeyValueFormat", "ENV and LABEL are written as name=value"},
    {"MaintainerDeprecated", "A label names the author, not MAINTAINER"},
    {"MultipleInstructionsDisallowed", "A stage has one CMD, one ENTRYPOINT and one HEALTHCHECK"},
    {"NoEmptyContinuation", "There are no empty lines inside an instruction"},
    {"RedundantTargetPlatform", "FROM does not name $TARGETPLATFORM, which is the default"},
    {"ReservedStageName", "No stage is called scratch or context"},
    {"SecretsUsedInArgOrEnv", "ARG and ENV hold no secrets"},
    {"StageNameCasing", "Stage names are written in lower case"},
    {"UndefinedArgInFrom", "The variables of FROM are declared with ARG before it"},
    {"UndefinedVar", "Variables are set before they are used"},
    {"WorkdirRelativePath", "The first WORKDIR of a stage is an absolute path"},
});
static_assert(std::ranges::is_sorted(kRules, {}, &Rule::name));

}  // namespace

std::string Rule::page() const {
  return "docs/rules/" + std::string(name) + ".md";
}

std::span<const Rule> rules() {
  return kRules;
}

const Rule* find_rule(std::string_view name) {
  const auto found = std::ranges::lower_bound(kRules, name, {}, &Rule::name);
  return found != kRules.end() && found->name == name ? &*found : nullptr;
}

}  // namespace imagebuild::lint
