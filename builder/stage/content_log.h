// What the files of a stage's source trees held when the stage read them: so the key of what it made is of exactly the
// bytes that went into it, and nothing is read again for that key.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "api/plan.h"
#include "archive/tree_index.h"
#include "base/result.h"
#include "base/stream.h"
#include "builder/stage/tree_view.h"
#include "oci/digest.h"

namespace imagebuild::builder {

// Of one stage, from its beginning to its end; used by one thread at a time.
class ContentLog {
 public:
  // Called once when the last byte of a file was read: with the digest of what was read, or an error if that is not
  // known.
  using OnEnd = std::function<void(Result<oci::Digest>)>;
  // Opens a regular file of the context; who does not read it to its end is told nothing.
  using OpenFile = std::function<Result<std::unique_ptr<ByteSource>>(const archive::Node& file, OnEnd on_end)>;

  // Without `open_context` the files of the context are opened as those of other trees are.
  explicit ContentLog(OpenFile open_context = {}) : open_context_(std::move(open_context)) {}

  void note(const api::CopyFrom& from, const std::string& path, Result<oci::Digest> content);
  // Nothing for a file that was not read to its end. `path` is the first of a hard-linked file's names.
  std::optional<oci::Digest> find(const api::CopyFrom& from, const std::string& path) const;
  // A file was read twice and was not the same, or it is not known what was read: no key says what the stage made.
  bool is_spoiled() const { return is_spoiled_; }

  const OpenFile& open_context() const { return open_context_; }

 private:
  OpenFile open_context_;
  std::unordered_map<std::string, oci::Digest> contents_;  // By tree and path.
  bool is_spoiled_ = false;
};

// `view` of the tree `from`, whose index is `index`; what is read through it is noted. All must outlive the view.
class LoggedView final : public TreeView {
 public:
  LoggedView(const TreeView& view, const archive::TreeIndex& index, api::CopyFrom from, ContentLog& log)
      : view_(view), index_(index), from_(std::move(from)), log_(log) {}

  Result<std::optional<Found>> lookup(const std::string& path) const override { return view_.lookup(path); }
  Result<std::vector<std::string>> list(const std::string& folder) const override { return view_.list(folder); }
  Result<std::unique_ptr<ByteSource>> open(const archive::Node& file) const override;
  Status walk(const std::string& folder, const Visitor& visit) const override { return view_.walk(folder, visit); }

 private:
  const TreeView& view_;
  const archive::TreeIndex& index_;
  api::CopyFrom from_;
  ContentLog& log_;
};

// The file behind `node`'s name: of a hard link the one that it shares, in the index of its tree.
const archive::Node& file_behind(const archive::TreeIndex& index, const archive::Node& node);

// Whether all content that the stage's result depends on is read through such views: no command runs, nothing is
// unpacked or fetched.
bool logs_all_content(const api::PlanStage& stage);

}  // namespace imagebuild::builder
