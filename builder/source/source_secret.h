// The Secret of a Git or HTTP source, as Kubernetes mounts it: a folder with a file for each key.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace imagebuild::builder {

class SourceSecret {
 public:
  // `name` is the Secret's, for messages.
  SourceSecret(std::filesystem::path folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  bool has(const char* key) const;
  std::filesystem::path file(const char* key) const { return folder_ / key; }
  // The whole value; kInvalidInput names Secret and key, never the value.
  Result<std::string> text(const char* key) const;
  // A value of one line, for a header or Git's protocol: line ends at its end go; others, and NUL, are kInvalidInput.
  Result<std::string> line(const char* key) const;

 private:
  std::filesystem::path folder_;
  std::string name_;
};

// What a Secret may hold for HTTP and HTTPS.
struct WebCredential {
  std::string username;  // Empty: a bearer token.
  std::string password;
};

// The keys `username` and `password` (kubernetes.io/basic-auth), or `token`, with or without `username`. kInvalidInput
// when there is neither.
Result<WebCredential> web_credential(const SourceSecret& secret);

}  // namespace imagebuild::builder
