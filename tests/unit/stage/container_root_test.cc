#include "builder/stage/container_root.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trees.h"

namespace imagebuild::builder {
namespace {

using ::testing::ElementsAre;
using ::testing::IsSupersetOf;

TEST(MountPoints, AreReadFromTheKernelsList) {
  EXPECT_THAT(mount_points("22 1 0:21 / / rw - overlay overlay rw\n"
                           "23 22 0:22 / /proc rw,nosuid - proc proc rw\n"
                           "24 22 0:23 / /with\\040space rw shared:1 - tmpfs tmpfs rw\n"
                           "25 22 0:23 / /etc/hosts rw - ext4 /dev/vda rw\n"
                           "broken\n"
                           "26 22 0:24 / /proc rw - proc proc rw"),
              ElementsAre("etc/hosts", "proc", "with space"));
}

class Boundaries : public ::testing::Test {
 protected:
  testing::MemoryTree base_{"proc/", "etc/", "data/"};
  const std::vector<std::string> mounts_ = {".imagebuild", "data", "dev", "etc/hosts", "opt/x/y", "proc"};
  ContainerRootSpec spec() {
    ContainerRootSpec spec;
    spec.volume = "/.imagebuild";
    spec.volumes = {"/data/"};
    spec.base = &base_.index();
    return spec;
  }
};

TEST_F(Boundaries, HiddenMountsLeaveTheirMountPointsAsPhantoms) {
  const Boundary boundary = boundary_of(spec(), mounts_, true);
  EXPECT_THAT(boundary.excluded, ElementsAre(".imagebuild"));
  EXPECT_THAT(boundary.phantoms, IsSupersetOf({"dev", "etc/hosts", "opt", "opt/x", "opt/x/y", ".dockerenv"}));
  EXPECT_FALSE(boundary.phantoms.contains("etc"));
  EXPECT_FALSE(boundary.phantoms.contains("proc"));
  EXPECT_FALSE(boundary.exclude_mount_roots);
}

TEST_F(Boundaries, VisibleMountsAreExcludedButImageVolumesAreNot) {
  const Boundary boundary = boundary_of(spec(), mounts_, false);
  EXPECT_THAT(boundary.excluded, ElementsAre(".imagebuild", "dev", "etc/hosts", "opt/x/y", "proc"));
  EXPECT_TRUE(boundary.exclude_mount_roots);
}

TEST_F(Boundaries, OfARootThatIsAFolderCountOnlyWhatIsBelowIt) {
  ContainerRootSpec other = spec();
  other.root = "/opt/";
  other.volume = "/srv/volume";
  const Boundary boundary = boundary_of(other, mounts_, false);
  EXPECT_THAT(boundary.excluded, ElementsAre("x/y"));
}

}  // namespace
}  // namespace imagebuild::builder
