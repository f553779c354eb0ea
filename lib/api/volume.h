// Where things lie on the artifact volume that the pods (or local containers) of one build share. Content-addressed
// where it pays, few large files. All paths are relative to the volume's root.
#pragma once

#include <string>

namespace imagebuild::api::volume {

// Where a stage's container sees the volume. Each container sees only what its stage may: see docs/life-of-a-build.md.
inline constexpr const char* kMountPoint = "/.imagebuild";

// The program of a stage's container, one for each architecture that containers have ("amd64").
inline std::string stage_program(const std::string& architecture) {
  return "bin/" + architecture + "/imagebuild-stage";
}
// The same where there is only one: in the stage image, which has it, and in local containers.
inline constexpr const char* kStageProgram = "bin/imagebuild-stage";
inline constexpr const char* kPlan = "plan.json";

// The build context: an index of what .dockerignore leaves, and the content, either as a tar or as a folder. A local
// build mounts the user's folder here instead of copying it.
inline constexpr const char* kContextIndex = "context/context.index";
inline constexpr const char* kContextTar = "context/context.tar";
inline constexpr const char* kContextFolder = "context/folder";

// Each of Plan::trees, like the context. A download is a tree with one file.
inline std::string tree_index(int tree) {
  return "trees/" + std::to_string(tree) + ".index";
}
inline std::string tree_tar(int tree) {
  return "trees/" + std::to_string(tree) + ".tar";
}

// The base index of each image of the plan: archive::TreeIndex, with the content of etc/passwd and etc/group.
inline std::string base_index(int image) {
  return "bases/" + std::to_string(image) + ".index";
}

// A stage's own folder, the only thing its container may write.
inline std::string stage_folder(int stage) {
  return "stages/" + std::to_string(stage);
}
// Below a stage's folder:
inline std::string layer_file(int step, const std::string& suffix) {
  return "layers/" + std::to_string(step) + suffix;
}
// Beside the layer: an archive::TreeIndex of its entries, removals as ".wh." files. For checks: it may be missing.
inline std::string layer_index(int step) {
  return layer_file(step, ".index");
}
inline constexpr const char* kExportIndex = "exports/export.index";
inline constexpr const char* kExportTar = "exports/export.tar";
inline constexpr const char* kReport = "report.json";
// What a cache had of the stage's first steps, if it had any, put there before the stage runs: a StageReport whose
// layers lie in the folder already.
inline constexpr const char* kReplay = "replay.json";

// The secrets of the stage's RUN steps: one file each, named by index in the order of the ids that the stage names
// (sorted, each once). Locally a tmpfs folder.
inline constexpr const char* kSecrets = "secrets";

// The caches of the stage's RUN steps: a folder each, named by index in the order of cache_ids(). What is in it is
// builder/stage's affair; it outlives the build.
inline constexpr const char* kCaches = "caches";

// What the stage's SSH mounts speak with, named by index in the order of ssh_ids(): the socket of an agent, or a file
// with a private key.
inline constexpr const char* kSsh = "ssh";

}  // namespace imagebuild::api::volume
