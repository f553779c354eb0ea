#include "builder/stage/difference.h"

#include <sys/stat.h>

#include <utility>

namespace imagebuild::builder {
namespace {

using Object = Snapshot::Object;

bool same_type(const Object& a, const Object& b) {
  return (a.mode & S_IFMT) == (b.mode & S_IFMT);
}

bool same(const Object& a, const Object& b) {
  return a.inode == b.inode && a.mode == b.mode && a.uid == b.uid && a.gid == b.gid && a.size_bytes == b.size_bytes &&
         a.mtime_ns == b.mtime_ns && a.ctime_ns == b.ctime_ns && a.text == b.text;
}

class Comparison {
 public:
  Comparison(const Snapshot& before, const Snapshot& after, LiveRoot& root, std::int64_t epoch_s,
             const std::set<std::string>& masked)
      : before_(before), after_(after), root_(root), epoch_s_(epoch_s), masked_(masked) {}

  Result<LayerEntries> run() {
    // The root's own time moves with every name in it; an entry for it is needed only for what a layer can set.
    const Object& was = before_.root();
    const Object& is = after_.root();
    if (was.mode != is.mode || was.uid != is.uid || was.gid != is.gid || was.text != is.text) RETURN_IF_ERROR(put(""));
    RETURN_IF_ERROR(compare_folders(&was, is, ""));
    link_names(entries_);
    return std::move(entries_);
  }

 private:
  // `was` is null when there was no folder: then everything in `is` is new.
  Status compare_folders(const Object* was, const Object& is, const std::string& path) {
    const auto old_names = was != nullptr ? Snapshot::children(*was) : std::span<const Object>();
    const auto new_names = Snapshot::children(is);
    auto old_at = old_names.begin();
    auto new_at = new_names.begin();
    while (old_at != old_names.end() || new_at != new_names.end()) {
      const int order = old_at == old_names.end()   ? 1
                        : new_at == new_names.end() ? -1
                                                    : old_at->name.compare(new_at->name);
      if (order < 0) {
        RETURN_IF_ERROR(removed(*old_at++, path));
      } else if (order > 0) {
        RETURN_IF_ERROR(created(*new_at, join_path(path, new_at->name)));
        ++new_at;
      } else {
        RETURN_IF_ERROR(compare(*old_at++, *new_at, path));
        ++new_at;
      }
    }
    return imagebuild::ok();
  }

  Status removed(const Object& was, const std::string& folder) {
    if (was.phantom) return imagebuild::ok();
    LayerEntry entry;
    entry.node.path = join_path(folder, ".wh." + std::string(was.name));
    entry.node.mtime_s = epoch_s_;
    entries_.emplace(entry.node.path, std::move(entry));
    return imagebuild::ok();
  }

  Status created(const Object& is, const std::string& path) {
    RETURN_IF_ERROR(put(path));
    if (S_ISDIR(is.mode)) return compare_folders(nullptr, is, path);
    return imagebuild::ok();
  }

  Status compare(const Object& was, const Object& is, const std::string& folder) {
    const bool changed = !same(was, is);
    if (!changed && !S_ISDIR(is.mode)) return imagebuild::ok();
    const std::string path = join_path(folder, is.name);
    if (masked_.contains(path)) return imagebuild::ok();
    const std::size_t entries = entries_.size();
    // The time of a phantom folder moves when the runtime's own names in it do; that alone does not make it real.
    const bool only_time = S_ISDIR(was.mode) && was.inode == is.inode && was.mode == is.mode && was.uid == is.uid &&
                           was.gid == is.gid && was.text == is.text;
    const bool stays_phantom = was.phantom && (!changed || only_time);
    if (changed && !stays_phantom) RETURN_IF_ERROR(put(path));
    if (S_ISDIR(is.mode)) RETURN_IF_ERROR(compare_folders(same_type(was, is) ? &was : nullptr, is, path));
    if (stays_phantom && entries_.size() > entries) RETURN_IF_ERROR(put(path));
    return imagebuild::ok();
  }

  Status put(const std::string& path) {
    RETURN_IF_ERROR(path.empty() ? imagebuild::ok() : check_name(path));
    root_.made(path);
    ASSIGN_OR_RETURN(std::optional<Found> found, root_.lookup(path));
    if (!found) {
      return Error{ErrorCode::kInternal, "'" + shown(path) + "' went away while the step's difference was taken"};
    }
    entries_.insert_or_assign(path, entry_of(root_, std::move(*found)));
    return imagebuild::ok();
  }

  const Snapshot& before_;
  const Snapshot& after_;
  LiveRoot& root_;
  std::int64_t epoch_s_;
  const std::set<std::string>& masked_;
  LayerEntries entries_;
};

}  // namespace

Result<LayerEntries> difference(const Snapshot& before, const Snapshot& after, LiveRoot& root, std::int64_t epoch_s,
                                const std::set<std::string>& masked) {
  return Comparison(before, after, root, epoch_s, masked).run();
}

}  // namespace imagebuild::builder
