// The ImageBuild that a pod of prepare or publish works for, and where its inputs are mounted (api/job.h).
#pragma once

#include <filesystem>
#include <string>

#include "api/image_build.h"
#include "api/told.h"
#include "archive/compress.h"
#include "base/result.h"
#include "builder/prepare/registries.h"

namespace imagebuild::builder {

struct Job {
  api::ImageBuild build;
  std::filesystem::path volume;                  // The artifact volume.
  std::filesystem::path mounts = "/imagebuild";  // What api::job's paths begin with; tests have another folder.

  // `path` is one of api::job's.
  std::filesystem::path mounted(const std::string& path) const;
};

// Reads the gzipped ImageBuild. kInvalidInput for a spec that cannot be built, in the words of api::validate().
Result<api::ImageBuild> read_job(const std::filesystem::path& file);

// The mounted credentials, and the output's registry as an untrusted one if the spec says insecure; `registries_file`
// may be empty.
RegistryOptions job_registries(const Job& job, const std::string& registries_file);

archive::Compression compression_of(const api::ImageBuildSpec& spec);

// An error as a pod tells it. `dockerfile` is its name in messages: "NAME:LINE:COLUMN: " at the beginning becomes the
// place. Lines after the first (an excerpt of the Dockerfile) become the log's.
api::Failure failure_of(const Error& error, const std::string& dockerfile);

// What the process ends with after telling this.
int exit_status_of(const api::Told& told);

}  // namespace imagebuild::builder
