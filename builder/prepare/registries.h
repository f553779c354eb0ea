// How this process reaches registries: the file, flags and credentials a user gave, made into one client.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/result.h"
#include "registry/client.h"

namespace imagebuild::builder {

struct RegistryOptions {
  std::string file;                   // --registries: api/registries_file.h; empty: none.
  std::vector<std::string> mirrors;   // --registry-mirror REGISTRY=URL, asked before those of the file.
  std::vector<std::string> insecure;  // --insecure-registry HOST[:PORT]: plain HTTP.
  // Registries whose certificate need not be trusted, or that speak no TLS at all: each is asked once which it is.
  // What the file says of one goes before.
  std::vector<std::string> untrusted;
  // Docker config files to take credentials from, the first that knows a registry wins; absent: the user's own.
  std::optional<std::vector<std::filesystem::path>> credentials;
  bool use_mirrors = true;  // Of the file.
};

// A transport and a client on it, for as long as this object lives.
class RegistryAccess {
 public:
  // Reads the file and the credentials (registry/credentials.h); `processes` runs credential helpers and must
  // outlive this.
  static Result<std::unique_ptr<RegistryAccess>> open(const RegistryOptions& options, ProcessRunner& processes);

  registry::Client& client() { return client_; }
  http::HttpTransport& transport() { return *transport_; }

 private:
  RegistryAccess(std::unique_ptr<http::HttpTransport> transport, registry::ClientOptions options)
      : transport_(std::move(transport)), client_(*transport_, std::move(options)) {}
  std::unique_ptr<http::HttpTransport> transport_;
  registry::Client client_;
};

}  // namespace imagebuild::builder
