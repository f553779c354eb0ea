#include "build/base_needs.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace imagebuild::build {

namespace {

// The folders of the file system hierarchy standard and what else systems have: runtimes and clusters mount things
// below them. What a Dockerfile makes for its own work lies elsewhere: /src, /app, /out.
constexpr std::array<std::string_view, 22> kSystemFolders = {
    "bin", "boot", "dev",  "etc",  "home", "lib",  "lib32", "lib64", "libx32", "media", "mnt",
    "nix", "opt",  "proc", "root", "run",  "sbin", "srv",   "sys",   "tmp",    "usr",   "var"};

// "/src/app" → "src"; empty for the root itself.
std::string_view top_of(std::string_view pattern) {
  while (pattern.starts_with('/') || pattern.starts_with("./")) pattern.remove_prefix(pattern.front() == '/' ? 1 : 2);
  return pattern.substr(0, pattern.find('/'));
}

bool may_hold_mounts(std::string_view pattern) {
  const std::string_view top = top_of(pattern);
  const bool is_plain = top.find_first_of("*?[\\") == std::string_view::npos;
  return top.empty() || !is_plain || top.front() == '.' || pattern.find("..") != std::string_view::npos ||
         std::ranges::find(kSystemFolders, top) != kSystemFolders.end();
}

bool has_mounts(const api::Step& step) {
  const auto* run = std::get_if<api::RunStep>(&step.action);
  return run != nullptr && (!run->mounts.empty() || !run->secrets.empty());
}

}  // namespace

bool needs_base_index(const api::Plan& plan, int stage) {
  if (api::root_image(plan, stage) == nullptr) return false;
  const api::PlanStage& it = plan.stages[static_cast<std::size_t>(stage)];
  return !it.needs_container || it.keep_layers || std::ranges::any_of(it.steps, has_mounts) ||
         std::ranges::any_of(it.exports, may_hold_mounts);
}

}  // namespace imagebuild::build
