// The one file that says how registries are reached: mirrors, insecure hosts and CAs. A user names it with
// --registries; in a cluster the chart mounts it. YAML:
//
//   registries:
//     docker.io:
//       mirrors: ["https://mirror.corp:5000"]
//     registry.corp:5000:
//       caFile: /etc/ssl/corp.pem      # PEM, used instead of the system's CAs
//     lab.corp:
//       plainHTTP: true                # or skipTLSVerify: true
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace imagebuild::api {

struct RegistryEntry {
  std::vector<std::string> mirrors;
  std::string ca_file;
  bool plain_http = false;
  bool skip_tls_verify = false;
  bool operator==(const RegistryEntry&) const = default;
};

struct RegistriesFile {
  std::map<std::string, RegistryEntry> registries;

  // `name` is the file's, for messages. An unknown key, a wrong type or broken YAML is kInvalidInput with line and
  // column.
  static Result<RegistriesFile> parse(std::string_view text, const std::string& name);
};

}  // namespace imagebuild::api
