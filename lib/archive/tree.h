// A read-only tree of files: an index and the content behind it.
#pragma once

#include <memory>

#include "archive/tree_index.h"
#include "base/result.h"
#include "base/stream.h"
#include "base/unique_fd.h"

namespace imagebuild::archive {

class Tree {
 public:
  // Content from a tar file, at the offsets that the index holds.
  static Result<Tree> open_tar(const std::filesystem::path& tar, TreeIndex index);
  // Content from a folder on disk, opened below it without leaving it and without following a symlink. The size must
  // still be the one in the index, else kInvalidInput says that the file changed while it was read.
  static Result<Tree> open_directory(const std::filesystem::path& directory, TreeIndex index);

  const TreeIndex& index() const { return index_; }
  // The content of a regular file of the index (a hard link: of the file it shares). Thread-safe.
  Result<std::unique_ptr<ByteSource>> open(const Node& node) const;

 private:
  Tree(TreeIndex index, UniqueFd fd, bool is_tar) : index_(std::move(index)), fd_(std::move(fd)), is_tar_(is_tar) {}
  TreeIndex index_;
  UniqueFd fd_;
  bool is_tar_;
};

}  // namespace imagebuild::archive
