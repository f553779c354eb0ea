// The root as a COPY sees it while it goes: what was there, and over it what the copy has put so far.
#pragma once

#include <optional>
#include <string>

#include "builder/stage/layer_entries.h"
#include "builder/stage/users.h"

namespace imagebuild::builder {

class CopyTarget final : public TreeView {
 public:
  static constexpr std::uint32_t kFolderMode = 0755;

  // `root` must outlive the target. Folders that the copy has to make belong to `owner`, have the mode `folder_mode`
  // and are of the time `epoch_s`.
  CopyTarget(const TreeView& root, Owner owner, std::int64_t epoch_s, std::uint32_t folder_mode = kFolderMode)
      : root_(root), owner_(owner), epoch_s_(epoch_s), folder_mode_(folder_mode) {}

  Result<std::optional<Found>> lookup(const std::string& path) const override;
  Result<std::vector<std::string>> list(const std::string& folder) const override { return root_.list(folder); }
  Result<std::unique_ptr<ByteSource>> open(const archive::Node& file) const override { return root_.open(file); }

  // Makes the folder and those above it where they are missing. Something else in the way is kInvalidInput.
  Status make_folders(const std::string& path) { return make_folders(path, folder_mode_); }
  Status make_folders(const std::string& path, std::uint32_t mode);
  // Puts anything but a folder; a folder in the way is kInvalidInput.
  Status put(LayerEntry entry);
  // Puts anything, in place of whatever is there. Missing parents have the mode kFolderMode.
  Status replace(LayerEntry entry);
  // Where a folder that would be named `path` lies: `path` itself, or where a symlink of that name leads if that is a
  // folder. Anything else in the way is kInvalidInput, naming `source`.
  Result<std::string> folder_for(const std::string& path, const std::string& source);
  // Puts a folder with its own metadata; its parent must be there.
  void put_folder(LayerEntry entry);

  LayerEntries& entries() { return entries_; }
  // A LayerEntry::file_id that no source tree gives.
  std::uint64_t new_file_id() { return next_file_id_++; }

 private:
  const TreeView& root_;
  Owner owner_;
  std::int64_t epoch_s_;
  std::uint32_t folder_mode_;
  LayerEntries entries_;
  std::string last_folder_;  // Known to be there: files come folder by folder.
  std::uint64_t next_file_id_ = 1ULL << 63;
};

}  // namespace imagebuild::builder
