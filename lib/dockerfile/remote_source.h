// Sources of ADD, and named contexts, that are elsewhere: web addresses and Git repositories. The rules of which text
// is which are BuildKit's (frontend/dockerfile/dfgitutil, util/gitutil).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imagebuild::dockerfile {

struct RemoteUrl {
  enum class Kind {
    kHttp,  // One file.
    kGit,   // A folder of a repository.
  };
  Kind kind = Kind::kHttp;
  std::string url;  // kHttp: as written, without "#…". kGit: what git takes, without "?…" and "#…".

  // kHttp:
  std::string file_name;  // The last part of the path, decoded; "__unnamed__" where the path has none.

  // kGit, from "#ref:folder" or "?ref=…&subdir=…":
  std::string ref;       // Branch, tag, commit or full name ("refs/tags/v1", for "?tag=v1"); empty: the remote's HEAD.
  std::string folder;    // Clean and relative; empty: all of the repository.
  std::string checksum;  // "?checksum=" or "?commit=": the commit, or how it begins; empty: not given.
  std::optional<bool> keep_git_dir;  // "?keep-git-dir[=yes or no]"
  std::optional<bool> submodules;    // "?submodules[=yes or no]"

  bool operator==(const RemoteUrl&) const = default;
};

// Nothing for a path of the context, which "github.com/owner/repository" is too. Git is what begins with ssh://, git://
// or user@host:, and an http(s) address whose path ends in ".git"; every other http(s) address is a download.
// kInvalidInput for an address that is broken, kUnsupported for one of another scheme ("ftp://…").
Result<std::optional<RemoteUrl>> parse_remote(std::string_view text);

}  // namespace imagebuild::dockerfile
