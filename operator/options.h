// imagebuild-operator's command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/image_build_spec.h"
#include "operator/log.h"

namespace imagebuild::op {

struct Options {
  std::string builder_image, stage_image;
  std::string image_pull_policy;         // Empty: Kubernetes' default.
  api::ResourceNeeds builder_resources;  // Of prepare and publish pods.
  std::vector<std::string> namespaces;   // Empty: all.
  std::size_t concurrency = 0;           // Builds at once; 0: no limit.
  int workers = 4;
  bool leader_elect = false;
  std::string lease_namespace, lease_name = "imagebuild-operator", identity;
  std::uint16_t metrics_port = 8080, report_port = 8081;
  std::string report_address;  // Where pods reach this process; empty: they do not report.
  std::string registries_file;
  api::CacheSettings default_cache;  // For builds whose spec says nothing of a cache.
  std::string kubeconfig;
  bool log_json = true;
  LogLevel log_level = LogLevel::kInfo;
};

// The options, or the exit status when the program is to end here: help, version, or a mistake that was told on stderr.
std::variant<Options, int> parse_options(int argc, char** argv, const char* version);

}  // namespace imagebuild::op
