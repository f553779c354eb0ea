#include "builder/stage/source_trees.h"

#include <utility>
#include <variant>

#include "api/volume.h"

namespace imagebuild::builder {
namespace {

namespace volume = api::volume;

int key_of(const api::CopyFrom& from) {
  const auto* stage = std::get_if<api::FromStage>(&from);
  return stage == nullptr ? -1 : stage->stage;
}

Result<archive::Tree> open_context(const std::filesystem::path& root) {
  ASSIGN_OR_RETURN(archive::TreeIndex index, archive::TreeIndex::load(root / volume::kContextIndex));
  std::error_code error;
  if (std::filesystem::exists(root / volume::kContextTar, error)) {
    return archive::Tree::open_tar(root / volume::kContextTar, std::move(index));
  }
  return archive::Tree::open_directory(root / volume::kContextFolder, std::move(index));
}

Result<archive::Tree> open_export(const std::filesystem::path& root, int stage) {
  const std::filesystem::path folder = root / volume::stage_folder(stage);
  ASSIGN_OR_RETURN(archive::TreeIndex index, archive::TreeIndex::load(folder / volume::kExportIndex));
  return archive::Tree::open_tar(folder / volume::kExportTar, std::move(index));
}

}  // namespace

Result<const SourceTree*> SourceTrees::open(const api::CopyFrom& from) {
  const int key = key_of(from);
  std::unique_ptr<SourceTree>& tree = trees_[key];
  if (tree == nullptr) {
    auto opened = key < 0 ? open_context(volume_) : open_export(volume_, key);
    if (!opened.ok()) {
      // What the volume lacks is not the user's to mend.
      return Error{ErrorCode::kInternal, "cannot open " + name(from) + ": " + opened.error().message};
    }
    tree = std::make_unique<SourceTree>(std::move(*opened));
  }
  return tree.get();
}

std::string SourceTrees::name(const api::CopyFrom& from) const {
  const int key = key_of(from);
  if (key < 0) return "the build context";
  const std::string& stage = plan_.stages[static_cast<std::size_t>(key)].name;
  return stage.starts_with("image ") ? stage : "stage '" + stage + "'";
}

}  // namespace imagebuild::builder
