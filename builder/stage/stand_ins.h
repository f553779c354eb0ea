// Mounts of a RUN where nothing can be mounted (a pod under PodSecurity baseline): what is at a target is put aside,
// something that does the same stands there for the time of the command, and then everything is as before. A bind mount
// is a copy, a cache a link to its folder, a tmpfs a folder, a secret a file, an SSH mount the socket itself.
#pragma once

#include <optional>

#include "builder/stage/footprints.h"
#include "builder/stage/mount_way.h"

namespace imagebuild::builder {

class StandIns final : public MountWay {
 public:
  // Where things are put aside: a folder of the root that belongs to no snapshot.
  static constexpr const char* kAside = ".imagebuild-aside";

  // `root_fd` must outlive this. `mount_points` (relative, as from container_root.h) cannot be put aside.
  StandIns(int root_fd, std::string volume, std::vector<std::string> mount_points,
           std::function<void(const std::string&)> warn)
      : root_fd_(root_fd),
        volume_(std::move(volume)),
        mount_points_(std::move(mount_points)),
        warn_(std::move(warn)),
        footprints_(root_fd) {}
  ~StandIns() override { (void)undo(); }

  Status put(const std::vector<WantedMount>& mounts, RunChild& child, std::stop_token stop) override;
  Status undo() override;
  const std::set<std::string>& masked() const override { return masked_; }

 private:
  struct StandIn {
    Footprints::Place place;
    struct stat parent = {};           // Of the folder it is in, before.
    std::optional<std::string> aside;  // The name there of what was here before.
    ino_t inode = 0;                   // Of what stands here.
    std::unique_ptr<ssh::SocketServer> server;
  };
  Status put_one(const WantedMount& mount, std::stop_token stop);
  Status put_aside(StandIn& stand_in, std::stop_token stop);
  Status stand(const WantedMount& mount, StandIn& stand_in, std::stop_token stop);
  Status take_back(StandIn& stand_in);

  int root_fd_;
  std::string volume_;
  std::vector<std::string> mount_points_;
  std::function<void(const std::string&)> warn_;
  Footprints footprints_;
  UniqueFd aside_;
  std::vector<StandIn> stand_ins_;
  std::set<std::string> cache_targets_;  // As the Dockerfile says them.
  std::set<std::string> masked_;
};

}  // namespace imagebuild::builder
