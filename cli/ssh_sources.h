// --ssh: what a build's SSH mounts speak with, checked and read once, before anything runs.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/plan.h"
#include "base/result.h"
#include "cli/options.h"

namespace imagebuild::cli {

// What one id has: the socket of an agent, or private keys, one text after another.
struct SshSource {
  std::filesystem::path socket;  // Empty when there are keys.
  std::string keys;
};

// "ID" (the agent of $SSH_AUTH_SOCK), "ID=SOCKET" or "ID=KEYFILE[,KEYFILE]", as `docker build --ssh` takes them; by id.
// Errors name files, never what is in them.
Result<std::map<std::string, SshSource>> read_ssh(const std::vector<std::string>& texts,
                                                  const Environment& environment);

// kInvalidInput with the step's place for a required SSH mount whose id nobody gave.
Status check_required_ssh(const api::Plan& plan, const std::map<std::string, SshSource>& given);

}  // namespace imagebuild::cli
