#include "archive/whiteout.h"

#include "archive/path.h"

namespace imagebuild::archive {

namespace {
constexpr std::string_view kPrefix = ".wh.";
constexpr std::string_view kMetaPrefix = ".wh..wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

bool is_aufs_name(std::string_view name) {
  return name == ".wh..wh.aufs" || name == ".wh..wh.plnk" || name == ".wh..wh.orph";
}
}  // namespace

Result<Whiteout> whiteout_of(std::string_view path) {
  if (path.find(kPrefix) == std::string_view::npos) return Whiteout{};
  const auto reserved = [&] {
    return Error{ErrorCode::kCorrupt, "'" + std::string(path) + "': names that begin with '.wh.' are reserved"};
  };
  const auto [folder, name] = split_path(path);
  std::string_view rest = folder;
  for (std::string_view part = take_part(rest); !part.empty(); part = take_part(rest)) {
    if (is_aufs_name(part)) return Whiteout{WhiteoutKind::kAufs, {}};
    if (part.starts_with(kPrefix)) return reserved();
  }
  if (!name.starts_with(kPrefix)) return Whiteout{};
  if (name == kOpaqueName) return Whiteout{WhiteoutKind::kOpaque, std::string(folder)};
  if (is_aufs_name(name)) return Whiteout{WhiteoutKind::kAufs, {}};
  const std::string_view hidden = name.substr(kPrefix.size());
  if (name.starts_with(kMetaPrefix) || hidden.empty() || hidden == "." || hidden == "..") return reserved();
  return Whiteout{WhiteoutKind::kRemove, join_path(folder, hidden)};
}

}  // namespace imagebuild::archive
