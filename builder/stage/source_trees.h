// The trees on the artifact volume that COPY and mounts take files from, opened when first needed.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "api/plan.h"
#include "archive/tree.h"
#include "builder/stage/copy.h"
#include "builder/stage/tree_view.h"

namespace imagebuild::builder {

struct SourceTree {
  explicit SourceTree(archive::Tree opened)
      : tree(std::move(opened)), view(tree.index(), [this](const archive::Node& node) { return tree.open(node); }) {}
  archive::Tree tree;
  IndexView view;
};

class SourceTrees {
 public:
  // `context`, if given, is the context's tree; several of these may share it.
  SourceTrees(const api::Plan& plan, std::filesystem::path volume, std::shared_ptr<const SourceTree> context = nullptr)
      : plan_(plan), volume_(std::move(volume)), context_(std::move(context)) {}
  // Lives as long as this object. A tree that is not there is the machine's fault.
  Result<const SourceTree*> open(const api::CopyFrom& from);
  // What ADD fetched from elsewhere; it lives as long as this object too.
  Result<RemoteTree> open_remote(const api::RemoteSource& remote);
  // For messages: "the build context", "stage 'build'", "context 'assets'".
  std::string name(const api::CopyFrom& from) const;

 private:
  const api::Plan& plan_;
  std::filesystem::path volume_;
  std::shared_ptr<const SourceTree> context_;
  std::map<std::filesystem::path, std::unique_ptr<SourceTree>> trees_;  // By their index on the volume.
};

}  // namespace imagebuild::builder
