// The build context: what the user gave, less what .dockerignore leaves out.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/file_version.h"
#include "archive/tree_index.h"
#include "base/result.h"
#include "base/stream.h"
#include "dockerfile/ignore.h"

namespace imagebuild::builder {

struct ContextOptions {
  // The folder of a tar that is the context, as a clean path (archive/path.h); empty: all of it.
  std::string sub_path;
  // Links in a folder may lead where they like for read(); set: only to what is inside (kInvalidInput otherwise).
  bool confined = false;
  std::stop_token stop;
};

class Context {
 public:
  // A folder is used where it lies. A tar (plain, gzip, bzip2, xz or zstd), or "-" for one on stdin, is rewritten
  // uncompressed to `tar_file`. Anything else is kInvalidInput or kNotFound, naming it.
  static Result<Context> open(const std::string& given, const std::filesystem::path& tar_file,
                              ContextOptions options = {});

  // The folder; empty for a tar.
  const std::filesystem::path& folder() const { return folder_; }
  // A file of at most `max_bytes`; nothing when there is none. `path` is relative to the context and stays inside it.
  Result<std::optional<std::string>> read(const std::filesystem::path& path, std::uint64_t max_bytes) const;
  // The names at the top, sorted.
  Result<std::vector<std::string>> top_names() const;
  // Everything but what the rules exclude. Owners are root's, as for every file of a context (Dockerfile reference,
  // COPY --chown); sockets are left out; modes, times, hard links and file
  // capabilities are kept. `versions`, if given, gets those of a folder's regular files.
  Result<archive::TreeIndex> index(const dockerfile::IgnoreRules& rules,
                                   archive::FileVersions* versions = nullptr) const;
  // Copies the content of a folder's `index` to a tar; returns the index with the places in it.
  Result<archive::TreeIndex> pack(const archive::TreeIndex& index, const std::filesystem::path& tar_file) const;

 private:
  Context() = default;
  ContextOptions options_;
  std::filesystem::path folder_;
  std::filesystem::path tar_file_;
  archive::TreeIndex tar_index_;
};

}  // namespace imagebuild::builder
