#include "builder/stage/source_trees.h"

#include <utility>
#include <variant>

#include "api/volume.h"
#include "base/overloaded.h"

namespace imagebuild::builder {
namespace {

namespace volume = api::volume;

// Where a tree lies on the volume.
struct Place {
  std::filesystem::path index;
  std::filesystem::path tar;
  std::filesystem::path folder;  // Instead of the tar, where there is none.
};

Place place_of(const api::CopyFrom& from) {
  return std::visit(Overloaded{[](const api::FromContext&) {
                                 return Place{volume::kContextIndex, volume::kContextTar, volume::kContextFolder};
                               },
                               [](const api::FromStage& stage) {
                                 const std::filesystem::path folder = volume::stage_folder(stage.stage);
                                 return Place{folder / volume::kExportIndex, folder / volume::kExportTar, {}};
                               },
                               [](const api::FromTree& tree) {
                                 return Place{volume::tree_index(tree.tree), volume::tree_tar(tree.tree), {}};
                               }},
                    from);
}

Result<archive::Tree> open_tree(const std::filesystem::path& root, const Place& place) {
  ASSIGN_OR_RETURN(archive::TreeIndex index, archive::TreeIndex::load(root / place.index));
  std::error_code error;
  if (place.folder.empty() || std::filesystem::exists(root / place.tar, error)) {
    return archive::Tree::open_tar(root / place.tar, std::move(index));
  }
  return archive::Tree::open_directory(root / place.folder, std::move(index));
}

}  // namespace

Result<const SourceTree*> SourceTrees::open(const api::CopyFrom& from) {
  if (context_ != nullptr && std::holds_alternative<api::FromContext>(from)) return context_.get();
  const Place place = place_of(from);
  std::unique_ptr<SourceTree>& tree = trees_[place.index];
  if (tree == nullptr) {
    auto opened = open_tree(volume_, place);
    if (!opened.ok()) {
      // What the volume lacks is not the user's to mend.
      return Error{ErrorCode::kInternal, "cannot open " + name(from) + ": " + opened.error().message};
    }
    tree = std::make_unique<SourceTree>(std::move(*opened));
  }
  return tree.get();
}

Result<RemoteTree> SourceTrees::open_remote(const api::RemoteSource& remote) {
  const api::FromTree from{remote.tree};
  ASSIGN_OR_RETURN(const SourceTree* const source, open(from));
  const auto& origin = plan_.trees[static_cast<std::size_t>(remote.tree)].origin;
  return RemoteTree{&source->view, name(from), std::holds_alternative<api::HttpDownload>(origin)};
}

std::string SourceTrees::name(const api::CopyFrom& from) const {
  if (const auto* tree = std::get_if<api::FromTree>(&from)) {
    return std::visit(Overloaded{[](const api::NamedContext& context) { return "context '" + context.name + "'"; },
                                 [](const auto& remote) { return remote.url; }},
                      plan_.trees[static_cast<std::size_t>(tree->tree)].origin);
  }
  const auto* exporting = std::get_if<api::FromStage>(&from);
  if (exporting == nullptr) return "the build context";
  const std::string& stage = plan_.stages[static_cast<std::size_t>(exporting->stage)].name;
  return stage.starts_with("image ") ? stage : "stage '" + stage + "'";
}

}  // namespace imagebuild::builder
