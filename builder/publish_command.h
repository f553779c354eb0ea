// `imagebuild-builder publish`: with --job for an ImageBuild in a cluster, otherwise as its flags say.
#pragma once

#include <string>
#include <vector>

#include "builder/prepare/registries.h"

namespace imagebuild::builder {

struct PublishOptions {
  std::string volume;
  RegistryOptions registries;
  std::string job;           // The file with the ImageBuild; empty: the rest counts.
  std::string mounts;        // What api::job's paths begin with.
  std::string artifact_tag;  // With `job`: the artifacts come from a registry, by tags that begin like this.
  bool wait = false;         // With `job`: stages still run.
  std::vector<std::string> tags;
  std::string digest_file;
};

// The exit status.
int publish_command(PublishOptions& options);

}  // namespace imagebuild::builder
