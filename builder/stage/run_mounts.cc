#include "builder/stage/run_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "api/volume.h"
#include "base/file.h"
#include "base/overloaded.h"
#include "builder/stage/move_tree.h"
#include "builder/stage/sources.h"
#include "oci/digest.h"
#include "ssh/agent_server.h"
#include "ssh/forward.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
namespace volume = api::volume;

constexpr std::uint64_t kMaxKeysBytes = 1U << 20;

Result<fs::path> numbered(const fs::path& folder, const std::vector<std::string>& ids, const std::string& id) {
  const auto at = std::ranges::find(ids, id);
  if (at == ids.end()) return Error{ErrorCode::kInternal, "the stage does not list '" + id + "'"};
  return folder / std::to_string(at - ids.begin());
}

std::string quoted(const std::string& text) {
  return "'" + text + "'";
}

// Everything of a tree below a path but times and content: what a cache that starts with it is known by.
Result<std::string> identity_of(const TreeSource& source) {
  std::string text = source.identity + " " + source.path;
  RETURN_IF_ERROR(source.tree->walk(source.path, [&](const Found& found) -> Status {
    const archive::Node& node = found.node;
    text += "\n" + node.path + " " + std::to_string(static_cast<int>(node.type)) + " " + std::to_string(node.mode) +
            " " + std::to_string(node.uid) + ":" + std::to_string(node.gid) + " " + std::to_string(node.size_bytes) +
            " " + node.link;
    return imagebuild::ok();
  }));
  return text;
}

// A new copy: empty, or what the mount begins with.
Status make_copy(const api::CacheMount& mount, const std::optional<TreeSource>& source, int folder_fd,
                 const std::string& name, const std::stop_token& stop) {
  if (source) {
    RETURN_IF_ERROR(copy_tree(*source->tree, source->path, source->as_root, folder_fd, name, stop));
    const api::CacheMount plain;
    if (mount.mode == plain.mode && mount.uid == plain.uid && mount.gid == plain.gid) return imagebuild::ok();
  } else if (::mkdirat(folder_fd, name.c_str(), 0700) != 0) {
    return system_error("cannot make a cache", errno);
  }
  const UniqueFd folder(::openat(folder_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return system_error("cannot open a cache", errno);
  const bool owned = ::geteuid() != 0 || ::fchown(folder.get(), mount.uid, mount.gid) == 0;
  if (owned && ::fchmod(folder.get(), mount.mode & 07777) == 0) return imagebuild::ok();
  return system_error("cannot give a cache its owner and mode", errno);
}

// The keys of a file, one "-----BEGIN …" after another.
Result<std::vector<ssh::PrivateKey>> parse_keys(const std::string& text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  std::vector<ssh::PrivateKey> keys;
  for (std::size_t at = text.find(kBegin); at != std::string::npos;) {
    const std::size_t next = text.find(kBegin, at + kBegin.size());
    ASSIGN_OR_RETURN(ssh::PrivateKey key, ssh::PrivateKey::parse(text.substr(at, next - at)));
    keys.push_back(std::move(key));
    at = next;
  }
  if (keys.empty()) return Error{ErrorCode::kInvalidInput, "it is no private key"};
  return keys;
}

}  // namespace

Result<std::vector<WantedMount>> RunMounts::find(const api::RunStep& step,
                                                 const std::function<void(int, std::string_view)>& on_output,
                                                 const std::stop_token& stop) {
  // Caches first and in one order for all steps, so that two that wait for each other's cannot be.
  std::vector<const api::CacheMount*> caches;
  for (const api::Mount& mount : step.mounts) {
    if (const auto* cache = std::get_if<api::CacheMount>(&mount)) caches.push_back(cache);
  }
  std::ranges::stable_sort(caches, {}, &api::CacheMount::id);
  for (const api::CacheMount* cache : caches) {
    RETURN_IF_ERROR(lease(*cache, on_output, stop).in("the cache mount of " + quoted(cache->target)));
  }
  std::vector<WantedMount> found;
  const auto add = [&](const std::string& target, const char* kind, auto source) {
    found.push_back({target, "the " + std::string(kind) + " mount of " + quoted(target), std::move(source)});
  };
  for (const api::Mount& mount : step.mounts) {
    RETURN_IF_ERROR(std::visit(Overloaded{
                                   [&](const api::BindMount& bind) -> Status {
                                     auto source = find_tree(bind.from, bind.source);
                                     if (!source.ok())
                                       return source.error().in("the bind mount of " + quoted(bind.target));
                                     source->writable = bind.writable;
                                     add(bind.target, "bind", std::move(*source));
                                     return imagebuild::ok();
                                   },
                                   [&](const api::CacheMount& cache) -> Status {
                                     const std::string key = cache.id + '\0' + cache.target;
                                     add(cache.target, "cache", CacheSource{leases_.at(key).folder, cache.read_only});
                                     return imagebuild::ok();
                                   },
                                   [&](const api::TmpfsMount& tmpfs) -> Status {
                                     add(tmpfs.target, "tmpfs", MemorySource{tmpfs.size_bytes});
                                     return imagebuild::ok();
                                   },
                                   [&](const api::SshMount& agent) -> Status {
                                     auto socket = find_agent(agent);
                                     if (!socket.ok()) return socket.error();
                                     if (*socket) add(agent.target, "ssh", std::move(**socket));
                                     return imagebuild::ok();
                                   },
                               },
                               mount));
  }
  for (const api::SecretMount& secret : step.secrets) RETURN_IF_ERROR(add_secret(secret, found));
  std::ranges::stable_sort(found, {}, &WantedMount::target);
  return found;
}

Result<TreeSource> RunMounts::find_tree(const api::CopyFrom& from, const std::string& source) const {
  ASSIGN_OR_RETURN(const SourceTree* const tree, places_.sources->open(from));
  TreeSource found;
  found.tree = &tree->view;
  found.identity = places_.sources->name(from);
  found.as_root = !std::holds_alternative<api::FromStage>(from);
  ASSIGN_OR_RETURN(found.path, found.tree->resolve(source, true));
  if (found.path.empty()) return found;
  ASSIGN_OR_RETURN(const std::optional<Found> there, found.tree->lookup(found.path));
  if (there) {
    found.is_folder = there->node.type == archive::NodeType::kDirectory;
    return found;
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> names, found.tree->list(found.path));
  if (!names.empty()) return found;  // A folder that is known by what it holds.
  const std::string ignored = std::holds_alternative<api::FromContext>(from) ? ", or .dockerignore leaves it out" : "";
  return Error{ErrorCode::kNotFound, quoted(shown(source)) + " is not in " + found.identity + ignored +
                                         nearest_path_hint(*found.tree, found.path)};
}

Status RunMounts::lease(const api::CacheMount& mount, const std::function<void(int, std::string_view)>& on_output,
                        const std::stop_token& stop) {
  std::optional<TreeSource> source;
  std::string identity;
  if (mount.from) {
    ASSIGN_OR_RETURN(source, find_tree(*mount.from, mount.source));
    if (!source->is_folder) {
      return Error{ErrorCode::kInvalidInput,
                   quoted(shown(mount.source)) + " is no folder, as a cache has to begin with"};
    }
    ASSIGN_OR_RETURN(identity, identity_of(*source));
  }
  CacheRequest request;
  ASSIGN_OR_RETURN(request.folder, numbered(places_.volume / volume::kCaches, places_.cache_ids, mount.id));
  std::error_code error;
  if (!fs::is_directory(request.folder, error)) {
    return Error{ErrorCode::kUnsupported, "this build has no place for the cache " + quoted(mount.id)};
  }
  request.variant = cache_variant(mount, identity);
  request.sharing = mount.sharing;
  request.make = [&](int folder_fd, const std::string& name) {
    return make_copy(mount, source, folder_fd, name, stop);
  };
  request.on_wait = [&] {
    on_output(2, "waiting for the cache " + quoted(mount.id) + ", which another step has for itself\n");
  };
  // Mounts of one cache in one step are one use of it.
  const std::string shared_key = mount.id + '\0' + '\0' + request.variant;
  if (!leases_.contains(shared_key)) {
    ASSIGN_OR_RETURN(CacheLease lease, lease_cache(request, stop));
    leases_.emplace(shared_key, std::move(lease));
  }
  leases_.insert_or_assign(mount.id + '\0' + mount.target, CacheLease{leases_.at(shared_key).folder, UniqueFd()});
  return imagebuild::ok();
}

Result<std::optional<SocketSource>> RunMounts::find_agent(const api::SshMount& mount) const {
  ASSIGN_OR_RETURN(const fs::path place, numbered(places_.volume / volume::kSsh, places_.ssh_ids, mount.id));
  struct stat stat = {};
  if (::stat(place.c_str(), &stat) != 0) {
    if (!mount.required) return std::optional<SocketSource>();
    return Error{ErrorCode::kNotFound, "the SSH key or agent " + quoted(mount.id) +
                                           " was not given; pass it with --ssh " + mount.id +
                                           ", or name it in the spec.ssh of the ImageBuild"};
  }
  const ssh::SocketAccess access{mount.uid, mount.gid, static_cast<mode_t>(mount.mode & 0777)};
  if (S_ISSOCK(stat.st_mode)) {
    return std::optional(SocketSource{[=](const fs::path& path) { return ssh::forward_agent(path, access, place); }});
  }
  const std::string what = "the SSH key " + quoted(mount.id);
  ASSIGN_OR_RETURN(const std::string text, read_file(place, kMaxKeysBytes).in(what));
  ASSIGN_OR_RETURN(std::vector<ssh::PrivateKey> keys, parse_keys(text).in(what));
  return std::optional(
      SocketSource{[access, keys](const fs::path& path) { return ssh::serve_agent(path, access, keys); }});
}

Status RunMounts::add_secret(const api::SecretMount& secret, std::vector<WantedMount>& mounts) const {
  const auto content = places_.secrets.find(secret.id);
  if (content == places_.secrets.end()) {
    if (!secret.required) return imagebuild::ok();
    return Error{ErrorCode::kNotFound, "the secret '" + secret.id + "' was not given; pass it with --secret id=" +
                                           secret.id + ",src=FILE, or name it in the spec.secrets of the ImageBuild"};
  }
  if (secret.target.empty()) return imagebuild::ok();
  mounts.push_back({secret.target, "the secret '" + secret.id + "'",
                    ContentSource{content->second, secret.mode, secret.uid, secret.gid}});
  return imagebuild::ok();
}

}  // namespace imagebuild::builder
