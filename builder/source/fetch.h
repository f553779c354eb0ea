// Brings the source of an ImageBuild to this machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/image_build_spec.h"
#include "base/process.h"
#include "base/result.h"
#include "builder/prepare/prepare.h"
#include "http/transport.h"

namespace imagebuild::builder {

// Where a source comes from, and where it goes.
struct SourcePlaces {
  std::filesystem::path mounted;  // The ConfigMap or claim, as a folder; only read.
  std::filesystem::path secret;   // The folder of the Secret that git or http names; only read.
  std::filesystem::path scratch;  // An empty folder for what is fetched. The caller removes it.
};

// What fetching needs from outside.
struct SourceSeams {
  ProcessRunner& processes;              // Runs git.
  http::HttpTransport& transport;        // Downloads.
  OpenImage open_image;                  // For an image as the source.
  std::function<void(std::string)> log;  // One line about what is going on; never a secret. May be empty.
};

struct FetchedSource {
  std::filesystem::path context;  // The context itself: a folder, or a tar file.
  std::string tar_sub_path;       // Of a tar: the folder in it that is the context; empty: all of it.
  std::string revision;           // Git: "main@sha1:<commit>", or "sha1:<commit>" for a commit by its name.
  std::int64_t epoch_s = 0;       // Git: when the revision was committed. Others: 0.
  std::vector<std::string> warnings;
};

// A downloaded file as a tar that Context::open() takes: itself, or what a zip becomes in `scratch`, the file then
// being gone. Nothing when it is no archive. kInvalidInput for a broken one.
Result<std::optional<std::filesystem::path>> as_tar(const std::filesystem::path& file,
                                                    const std::filesystem::path& scratch);

// An archive's single folder at the top is not left out: that is what subPath is for, as in BuildKit and Flux.
//
// Fetches the one source that is set and goes to its sub-path. Errors say what the user can do; no credential is in
// any. kNotFound: no such revision, file or folder; kDenied: credentials are missing or wrong; kUnavailable: the server
// cannot be reached; kInvalidInput: the source is not what the spec says (its sha256, its format).
Result<FetchedSource> fetch_source(const api::Source& source, const SourcePlaces& places, const SourceSeams& seams,
                                   const std::stop_token& stop);

}  // namespace imagebuild::builder
