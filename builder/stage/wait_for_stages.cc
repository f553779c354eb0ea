#include "builder/stage/wait_for_stages.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "api/report.h"
#include "api/volume.h"
#include "base/file.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;
namespace volume = api::volume;

namespace {

constexpr std::uint64_t kMaxReportBytes = 64U << 20;
constexpr std::chrono::milliseconds kBetweenLooks{10};

bool is_done(const fs::path& file) {
  const auto text = read_file(file, kMaxReportBytes);
  if (!text.ok()) return false;
  const auto report = api::StageReport::parse(*text);
  return report.ok() && !report->failure;
}

void pause_until_stopped(const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, kBetweenLooks, [] { return false; });
}

}  // namespace

Status wait_for_stages(const fs::path& root, const std::vector<int>& stages, const std::stop_token& stop,
                       const std::function<void(const std::stop_token&)>& pause) {
  for (const int stage : stages) {
    while (!is_done(root / volume::stage_folder(stage) / volume::kReport)) {
      if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
      pause ? pause(stop) : pause_until_stopped(stop);
    }
  }
  return ok();
}

}  // namespace imagebuild::builder
