#include "builder/stage/content_log.h"

#include <algorithm>
#include <utility>

#include "base/overloaded.h"

namespace imagebuild::builder {

namespace {

// No two trees of a plan have the same name here.
std::string name_of(const api::CopyFrom& from, const std::string& path) {
  const std::string tree =
      std::visit(Overloaded{[](const api::FromContext&) { return std::string("c"); },
                            [](const api::FromStage& stage) { return "s" + std::to_string(stage.stage); },
                            [](const api::FromTree& other) { return "t" + std::to_string(other.tree); }},
                 from);
  return tree + "/" + path;
}

// Hashes what passes, and says so when the end was seen.
class Hashed final : public ByteSource {
 public:
  Hashed(std::unique_ptr<ByteSource> content, ContentLog::OnEnd on_end)
      : content_(std::move(content)), on_end_(std::move(on_end)) {}

  Result<std::size_t> read(std::span<std::byte> buffer) override {
    ASSIGN_OR_RETURN(const std::size_t count, content_->read(buffer));
    if (is_done_ || buffer.empty()) return count;
    hasher_.update(buffer.first(count));
    is_done_ = count == 0;
    if (is_done_) on_end_(hasher_.finish());
    return count;
  }

 private:
  std::unique_ptr<ByteSource> content_;
  ContentLog::OnEnd on_end_;
  oci::Hasher hasher_;
  bool is_done_ = false;
};

}  // namespace

void ContentLog::note(const api::CopyFrom& from, const std::string& path, Result<oci::Digest> content) {
  if (!content.ok()) {
    is_spoiled_ = true;
    return;
  }
  const auto [known, is_new] = contents_.try_emplace(name_of(from, path), *content);
  if (!is_new && known->second != *content) is_spoiled_ = true;
}

std::optional<oci::Digest> ContentLog::find(const api::CopyFrom& from, const std::string& path) const {
  const auto known = contents_.find(name_of(from, path));
  return known == contents_.end() ? std::nullopt : std::optional(known->second);
}

Result<std::unique_ptr<ByteSource>> LoggedView::open(const archive::Node& file) const {
  const archive::Node& real = file_behind(index_, file);
  ContentLog::OnEnd on_end = [&log = log_, from = from_, path = real.path](Result<oci::Digest> content) {
    log.note(from, path, std::move(content));
  };
  if (std::holds_alternative<api::FromContext>(from_) && log_.open_context()) {
    return log_.open_context()(real, std::move(on_end));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> content, view_.open(file));
  return std::unique_ptr<ByteSource>(std::make_unique<Hashed>(std::move(content), std::move(on_end)));
}

const archive::Node& file_behind(const archive::TreeIndex& index, const archive::Node& node) {
  const archive::Node* const own = index.find(node.path);
  const bool is_link = own != nullptr && own->type == archive::NodeType::kHardlink;
  const archive::Node* const file = is_link ? index.find(own->link) : nullptr;
  return file != nullptr ? *file : node;
}

bool logs_all_content(const api::PlanStage& stage) {
  return !stage.needs_container && std::ranges::none_of(stage.steps, [](const api::Step& step) {
    const auto* const copy = std::get_if<api::CopyStep>(&step.action);
    return copy != nullptr && (copy->unpack_archives || !copy->remotes.empty());
  });
}

}  // namespace imagebuild::builder
