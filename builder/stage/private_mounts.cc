#include "builder/stage/private_mounts.h"

#include <sys/stat.h>

#include "base/overloaded.h"

namespace imagebuild::builder {

Status PrivateMounts::put(const std::vector<WantedMount>& mounts, RunChild& child, std::stop_token stop) {
  std::vector<bool> has_inner(mounts.size(), false);
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    child.mounts.emplace_back();
    RETURN_IF_ERROR(find_target(mounts, i, child).in(mounts[i].what));
    if (child.mounts[i].within >= 0) has_inner[static_cast<std::size_t>(child.mounts[i].within)] = true;
  }
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    RETURN_IF_ERROR(find_source(mounts[i], has_inner[i], child.mounts[i], stop).in(mounts[i].what));
    if (child.mounts[i].kind == ChildMount::Kind::kContent && child.private_memory.empty()) {
      ASSIGN_OR_RETURN(const std::filesystem::path folder, scratch_.new_path());
      if (::mkdir(folder.c_str(), 0700) != 0) return system_error("cannot make " + folder.string(), errno);
      own_.push_back(folder);
      child.private_memory = folder.string();
    }
  }
  footprints_.settle();
  return imagebuild::ok();
}

// A mount point in the root is made here; one in another mount is made by the child, once that is there.
Status PrivateMounts::find_target(const std::vector<WantedMount>& mounts, std::size_t index, RunChild& child) {
  ChildMount& out = child.mounts[index];
  const WantedMount& mount = mounts[index];
  out.is_folder = wants_folder(mount);
  out.within = enclosing(mounts, index);
  if (out.within >= 0) {
    const auto outer = static_cast<std::size_t>(out.within);
    out.target = child.mounts[outer].target + mount.target.substr(mounts[outer].target.size());
    return imagebuild::ok();
  }
  ASSIGN_OR_RETURN(Footprints::Place place, footprints_.find(mount.target));
  out.target = shown(place.path);
  if (is_at_or_below(out.target, volume_)) {
    return Error{ErrorCode::kInvalidInput,
                 "nothing can be mounted at or below '" + volume_ + "', which imagebuild uses"};
  }
  if (place.there) {
    if (S_ISDIR(*place.there) == out.is_folder) return imagebuild::ok();
    return Error{ErrorCode::kInvalidInput, out.is_folder ? "a folder cannot be mounted over the file that is there"
                                                         : "a file cannot be mounted over the folder that is there"};
  }
  if (out.is_folder) return footprints_.make_folder(place);
  const auto file = footprints_.make_file(place);
  return file.ok() ? imagebuild::ok() : file.error();
}

Status PrivateMounts::find_source(const WantedMount& mount, bool has_inner, ChildMount& out, std::stop_token stop) {
  return std::visit(Overloaded{
                        [&](const TreeSource& tree) -> Status {
                          out.kind = ChildMount::Kind::kBind;
                          out.read_only = !tree.writable;
                          // What is mounted below needs a mount point in it, which the next RUN is not to see.
                          if (!tree.writable && !has_inner) {
                            ASSIGN_OR_RETURN(const std::filesystem::path copy, scratch_.shared_copy(tree, stop));
                            out.source = copy.string();
                            return imagebuild::ok();
                          }
                          ASSIGN_OR_RETURN(const std::filesystem::path copy, scratch_.own_copy(tree, stop));
                          own_.push_back(copy);
                          out.source = copy.string();
                          return imagebuild::ok();
                        },
                        [&](const CacheSource& cache) -> Status {
                          out.kind = ChildMount::Kind::kBind;
                          out.source = cache.folder.string();
                          out.read_only = cache.read_only;
                          return imagebuild::ok();
                        },
                        [&](const MemorySource& memory) -> Status {
                          out.kind = ChildMount::Kind::kMemory;
                          if (memory.size_bytes > 0) out.options = "size=" + std::to_string(memory.size_bytes);
                          return imagebuild::ok();
                        },
                        [&](const SocketSource& socket) -> Status {
                          out.kind = ChildMount::Kind::kBind;
                          ASSIGN_OR_RETURN(const std::filesystem::path path, scratch_.new_path());
                          ASSIGN_OR_RETURN(std::unique_ptr<ssh::SocketServer> server, socket.serve(path));
                          servers_.push_back(std::move(server));
                          out.source = path.string();
                          return imagebuild::ok();
                        },
                        [&](const ContentSource& secret) -> Status {
                          out.kind = ChildMount::Kind::kContent;
                          out.content = secret.content;
                          out.mode = secret.mode;
                          out.uid = secret.uid;
                          out.gid = secret.gid;
                          return imagebuild::ok();
                        },
                    },
                    mount.source);
}

Status PrivateMounts::undo() {
  footprints_.remove();
  servers_.clear();
  for (const std::filesystem::path& path : own_) Scratch::drop(path);
  own_.clear();
  return imagebuild::ok();
}

}  // namespace imagebuild::builder
