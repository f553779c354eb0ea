// The stage root of a stage without a container: the base's index and what the layers so far made of it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "archive/tar_reader.h"
#include "builder/stage/stage_root.h"

namespace imagebuild::builder {

class IndexStage final : public StageRoot {
 public:
  // `needs_content`: something will be read out of the layers of stages below (exports).
  IndexStage(archive::TreeIndex base, bool needs_content);

  const TreeView& view() const override { return *view_; }
  Status add_layer(const std::filesystem::path& stage_folder, const api::LayerReport& layer) override;
  Status put(const LayerEntries& entries, std::stop_token stop) override;
  Result<Run> run(const api::RunStep& step, bool keep_entries,
                  const std::function<void(int, std::string_view)>& on_output, std::stop_token stop) override;
  Result<std::uint64_t> content_bytes() override { return index_.content_bytes(); }

 private:
  // Reads a layer file front to back, as long as it is asked for paths in the layer's own order.
  class LayerContent {
   public:
    LayerContent(std::filesystem::path stage_folder, api::LayerReport layer)
        : stage_folder_(std::move(stage_folder)), layer_(std::move(layer)) {}
    // Valid until the next call.
    Result<std::unique_ptr<ByteSource>> open(const std::string& path);
    Result<std::vector<std::string>> files();

   private:
    Status restart();
    std::filesystem::path stage_folder_;
    api::LayerReport layer_;
    std::unique_ptr<ByteSource> tar_;
    std::optional<archive::TarReader> reader_;
  };

  Result<std::unique_ptr<ByteSource>> open(const archive::Node& node) const;
  void refresh();
  archive::TreeIndex index_;
  bool needs_content_;
  std::map<std::string, ContentOpener> openers_;
  std::vector<std::unique_ptr<LayerContent>> layers_;
  std::unique_ptr<IndexView> view_;
};

}  // namespace imagebuild::builder
