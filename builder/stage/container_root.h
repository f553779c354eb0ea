// Finds the root file system that a container's image gave it, from inside the container.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "archive/tree_index.h"
#include "builder/stage/live_root.h"

namespace imagebuild::builder {

// The mount points of a /proc/self/mountinfo (proc(5)): relative to the root, cleaned, sorted, without the root itself.
std::vector<std::string> mount_points(std::string_view mountinfo);

struct ContainerRootSpec {
  std::string root = "/";                    // The folder that is the container's root.
  std::string volume;                        // The artifact volume's folder, absolute: never a part of the root.
  std::vector<std::string> volumes;          // VOLUME paths of the base's config, absolute.
  const archive::TreeIndex* base = nullptr;  // The base's index; an empty one for scratch, null when unknown.
};

// The boundary that the runtime's mounts draw. Pure: `mounts` as from mount_points().
Boundary boundary_of(const ContainerRootSpec& spec, const std::vector<std::string>& mounts, bool mounts_are_hidden);

// With CAP_SYS_ADMIN a private view of the root mount alone, in which nothing that is mounted on it is seen; otherwise,
// and when an image VOLUME is mounted (its content counts), the root itself with its mount points left out.
Result<LiveRoot> open_container_root(const ContainerRootSpec& spec);

}  // namespace imagebuild::builder
