// A tree of files that a step looks at: the live root of a container, a root that exists only as an index, a build
// context, another stage's export.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/node.h"
#include "archive/tree_index.h"
#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::builder {

// One object of a tree. A hard-linked file is a regular file under each of its names.
struct Found {
  archive::Node node;
  std::uint64_t file_id = 0;  // Equal for the names of one hard-linked file; 0 when there is only one name.
};

// Paths are relative to the root and cleaned, as in archive::Node; "" is the root.
class TreeView {
 public:
  using Visitor = std::function<Status(const Found&)>;

  virtual ~TreeView() = default;
  // What is at exactly this path, without following a symlink; nothing when there is nothing.
  virtual Result<std::optional<Found>> lookup(const std::string& path) const = 0;
  // The names in a folder, sorted by bytes.
  virtual Result<std::vector<std::string>> list(const std::string& folder) const = 0;
  // The content of a regular file that lookup() found.
  virtual Result<std::unique_ptr<ByteSource>> open(const archive::Node& file) const = 0;

  // Everything below `folder`, each folder before what it holds. Symlinks are not followed.
  virtual Status walk(const std::string& folder, const Visitor& visit) const;

  // Where `path` (absolute or relative to the root, may have "." and "..") leads when symlinks are followed below the
  // root. Parts that do not exist are kept as they are. `passed`, if given, gets each existing path on the way.
  Result<std::string> resolve(std::string_view path, bool follow_last,
                              std::vector<std::string>* passed = nullptr) const;
  // The content of a regular file, symlinks followed; nothing when there is none, kLimit beyond `max_bytes`.
  Result<std::optional<std::string>> read_small(std::string_view path, std::uint64_t max_bytes) const;
};

// A view of an index and of a function that opens what the index names. Both must outlive it.
class IndexView final : public TreeView {
 public:
  using Opener = std::function<Result<std::unique_ptr<ByteSource>>(const archive::Node&)>;
  IndexView(const archive::TreeIndex& index, Opener opener);

  Result<std::optional<Found>> lookup(const std::string& path) const override;
  Result<std::vector<std::string>> list(const std::string& folder) const override;
  Result<std::unique_ptr<ByteSource>> open(const archive::Node& file) const override;
  Status walk(const std::string& folder, const Visitor& visit) const override;

 private:
  Found found(const archive::Node& node) const;
  const archive::TreeIndex& index_;
  Opener opener_;
  std::map<std::string, std::uint64_t> shared_;  // The paths that hard links share their file with, numbered from 1.
};

// "a/b" and "c" → "a/b/c"; a folder or name that is empty adds nothing.
std::string join_path(std::string_view folder, std::string_view name);
// "a/b/c" → "a/b"; "" for a name in the root.
std::string parent_path(std::string_view path);
// "a/b/c" → "c".
std::string last_part(std::string_view path);
// Whether `path` is `folder` or lies below it.
bool is_at_or_below(std::string_view path, std::string_view folder);
// As people write it: "/a/b".
std::string shown(std::string_view path);

}  // namespace imagebuild::builder
