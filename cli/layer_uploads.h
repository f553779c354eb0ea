// Large layers of an image that is pushed, on their way to the registry while their stages still write them.
//
// Only bytes go there early: no manifest and no tag. The push at the end finds such a layer in the repository, and
// sends what is missing as if nothing had been sent before; so nothing here can fail a build.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>

#include "api/plan.h"
#include "api/report.h"
#include "archive/compress.h"
#include "builder/publish/publish.h"
#include "oci/reference.h"
#include "registry/client.h"

namespace imagebuild::cli {

// The stages whose layers become part of an image that is pushed, and the first place each is pushed to. Pure.
std::map<int, oci::Reference> pushed_stages(const api::Plan& plan, const builder::TargetTags& tags);

class LayerUploads {
 public:
  // Whether the registry has a layer already is not known before the layer is whole, so a smaller one is not worth it.
  static constexpr std::uint64_t kLargeBytes = 16U << 20;

  // `client` and `plan` must outlive this object. When `stop` is requested everything ends soon.
  LayerUploads(registry::Client& client, const api::Plan& plan, std::filesystem::path volume,
               archive::Compression compression, std::map<int, oci::Reference> stages, std::stop_token stop,
               std::uint64_t large_bytes = kLargeBytes);
  // Stops what is under way and has the registry forget it.
  ~LayerUploads();
  LayerUploads(const LayerUploads&) = delete;
  LayerUploads& operator=(const LayerUploads&) = delete;

  // The stage is about to run: layers that lie in its folder already are somebody else's. Once a stage; from any
  // thread, like the rest.
  void begin(int stage);
  // It ended with this report, or failed: nullptr. Only after begin().
  void end(int stage, const api::StageReport* report);
  // Waits until what was begun has arrived or failed; to be called after the end of every stage.
  void wait();

 private:
  class Stage;
  registry::Client& client_;
  const api::Plan& plan_;
  const std::filesystem::path volume_;
  const archive::Compression compression_;
  const std::map<int, oci::Reference> places_;
  const std::stop_token stop_;
  const std::uint64_t large_bytes_;
  std::mutex mutex_;
  std::map<int, std::unique_ptr<Stage>> stages_;
};

}  // namespace imagebuild::cli
