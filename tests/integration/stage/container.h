// A container made with namespaces alone: an overlay of a base folder as root, the mounts that a runtime makes, and
// imagebuild-stage as PID 1. Needs root.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/plan.h"
#include "api/report.h"
#include "archive/node.h"
#include "base/file.h"

namespace imagebuild::testing {

// An entry of a layer, with its content.
struct LayerFile {
  archive::Node node;
  std::string content;
};
using LayerFiles = std::map<std::string, LayerFile>;

struct Outcome {
  int exit_status = -1;
  std::vector<api::StageEvent> events;
  std::optional<api::StageReport> report;  // As report.json has it.
  std::string output;                      // Of all steps, both streams.
};

class Container {
 public:
  Container();

  // The folder that becomes the root, and the artifact volume, as this test sees them.
  std::filesystem::path base() const { return folder_.path() / "base"; }
  std::filesystem::path volume() const { return folder_.path() / "volume"; }
  // Where the root can be looked at after the run (the overlay's upper folder).
  std::filesystem::path upper() const { return folder_.path() / "upper"; }

  // A file of the base; folders are made.
  void add(const std::string& path, const std::string& content, unsigned mode = 0644);
  // busybox with its usual links, /etc/passwd and /etc/group.
  void add_busybox();
  // The plan's only stage; its steps follow.
  api::PlanStage& stage() { return plan.stages.back(); }
  void add_run(const std::string& shell_line, const std::function<void(api::RunStep&)>& change = {});
  void add_step(decltype(api::Step::action) action);

  api::Plan plan;
  bool has_admin = true;  // The container has CAP_SYS_ADMIN, and with it mounts of its own.
  bool has_proc = true;
  std::vector<std::string> runtime_mounts = {"etc/resolv.conf", "etc/hosts", "dev/shm/"};  // With '/': a folder.
  std::vector<std::string> environment = {"KUBERNETES_SERVICE_HOST=10.0.0.1", "POD_NAME=p"};
  bool writes_report_fd = true;
  // Called with the PID of the stage process, as this process sees it, for each event.
  std::function<void(const api::StageEvent&, pid_t)> on_event;
  std::function<void(pid_t)> on_start;  // Before anything is read; a reader that goes away closes `report_read_fd`.
  bool close_report_after_first_event = false;

  Outcome run();
  // The layer of a step; empty when there is none.
  LayerFiles layer(const Outcome& outcome, int step) const;

 private:
  void write_volume();
  [[noreturn]] void become_container(int report_fd, int output_fd) const;
  TempDir folder_;
};

// Whether this process can make containers at all; the reason if not.
std::optional<std::string> why_no_containers();

}  // namespace imagebuild::testing
