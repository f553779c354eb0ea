// Files that by their name hold secrets, copied into the final image.
#include <algorithm>
#include <string>

#include "dockerfile/lines.h"
#include "lint/pitfalls/pitfalls.h"

namespace imagebuild::lint {

namespace {

constexpr std::string_view kNames[] = {
    ".env",       ".env.local",   ".npmrc",      ".pypirc",    ".netrc", "_netrc", ".git-credentials",
    ".pgpass",    ".my.cnf",      "kubeconfig",  ".dockercfg", "id_rsa", "id_dsa", "id_ecdsa",
    "id_ed25519", ".vault-token", "privkey.pem", "key.pem",    ".ssh",   ".gnupg", ".aws"};
constexpr std::string_view kPaths[] = {".aws/credentials", ".docker/config.json", ".kube/config",
                                       ".config/gcloud/application_default_credentials.json"};
constexpr std::string_view kEndings[] = {".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", "-key.pem", "_key.pem"};

bool is_secret(std::string path) {
  while (path.ends_with('/') || path.ends_with('*')) path.pop_back();
  path = dockerfile::lower(path);
  const std::string name = path.substr(path.rfind('/') + 1);
  if (name.find("pub") != std::string::npos) return false;  // public.key, id_rsa.pub
  if (std::ranges::find(kNames, name) != std::end(kNames)) return true;
  const auto ends = [&](std::string_view ending) { return path.size() > ending.size() && path.ends_with(ending); };
  if (std::ranges::any_of(kEndings, ends)) return true;
  return std::ranges::any_of(
      kPaths, [&](std::string_view wanted) { return path == wanted || path.ends_with("/" + std::string(wanted)); });
}

// "npmrc" of ".npmrc".
std::string secret_id(const std::string& path) {
  std::string name = path;
  while (name.ends_with('/') || name.ends_with('*')) name.pop_back();
  name = name.substr(name.rfind('/') + 1);
  std::erase(name, '*');
  while (name.starts_with('.') || name.starts_with('_')) name.erase(0, 1);
  return name.empty() ? "NAME" : name;
}

}  // namespace

void check_secret_files(const FileView& view, Findings& findings) {
  for (const int stage : view.chain(view.target().stage.index)) {
    for (const StepView& step : view.at(stage).steps) {
      if (!step.copy || !step.copy->from_context) continue;
      for (const SourceView& source : step.copy->sources) {
        if (!is_secret(source.path) || source.path.find("://") != std::string::npos) continue;
        findings.add("SecretFileCopied", source.at,
                     "'" + source.path +
                         "' looks like a file of secrets, and whoever has the image can read it, also "
                         "after a later line removes it; use RUN --mount=type=secret,id=" +
                         secret_id(source.path) + " where it is needed, or give it to the container when it runs");
      }
    }
  }
}

}  // namespace imagebuild::lint
