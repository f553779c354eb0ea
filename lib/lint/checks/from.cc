// What a stage starts from, and for which platform.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "dockerfile/expand.h"
#include "lint/checks/checks.h"
#include "oci/reference.h"

namespace imagebuild::lint {

namespace {

using dockerfile::Expanded;
using dockerfile::Word;

class FromChecker {
 public:
  FromChecker(const LintInput& input, Findings& findings)
      : input_(input),
        findings_(findings),
        globals_(globals_of(input, true)),
        defaults_(globals_of(input, false)),
        known_(globals_.names()) {
    // Declared without a value counts: it is then meant to come from the command line.
    for (const dockerfile::Instruction& arg : input.file.global_args) {
      for (const auto& declaration : std::get<dockerfile::Arg>(arg.command).declarations) {
        known_.push_back(declaration.name.text);
      }
    }
  }

  void check(const dockerfile::Stage& stage) {
    const dockerfile::From& from = stage.from();
    if (const auto image = expand(from.image, globals_)) check_undefined(from.image, *image);
    check_default(from.image);
    if (!from.platform) return;
    if (const auto platform = expand(*from.platform, globals_)) {
      check_undefined(*from.platform, *platform);
      check_redundant(*from.platform, *platform);
      check_constant(stage, *from.platform, *platform);
    }
  }

 private:
  std::optional<Expanded> expand(const Word& word, const dockerfile::GlobalScope& scope) const {
    Result<Expanded> expanded = dockerfile::expand_word(word.text, input_.file.directives.escape, scope.lookup());
    if (!expanded.ok()) return std::nullopt;
    return std::move(*expanded);
  }

  void check_undefined(const Word& word, const Expanded& expanded) {
    for (const std::string& name : expanded.unmatched) {
      if (std::ranges::find(known_, name) != known_.end() || findings_.full()) continue;
      const std::string hint = did_you_mean_variable(name, known_);
      findings_.add("UndefinedArgInFrom", place_of_variable(input_.file, word, name),
                    "no ARG before the first FROM declares '$" + name + "', so it is empty" +
                        (hint.empty() ? "; write 'ARG " + name + "=…' there" : hint));
    }
  }

  // Whether the base is an image's name also when no build argument is given.
  void check_default(const Word& word) {
    const auto expanded = expand(word, defaults_);
    if (!expanded || (expanded->matched.empty() && expanded->unmatched.empty())) return;
    if (expanded->text.starts_with("oci-layout://") || expanded->text.starts_with("docker-image://")) return;
    if (oci::Reference::parse(expanded->text).ok()) return;
    findings_.add("InvalidDefaultArgInFrom", word.at,
                  "without --build-arg, '" + word.text + "' is '" + expanded->text +
                      "', which names no image; give each ARG in it a default that works");
  }

  void check_redundant(const Word& word, const Expanded& expanded) {
    constexpr const char* kName = "TARGETPLATFORM";
    if (expanded.matched != std::set<std::string>{kName} || !expanded.unmatched.empty()) return;
    if (expanded.text != globals_.get(kName)) return;
    findings_.add("RedundantTargetPlatform", word.at,
                  "a stage is built for the target platform anyway; remove '--platform=" + word.text + "'");
  }

  void check_constant(const dockerfile::Stage& stage, const Word& word, const Expanded& expanded) {
    if (!expanded.matched.empty() || !expanded.unmatched.empty()) return;
    const Result<oci::Platform> platform = oci::Platform::parse(expanded.text);
    if (!platform.ok()) return;  // The build will say so.
    const auto has = [&](const std::string& part) { return stage.name.find(part) != std::string::npos; };
    if (has(platform->os()) || has(platform->architecture())) return;
    findings_.add("FromPlatformFlagConstDisallowed", word.at,
                  "'--platform=" + word.text +
                      "' builds this stage for that platform whatever platform is asked for; write $BUILDPLATFORM or "
                      "$TARGETPLATFORM, or put '" +
                      platform->architecture() + "' into the stage's name if you mean it");
  }

  const LintInput& input_;
  Findings& findings_;
  const dockerfile::GlobalScope globals_;
  const dockerfile::GlobalScope defaults_;
  std::vector<std::string> known_;
};

}  // namespace

void check_from(const LintInput& input, Findings& findings) {
  FromChecker checker(input, findings);
  for (const dockerfile::Stage& stage : input.file.stages) checker.check(stage);
}

void check_base(const BaseTurn& turn, Findings& findings) {
  if (!turn.facts.platform) return;
  const oci::Platform& actual = *turn.facts.platform;
  if (actual.os() == turn.wanted.os() && actual.architecture() == turn.wanted.architecture()) return;
  findings.add("InvalidBaseImagePlatform", turn.stage.from().image.at,
               "the image '" + turn.image + "' is for " + actual.str() + ", but this stage is built for " +
                   turn.wanted.str() + "; use an image that has that platform");
}

}  // namespace imagebuild::lint
