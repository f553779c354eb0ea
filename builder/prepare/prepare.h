// From what the user gave to a plan: finds the Dockerfile, applies .dockerignore, resolves the bases, solves the plan.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/plan.h"
#include "archive/file_version.h"
#include "archive/tree_index.h"
#include "base/process.h"
#include "base/result.h"
#include "oci/image_source.h"
#include "oci/platform.h"

namespace imagebuild::builder {

// Opens the image that a FROM or COPY --from names, pinned to the wanted platform.
using OpenImage = std::function<Result<std::unique_ptr<oci::ImageSource>>(const std::string& name)>;

struct PrepareRequest {
  std::string context;     // A folder, a tar file (plain, gzip, bzip2, xz or zstd), or "-" for such a tar on stdin.
  std::string dockerfile;  // As -f gives it: relative to the working directory, else to the context; "-" is stdin;
                           // empty: "Dockerfile" in the context.
  std::vector<std::string> targets;  // Stage names or indexes; none: the last stage.
  std::vector<std::pair<std::string, std::string>>
      build_args;                        // In the order given; names without a value are resolved by the caller.
  std::vector<oci::Platform> platforms;  // None: this machine's.
  std::optional<std::int64_t>
      epoch_s;  // SOURCE_DATE_EPOCH; absent: the context's commit time if it is a Git work tree, else 0.
  // Copy a folder's content to context/context.tar, for stages that cannot see the folder itself.
  bool copy_context = false;
  bool for_cache = false;        // A cache keeps what steps make: container stages leave layers for it.
  std::filesystem::path volume;  // Where the context's index (and tar, for a tar context) and plan.json go.
  // Nobody vouches for the context: the Dockerfile and its ignore file come from inside it, by links too, or from
  // `dockerfile_text`.
  bool confined = false;
  std::optional<std::string> dockerfile_text;  // The Dockerfile itself; `dockerfile` is then its name for messages.
  std::string sub_path;  // The folder of a tar that is the context, as a clean path (archive/path.h); empty: all of it.
  // --build-context: by name the image it stands for, an empty text for a tree of files; --add-host and the like. Both
  // as build::SolveOptions has them.
  std::map<std::string, std::string> named_contexts = {};
  api::RunSettings run = {};
  std::stop_token stop;
};

struct Prepared {
  api::Plan plan;
  // The folder with the context's content, to be seen at volume::kContextFolder; empty when the volume has a tar.
  std::filesystem::path context_folder;
  std::string dockerfile_text;             // For messages that show a source line.
  archive::TreeIndex context_index;        // As it was written to the volume.
  archive::FileVersions context_versions;  // Of the regular files of a context that is a folder.
};

// Everything that needs no base image first, so that a typing mistake costs no download. Writes context/context.index,
// context/context.tar (tar contexts only) and plan.json below the volume.
Result<Prepared> prepare(const PrepareRequest& request, const OpenImage& open_image, ProcessRunner& processes);

}  // namespace imagebuild::builder
