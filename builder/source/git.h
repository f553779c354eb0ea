// A revision of a Git repository as a folder, by the program git.
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
#include "builder/source/source_secret.h"

namespace imagebuild::builder {

struct GitRequest {
  api::GitSource source;
  std::optional<SourceSecret> secret;
  std::filesystem::path scratch;         // An empty folder: the files end up in tree/.
  std::function<void(std::string)> log;  // May be empty.
  std::string checksum = {};             // The commit, or how it begins (7 digits or more); empty: any.
  bool keep_git_dir = false;             // Keep .git, with nothing in it that says when or where it was fetched.
  bool own_ssh = false;                  // SSH with the settings, keys and agent of whoever runs this program.
  // What somebody can do whom the server asks for credentials.
  std::string credentials_hint = "name a Secret in secretRef";
};

struct GitCheckout {
  std::filesystem::path folder;       // The files, without .git unless it is to be kept.
  std::string revision;               // "main@sha1:<commit>"; "sha1:<commit>" when the revision is a commit.
  std::int64_t epoch_s = 0;           // When the commit was made.
  std::vector<std::string> warnings;  // What of the repository is not in the folder.
};

// Fetches as little as the server allows. A revision is, in this order, a full ref name ("refs/pull/7/head"), a branch,
// a tag, a commit (40 digits, or 4 and more of them), a ref's name without "refs/" before it; empty: the remote's HEAD.
//
// Git runs without the machine's and the user's settings, without hooks, prompts, filters (so Git LFS files stay
// pointers, with a warning) and file:// addresses. Credentials go to the repository's own host only, by a credential
// helper that reads the mounted Secret, so that they are on no command line and in no address. SSH needs ssh-privatekey
// (or identity) and known_hosts, unless `own_ssh` is set: a server that is not in there is refused. A user name and a
// password in the address are used, and are in no message and in no kept .git.
Result<GitCheckout> fetch_git(const GitRequest& request, ProcessRunner& processes, std::stop_token stop);

}  // namespace imagebuild::builder
