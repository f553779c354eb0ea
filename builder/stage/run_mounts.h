// What a RunStep's --mount flags come to in this stage: sources found, caches leased, keys read.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/plan.h"
#include "builder/stage/cache_copies.h"
#include "builder/stage/mount_way.h"
#include "builder/stage/source_trees.h"

namespace imagebuild::builder {

// What mounts of a stage refer to.
struct MountPlaces {
  std::filesystem::path volume;                // The artifact volume.
  std::shared_ptr<SourceTrees> sources;        // Of bind mounts and new caches.
  std::vector<std::string> cache_ids;          // api::cache_ids() of the stage
  std::vector<std::string> ssh_ids;            // api::ssh_ids()
  std::map<std::string, std::string> secrets;  // Contents by id; one that was not given is missing.
};

class RunMounts {
 public:
  explicit RunMounts(const MountPlaces& places) : places_(places) {}

  // Every mount of the step, sorted by target; those of secrets and keys that were not given and need not be are left
  // out. Waits for caches that are locked, and says so by `on_output`. Errors say which mount they are about.
  Result<std::vector<WantedMount>> find(const api::RunStep& step,
                                        const std::function<void(int, std::string_view)>& on_output,
                                        const std::stop_token& stop);

 private:
  Result<TreeSource> find_tree(const api::CopyFrom& from, const std::string& source) const;
  Status lease(const api::CacheMount& mount, const std::function<void(int, std::string_view)>& on_output,
               const std::stop_token& stop);
  Result<std::optional<SocketSource>> find_agent(const api::SshMount& mount) const;
  Status add_secret(const api::SecretMount& secret, std::vector<WantedMount>& mounts) const;

  const MountPlaces& places_;
  std::map<std::string, CacheLease> leases_;  // By id and variant: mounts of one cache in one step are one use of it.
};

}  // namespace imagebuild::builder
