#include "builder/stage/index_stage.h"

#include <utility>

#include "builder/stage/layer_file.h"

namespace imagebuild::builder {
namespace {

// The content of a reader's current entry, for whoever expects to own what he reads.
class Borrowed final : public ByteSource {
 public:
  explicit Borrowed(ByteSource& source) : source_(source) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override { return source_.read(buffer); }

 private:
  ByteSource& source_;
};

}  // namespace

IndexStage::IndexStage(archive::TreeIndex base, bool needs_content)
    : index_(std::move(base)), needs_content_(needs_content) {
  refresh();
}

void IndexStage::refresh() {
  view_ = std::make_unique<IndexView>(index_, [this](const archive::Node& node) { return open(node); });
}

Result<std::unique_ptr<ByteSource>> IndexStage::open(const archive::Node& node) const {
  if (node.content) return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(*node.content));
  const bool linked = node.type == archive::NodeType::kHardlink;
  if (linked) {
    const archive::Node* file = index_.find(node.link);
    if (file != nullptr && file->content) {
      return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(*file->content));
    }
  }
  const auto opener = openers_.find(linked ? node.link : node.path);
  if (opener != openers_.end() && opener->second) return opener->second();
  if (node.size_bytes == 0 && !linked) return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(""));
  return Error{ErrorCode::kInternal, "the content of '" + shown(node.path) +
                                         "' lies in the base image, which a stage without a container does not have"};
}

Status IndexStage::LayerContent::restart() {
  reader_.reset();
  ASSIGN_OR_RETURN(tar_, open_layer_file(stage_folder_, layer_));
  ASSIGN_OR_RETURN(reader_, archive::TarReader::open(*tar_));
  return imagebuild::ok();
}

Result<std::unique_ptr<ByteSource>> IndexStage::LayerContent::open(const std::string& path) {
  for (int pass = 0; pass < 2; ++pass) {
    if (pass > 0 || !reader_) RETURN_IF_ERROR(restart());
    while (true) {
      ASSIGN_OR_RETURN(const std::optional<archive::Node> node, reader_->next());
      if (!node) break;
      if (node->path == path) return std::unique_ptr<ByteSource>(std::make_unique<Borrowed>(reader_->content()));
    }
    reader_.reset();
  }
  return Error{ErrorCode::kCorrupt, "the layer " + layer_.file + " does not hold '" + path + "'"};
}

Result<std::vector<std::string>> IndexStage::LayerContent::files() {
  std::vector<std::string> paths;
  RETURN_IF_ERROR(restart());
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<archive::Node> node, reader_->next());
    if (!node) break;
    if (node->type == archive::NodeType::kFile && node->size_bytes > 0) paths.push_back(node->path);
  }
  reader_.reset();
  return paths;
}

Status IndexStage::add_layer(const std::filesystem::path& stage_folder, const api::LayerReport& layer) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> tar, open_layer_file(stage_folder, layer));
  RETURN_IF_ERROR(archive::apply_layer_to_index(*tar, {"etc/passwd", "etc/group"}, index_));
  RETURN_IF_ERROR(finish_layer_file(*tar));
  if (needs_content_) {
    layers_.push_back(std::make_unique<LayerContent>(stage_folder, layer));
    LayerContent* content = layers_.back().get();
    ASSIGN_OR_RETURN(const std::vector<std::string> files, content->files());
    for (const std::string& path : files) {
      openers_[path] = [content, path] { return content->open(path); };
    }
  }
  refresh();
  return imagebuild::ok();
}

Status IndexStage::put(const LayerEntries& entries, std::stop_token) {
  for (const auto& [path, entry] : entries) {
    index_.put(entry.node);
    openers_.erase(path);
    if (entry.open) openers_[path] = entry.open;
  }
  refresh();
  return imagebuild::ok();
}

Result<StageRoot::Run> IndexStage::run(const api::RunStep&, bool, const std::function<void(int, std::string_view)>&,
                                       std::stop_token) {
  return Error{ErrorCode::kInternal, "a RUN needs a container, but the plan has none for this stage"};
}

}  // namespace imagebuild::builder
