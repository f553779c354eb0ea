// ENV, LABEL and ARG: how they are written, and what they should not hold.
#include <algorithm>
#include <string>
#include <vector>

#include "base/overloaded.h"
#include "dockerfile/expand.h"
#include "dockerfile/lines.h"
#include "lint/checks/checks.h"

namespace imagebuild::lint {

namespace {

// BuildKit's words, compared with the parts of a name between underscores.
constexpr std::string_view kSecretWords[] = {"apikey",   "auth",  "credential", "credentials", "key",
                                             "password", "pword", "passwd",     "secret",      "token"};
constexpr std::string_view kHarmlessWords[] = {"public", "file", "version"};

bool names_a_secret(std::string_view name) {
  bool secret = false;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('_'), name.size());
    const std::string part = dockerfile::lower(name.substr(0, end));
    name.remove_prefix(std::min(end + 1, name.size()));
    if (std::ranges::find(kHarmlessWords, part) != std::end(kHarmlessWords)) return false;
    if (std::ranges::find(kSecretWords, part) != std::end(kSecretWords)) secret = true;
  }
  return secret;
}

void check_secret(const std::string& keyword, const std::string& name, dockerfile::Position at, Findings& findings) {
  if (!names_a_secret(name)) return;
  findings.add("SecretsUsedInArgOrEnv", at,
               keyword + " " + name + " looks like a secret, and whoever has the image can read it" +
                   (keyword == "ARG" ? " in its history" : " in its configuration") +
                   "; use RUN --mount=type=secret,id=… instead");
}

void check_format(const std::string& keyword, const std::vector<dockerfile::KeyValue>& pairs, bool legacy,
                  Findings& findings) {
  if (!legacy) return;
  const dockerfile::KeyValue& pair = pairs.front();
  const bool quote = pair.value.text.find_first_of(" \t") != std::string::npos && !pair.value.text.starts_with('"');
  findings.add("LegacyKeyValueFormat", pair.key.at,
               "'" + keyword + " name value' is the old form, which is easily misread; write " + keyword + " " +
                   pair.key.text + "=" + (quote ? "\"" + pair.value.text + "\"" : pair.value.text));
}

}  // namespace

void check_settings(const Turn& turn, Findings& findings) {
  std::visit(
      Overloaded{[&](const dockerfile::Env& env) {
                   check_format("ENV", env.pairs, env.legacy, findings);
                   for (const dockerfile::KeyValue& pair : env.pairs) {
                     const auto key = dockerfile::expand_word(pair.key.text, turn.escape, turn.scope.lookup());
                     if (key.ok()) check_secret("ENV", key->text, pair.key.at, findings);
                   }
                 },
                 [&](const dockerfile::Label& label) { check_format("LABEL", label.pairs, label.legacy, findings); },
                 [&](const dockerfile::Arg& arg) {
                   for (const dockerfile::ArgDeclaration& declaration : arg.declarations) {
                     check_secret("ARG", declaration.name.text, declaration.name.at, findings);
                   }
                 },
                 [](const auto&) {}},
      turn.instruction.command);
}

}  // namespace imagebuild::lint
