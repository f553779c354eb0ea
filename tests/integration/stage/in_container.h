// A test in both kinds of container: with CAP_SYS_ADMIN (local), and without (a pod under PodSecurity baseline).
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "container.h"

namespace imagebuild::testing {

// The parameter: whether the container has CAP_SYS_ADMIN.
class InContainer : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (const auto why = why_no_containers()) GTEST_SKIP() << *why;
    container_.emplace();
    container_->has_admin = GetParam();
    container_->add_busybox();
    fill();
  }
  // What all tests of a suite begin with, after busybox.
  virtual void fill() {}
  Container& container() { return *container_; }

 private:
  std::optional<Container> container_;
};

inline std::string kind_of_container(const ::testing::TestParamInfo<bool>& has_admin) {
  return has_admin.param ? "WithAdmin" : "WithoutAdmin";
}

}  // namespace imagebuild::testing
