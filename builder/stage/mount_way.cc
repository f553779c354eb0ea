#include "builder/stage/mount_way.h"

namespace imagebuild::builder {

bool wants_folder(const WantedMount& mount) {
  if (const auto* tree = std::get_if<TreeSource>(&mount.source)) return tree->is_folder;
  return std::holds_alternative<CacheSource>(mount.source) || std::holds_alternative<MemorySource>(mount.source);
}

int enclosing(const std::vector<WantedMount>& mounts, std::size_t index) {
  int found = -1;
  for (std::size_t i = 0; i < index; ++i) {
    const std::string& outer = mounts[i].target;
    const std::string& inner = mounts[index].target;
    if (inner != outer && is_at_or_below(inner, outer)) found = static_cast<int>(i);
  }
  return found;
}

}  // namespace imagebuild::builder
