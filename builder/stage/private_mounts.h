// Mounts of a RUN as real mounts, in a mount namespace of its own: its child process makes them, and they go with it.
#pragma once

#include <map>

#include "builder/stage/footprints.h"
#include "builder/stage/mount_way.h"
#include "builder/stage/scratch.h"

namespace imagebuild::builder {

class PrivateMounts final : public MountWay {
 public:
  // `root_fd` and `scratch` must outlive this; nothing may be mounted at or below `volume`.
  PrivateMounts(int root_fd, std::string volume, Scratch& scratch)
      : volume_(std::move(volume)), scratch_(scratch), footprints_(root_fd) {}
  ~PrivateMounts() override { (void)undo(); }

  Status put(const std::vector<WantedMount>& mounts, RunChild& child, std::stop_token stop) override;
  Status undo() override;
  const std::set<std::string>& masked() const override { return masked_; }

 private:
  Status find_target(const std::vector<WantedMount>& mounts, std::size_t index, RunChild& child);
  Status find_source(const WantedMount& mount, bool has_inner, ChildMount& out, std::stop_token stop);

  std::string volume_;
  Scratch& scratch_;
  Footprints footprints_;
  std::vector<std::unique_ptr<ssh::SocketServer>> servers_;
  std::vector<std::filesystem::path> own_;  // In the scratch folder, for this RUN only.
  std::set<std::string> masked_;            // Stays empty: nothing of the mounts is in the root.
};

}  // namespace imagebuild::builder
