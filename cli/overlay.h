// Mounts of the local runtime. They live in this process's own mount namespace and vanish with it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace imagebuild::cli {

// Gives the process a mount namespace of its own, from which nothing reaches the host. Call it in main before there are
// threads: they inherit it. kDenied when the process may not.
Status enter_own_mount_namespace();

// A mount that is undone at the end of its life.
class Mount {
 public:
  explicit Mount(std::filesystem::path target) : target_(std::move(target)) {}
  Mount(Mount&& other) noexcept : target_(std::exchange(other.target_, {})) {}
  Mount& operator=(Mount&& other) noexcept;
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;
  ~Mount();
  const std::filesystem::path& target() const { return target_; }
  // Undoes it now; the error says who is still there.
  Status unmount();

 private:
  std::filesystem::path target_;
};

// The folder of one overlay: "merged" is the mount, "upper" what changes.
struct OverlayFolder {
  std::filesystem::path path;
  std::filesystem::path merged() const { return path / "merged"; }
  std::filesystem::path upper() const { return path / "upper"; }
};

// The most layers that are stacked (the kernel's OVL_MAX_STACK).
inline constexpr std::size_t kMostLowerLayers = 500;

// Mounts `lower` (from the bottom up, may be empty) with a fresh upper folder in `folder`, which must exist and be
// empty. What is written is not synced to disk: the result of a crash is thrown away anyway. Names in the mount's
// options are short and relative, because the kernel takes one page of them.
Result<Mount> mount_overlay(const OverlayFolder& folder, const std::vector<std::filesystem::path>& lower);

// An empty file system in memory, for secrets.
Result<Mount> mount_tmpfs(const std::filesystem::path& target, std::uint64_t max_bytes);

}  // namespace imagebuild::cli
