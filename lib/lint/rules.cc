#include "lint/rules.h"

#include <algorithm>
#include <array>

namespace imagebuild::lint {

namespace {

// Sorted by name; find_rule() relies on it.
constexpr auto kRules = std::to_array<Rule>({
    {"BuildToolsInFinalStage", "The final image has no compilers and headers", true, false, Shows::kInBoth},
    {"ConsistentInstructionCasing", "All instructions of a file are written in one case", true, true},
    {"CopyIgnoredFile", "COPY and ADD name nothing that .dockerignore leaves out", true, true},
    {"DeletedInLaterLayer", "What is deleted was not stored by an earlier line", true, false, Shows::kInImage},
    {"DuplicateStageName", "Each stage has a name of its own", true, true},
    {"ExposeInvalidFormat", "EXPOSE names ports without an address or a host port", true, true},
    {"ExposeProtoCasing", "The protocols of EXPOSE are written in lower case", true, true},
    {"FromAsCasing", "AS is written in the case of its FROM", true, true},
    {"FromPlatformFlagConstDisallowed", "FROM --platform names no fixed platform", true, true},
    {"InvalidBaseImagePlatform", "A base image is for the platform that its stage is built for", true, true},
    {"InvalidDefaultArgInFrom", "The defaults of ARG give FROM a valid image name", true, true},
    {"InvalidDefinitionDescription", "A comment above FROM or ARG begins with the name it describes", false, true},
    {"JSONArgsRecommended", "CMD and ENTRYPOINT are written as JSON arrays", true, true},
    {"LargerBaseThanNeeded", "The final stage starts from an image without compilers"},
    {"LegacyKeyValueFormat", "ENV and LABEL are written as name=value", true, true},
    {"MaintainerDeprecated", "A label names the author, not MAINTAINER", true, true},
    {"MultipleInstructionsDisallowed", "A stage has one CMD, one ENTRYPOINT and one HEALTHCHECK", true, true},
    {"NoEmptyContinuation", "There are no empty lines inside an instruction", true, true},
    {"PackageCacheInImage", "The final image has no caches of package managers", true, false, Shows::kInImage},
    {"RedundantTargetPlatform", "FROM does not name $TARGETPLATFORM, which is the default", true, true},
    {"ReservedStageName", "No stage is called scratch or context", true, true},
    {"SameFileInTwoLayers", "The image stores no large file twice", true, false, Shows::kInImage},
    {"SecretFileCopied", "No files of secrets are copied into the final image"},
    {"SecretInImage", "The final image has no private keys", true, false, Shows::kInImage},
    {"SecretsUsedInArgOrEnv", "ARG and ENV hold no secrets", true, true},
    {"SourceBeforeDependencies", "Dependencies are installed before the sources are copied"},
    {"StageNameCasing", "Stage names are written in lower case", true, true},
    {"StageNamedByIndex", "FROM, COPY and mounts name stages, not their numbers"},
    {"UndefinedArgInFrom", "The variables of FROM are declared with ARG before it", true, true},
    {"UndefinedVar", "Variables are set before they are used", true, true},
    {"UnpinnedBaseImage", "Images are named with a version or a digest"},
    {"UnusedStage", "Every stage is needed by what is built"},
    {"WholeBuildFolderCopied", "From a build folder only what runs is copied"},
    {"WorkdirRelativePath", "The first WORKDIR of a stage is an absolute path", true, true},
});
static_assert(std::ranges::is_sorted(kRules, {}, &Rule::name));

}  // namespace

std::string Rule::page() const {
  return "docs/rules/" + std::string(name) + ".md";
}

std::string Rule::uri() const {
  if (!of_buildkit) return "";
  std::string words;
  const auto is_capital = [&](std::size_t i) { return name[i] >= 'A' && name[i] <= 'Z'; };
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool begins_word =
        is_capital(i) && i > 0 && (!is_capital(i - 1) || (i + 1 < name.size() && !is_capital(i + 1)));
    if (begins_word) words += '-';
    words += is_capital(i) ? static_cast<char>(name[i] - 'A' + 'a') : name[i];
  }
  return "https://docs.docker.com/go/dockerfile/rule/" + words + "/";
}

std::span<const Rule> rules() {
  return kRules;
}

const Rule* find_rule(std::string_view name) {
  const auto found = std::ranges::lower_bound(kRules, name, {}, &Rule::name);
  return found != kRules.end() && found->name == name ? &*found : nullptr;
}

}  // namespace imagebuild::lint
