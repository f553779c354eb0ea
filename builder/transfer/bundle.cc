#include "builder/transfer/bundle.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "api/volume.h"
#include "archive/rooted_path.h"
#include "base/file.h"
#include "registry/copy.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;
namespace volume = api::volume;

namespace {

constexpr std::size_t kTransfersAtOnce = 4;
constexpr const char* kConfig = "{}";

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 6 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What follows `prefix`, up to a slash or the end, must be a number; the rest is returned.
std::optional<std::string_view> after_number(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  const std::size_t end = path.find_first_not_of("0123456789");
  if (!is_number(path.substr(0, end))) return std::nullopt;
  return end == std::string_view::npos ? std::string_view() : path.substr(end);
}

// "layers/3.tar.gz"
bool is_layer(std::string_view path) {
  const auto suffix = after_number(path, "layers/");
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789.";
  return suffix && suffix->find_first_not_of(kAllowed) == std::string_view::npos;
}

Result<UniqueFd> open_root(const fs::path& root) {
  return open_file(root, O_RDONLY | O_DIRECTORY);
}

// A plain file of the volume; its size.
struct OpenFile {
  UniqueFd fd;
  std::uint64_t size_bytes = 0;
};
Result<OpenFile> open_artifact(const fs::path& root, const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd folder, open_root(root));
  // A FIFO must not hold us up.
  ASSIGN_OR_RETURN(UniqueFd fd, archive::open_beneath(folder.get(), path, O_RDONLY | O_NONBLOCK).in(path));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error(path, errno);
  if (!S_ISREG(info.st_mode)) return Error{ErrorCode::kCorrupt, path + " is not a plain file"};
  return OpenFile{std::move(fd), static_cast<std::uint64_t>(info.st_size)};
}

class NoSink final : public ByteSink {
 public:
  Status write(std::span<const std::byte>) override { return ok(); }
};

Result<oci::Descriptor> describe(const fs::path& root, const std::string& path) {
  ASSIGN_OR_RETURN(OpenFile file, open_artifact(root, path));
  NoSink nowhere;
  oci::HashingSink hash(nowhere);
  FileSource source(std::move(file.fd));
  const Result<std::uint64_t> read = copy_stream(source, hash);
  if (!read.ok()) return read.error().in(path);
  return oci::Descriptor{
      std::string(kBundleFileType), hash.finish(), *read, {}, {{std::string(kTitleAnnotation), path}}};
}

Status push_file(registry::Client& client, const oci::Reference& to, const fs::path& root, const std::string& path,
                 oci::Descriptor& described, std::stop_token stop) {
  ASSIGN_OR_RETURN(described, describe(root, path));
  const auto open = [&](std::uint64_t offset) -> Result<std::unique_ptr<ByteSource>> {
    ASSIGN_OR_RETURN(OpenFile file, open_artifact(root, path));
    return std::unique_ptr<ByteSource>(std::make_unique<FileSource>(std::move(file.fd), offset));
  };
  const auto pushed = client.push_blob(to, described, open, {}, std::move(stop));
  return pushed.ok() ? ok() : Status(pushed.error());
}

Result<oci::Descriptor> push_config(registry::Client& client, const oci::Reference& to, std::stop_token stop) {
  const std::string text = kConfig;
  oci::Descriptor config{std::string(kBundleConfigType), oci::Digest::of(text), text.size(), {}, {}};
  const auto open = [&](std::uint64_t offset) -> Result<std::unique_ptr<ByteSource>> {
    return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(text.substr(offset)));
  };
  const auto pushed = client.push_blob(to, config, open, {}, std::move(stop));
  if (!pushed.ok()) return pushed.error();
  return config;
}

Status pull_file(registry::Client& client, const oci::Reference& from, const fs::path& root, const std::string& path,
                 const oci::Descriptor& blob, std::stop_token stop) {
  ASSIGN_OR_RETURN(const UniqueFd folder, open_root(root));
  const auto make = [](int parent, const std::string& name, const std::string&) -> Status {
    // The kubelet's folders have this mode too.
    return ::mkdirat(parent, name.c_str(), 0755) == 0 || errno == EEXIST ? ok() : Status(system_error(name, errno));
  };
  const fs::path relative(path);
  const std::string parent_path = relative.parent_path().string();
  UniqueFd parent;
  if (parent_path.empty()) {
    ASSIGN_OR_RETURN(parent, open_root(root));
  } else {
    ASSIGN_OR_RETURN(parent, archive::open_folder(folder.get(), parent_path, make).in(path));
  }
  const std::string name = relative.filename().string();
  if (::unlinkat(parent.get(), name.c_str(), 0) != 0 && errno != ENOENT) return system_error(path, errno);
  UniqueFd fd(::openat(parent.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd.valid()) return system_error(path, errno);
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> content, client.blob(from, blob, std::move(stop)));
  FileSink sink(std::move(fd));
  const Result<std::uint64_t> copied = copy_stream(*content, sink);
  return copied.ok() ? ok() : Status(copied.error().in(path));
}

Error not_ours(const oci::Reference& from, const std::string& why) {
  return {ErrorCode::kCorrupt, from.str() + " does not hold artifacts of a build: " + why};
}

}  // namespace

bool is_artifact(std::string_view path) {
  if (path == volume::kPlan || path == volume::kContextIndex || path == volume::kContextTar) return true;
  if (const auto rest = after_number(path, "bases/")) return *rest == ".index";
  if (const auto rest = after_number(path, "trees/")) return *rest == ".index" || *rest == ".tar";
  auto rest = after_number(path, "stages/");
  if (!rest || !rest->starts_with('/')) return false;
  rest->remove_prefix(1);
  return *rest == volume::kReport || *rest == volume::kExportIndex || *rest == volume::kExportTar || is_layer(*rest);
}

Result<std::vector<std::string>> artifacts_in(const fs::path& root, const std::vector<std::string>& folders) {
  std::set<std::string> found;
  for (const std::string& folder : folders) {
    std::error_code error;
    const fs::file_status kind = fs::symlink_status(root / folder, error);
    if (fs::is_regular_file(kind) && is_artifact(folder)) found.insert(folder);
    if (!fs::is_directory(kind)) continue;
    // Does not follow links, of which only the names would be wrong: open_artifact() looks again.
    for (auto at = fs::recursive_directory_iterator(root / folder, error); !error && at != end(at);
         at.increment(error)) {
      std::string path = at->path().lexically_relative(root).string();
      std::error_code gone;
      if (is_artifact(path) && fs::is_regular_file(at->symlink_status(gone))) found.insert(std::move(path));
    }
    if (error) return system_error((root / folder).string(), error.value());
  }
  return std::vector<std::string>(found.begin(), found.end());
}

Status push_bundle(registry::Client& client, const oci::Reference& to, const fs::path& root,
                   const std::vector<std::string>& paths, std::stop_token stop) {
  ASSIGN_OR_RETURN(oci::Descriptor config, push_config(client, to, stop));
  const oci::Descriptor empty = config;
  oci::Manifest manifest{std::string(oci::media_type::kOciManifest), std::move(config), {}, {}};
  manifest.layers.assign(paths.size(), empty);
  std::vector<registry::Transfer> transfers;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    transfers.emplace_back([&, i](std::stop_token token) {
      return push_file(client, to, root, paths[i], manifest.layers[i], std::move(token));
    });
  }
  RETURN_IF_ERROR(registry::run_parallel(std::move(transfers), kTransfersAtOnce, stop));
  const std::string text = manifest.json();
  if (text.size() > oci::kMaxManifestBytes) {
    return Error{ErrorCode::kLimit,
                 "the build has too many artifacts for one manifest; use spec.artifacts.transport "
                 "Volume"};
  }
  const auto pushed = client.push_manifest(to, manifest.media_type, text, stop);
  return pushed.ok() ? ok() : Status(pushed.error());
}

Result<bool> has_bundle(registry::Client& client, const oci::Reference& name, std::stop_token stop) {
  const auto found = client.resolve(name, std::move(stop));
  if (found.ok()) return true;
  if (found.error().code == ErrorCode::kNotFound) return false;
  return found.error();
}

Status pull_bundle(registry::Client& client, const oci::Reference& from, const fs::path& root,
                   const std::function<bool(const std::string& path)>& wanted, std::stop_token stop) {
  ASSIGN_OR_RETURN(const registry::ManifestContent content, client.manifest(from, stop));
  const Result<oci::Manifest> manifest = oci::Manifest::parse(content.bytes);
  if (!manifest.ok()) return not_ours(from, manifest.error().message);
  if (manifest->config.media_type != kBundleConfigType) {
    return not_ours(from, "its media type is '" + manifest->config.media_type.substr(0, 100) + "'");
  }
  std::set<std::string> seen;
  std::vector<registry::Transfer> transfers;
  for (const oci::Descriptor& layer : manifest->layers) {
    const auto title = layer.annotations.find(std::string(kTitleAnnotation));
    if (title == layer.annotations.end() || !is_artifact(title->second))
      return not_ours(from, "a file has no good name");
    if (!seen.insert(title->second).second) return not_ours(from, "it has '" + title->second + "' twice");
    if (!wanted(title->second)) continue;
    const std::string& path = title->second;
    transfers.emplace_back(
        [&, path](std::stop_token token) { return pull_file(client, from, root, path, layer, std::move(token)); });
  }
  return registry::run_parallel(std::move(transfers), kTransfersAtOnce, stop);
}

}  // namespace imagebuild::builder
