// How git is run: by what settings and with which credentials.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "builder/source/source_secret.h"

namespace imagebuild::builder {

enum class GitTransport { kWeb, kSsh, kPlain };  // http(s), ssh, git.

// The address of a repository, taken apart as far as credentials need it.
struct GitAddress {
  GitTransport transport = GitTransport::kWeb;
  std::string origin;  // "https://host:port" for the first kind.
  std::string host;    // For messages.

  // "scheme://…" or "user@host:path"; kInvalidInput for anything else (a path of this machine, an unknown scheme).
  static Result<GitAddress> parse(const std::string& url);
};

// The environment of every git of one fetch, which its own children inherit.
class GitSettings {
 public:
  // `home` is an empty folder that git takes for the user's. The private key is copied to memory (/dev/shm) where that
  // is possible, since ssh refuses one that others may read, and is gone with this object. With `own_ssh` and no
  // secret, SSH works as for whoever runs this program.
  static Result<GitSettings> create(const GitAddress& address, const std::optional<SourceSecret>& secret,
                                    const std::filesystem::path& home, bool own_ssh = false);

  const std::vector<std::string>& environment() const { return environment_; }
  // The text, with every secret value in it replaced: git does not print any, but nobody promises that.
  std::string without_secrets(std::string text) const;

 private:
  GitSettings() = default;
  void set(const std::string& name, const std::string& value) { environment_.push_back(name + "=" + value); }
  void configure(std::vector<std::pair<std::string, std::string>> values);
  Status use_web_secret(const GitAddress& address, const SourceSecret& secret,
                        std::vector<std::pair<std::string, std::string>>& values);
  void use_own_ssh();
  Status use_ssh_secret(const GitAddress& address, const std::optional<SourceSecret>& secret,
                        const std::filesystem::path& home);
  std::vector<std::string> environment_;
  std::vector<std::string> secrets_;
  std::optional<TempDir> keys_;
};

}  // namespace imagebuild::builder
