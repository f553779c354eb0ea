// Feeds bytes to everything of lib/archive that reads what strangers wrote. The first byte chooses: a tar that is
// applied to an index and unpacked into a folder, which have to agree and must not touch the folder beside it; an
// archive as ADD takes it; a compressed stream, gzip and deflate by both libraries; or a tree index.
#include <fcntl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "archive/compress.h"
#include "archive/extract.h"
#include "archive/gzip_source.h"
#include "archive/inflate.h"
#include "archive/tar_reader.h"
#include "archive/tree_index.h"
#include "base/file.h"

namespace imagebuild::archive {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxBytes = 1 << 20;

void require(bool holds) {
  if (!holds) std::abort();
}

ReadLimits small_limits() {
  ReadLimits limits;
  limits.max_entries = 200;
  limits.max_content_bytes = kMaxBytes;
  limits.max_path_depth = 64;
  return limits;
}

const fs::path& work_folder() {
  static const TempDir dir = [] {
    const fs::path memory = "/dev/shm";
    return std::move(TempDir::create("archive-fuzz-", fs::is_directory(memory) ? memory : fs::path())).value();
  }();
  return dir.path();
}

// Gives every folder a mode that lets us remove it, whatever the archive said.
void empty(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, ignored)) {
    if (entry.is_directory() && !entry.is_symlink()) fs::permissions(entry.path(), fs::perms::owner_all, ignored);
  }
  fs::remove_all(folder, ignored);
}

void unpack(std::string_view text) {
  const fs::path root = work_folder() / "root";
  const fs::path outside = work_folder() / "outside";
  fs::create_directories(root);
  fs::create_directories(outside);
  const auto before = fs::last_write_time(outside);
  const UniqueFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ExtractOptions options;
  options.limits = small_limits();
  options.keep_owners = false;
  StringSource tar{std::string(text)};
  const Status status = extract(tar, fd.get(), options);
  require(status.ok() || !status.error().message.empty());
  require(fs::is_empty(outside) && fs::last_write_time(outside) == before);
  empty(root);
}

void apply(std::string_view text) {
  TreeIndex index;
  StringSource tar{std::string(text)};
  // The bounds of this function are for real layers; an archive that small ones refuse would only waste time.
  StringSource first{std::string(text)};
  Result<TarReader> reader = TarReader::open(first, small_limits());
  if (!reader.ok()) return;
  while (true) {
    const Result<std::optional<Node>> node = reader->next();
    if (!node.ok()) return;
    if (!node->has_value()) break;
  }
  const Status status = apply_layer_to_index(tar, {"etc/passwd"}, index);
  for (const auto& [path, node] : index.nodes()) {
    if (node.type != NodeType::kHardlink) continue;
    const Node* target = index.find(node.link);
    require(target != nullptr && target->type != NodeType::kHardlink && target->type != NodeType::kDirectory);
  }
}

void drain(std::unique_ptr<ByteSource> source) {
  if (source) (void)read_all(*source, kMaxBytes);
}

// With both libraries: the same bytes, or an error; of data that is both broken and cut they may say either.
void unpack_gzip_twice(std::string_view text) {
  const auto unpacked = [&](std::unique_ptr<Inflater> inflater) {
    return read_all(*unpack_gzip(std::make_unique<StringSource>(std::string(text)), std::move(inflater)), kMaxBytes);
  };
  const Result<std::string> one = unpacked(zlib_inflater()), other = unpacked(isal_inflater());
  require(one.ok() == other.ok());
  require(one.ok() ? *one == *other : one.error().code == other.error().code);
}

// A deflate stream and what lies behind it; nothing where it is broken or has no end.
std::optional<std::pair<std::string, std::size_t>> inflated(std::string_view text, Inflater& inflater) {
  std::span<const std::byte> in = as_bytes(text);
  std::array<std::byte, 4096> out{};
  std::string made;
  require(inflater.begin().ok());
  while (made.size() < kMaxBytes) {
    const Result<Inflater::Progress> progress = inflater.inflate(in, out);
    if (!progress.ok()) return std::nullopt;
    in = in.subspan(progress->taken);
    made.append(reinterpret_cast<const char*>(out.data()), progress->made);
    if (progress->ended) return std::pair(made, in.size() + inflater.beyond().size());
    if (progress->taken == 0 && progress->made == 0) return std::nullopt;
  }
  return std::nullopt;
}

void inflate_twice(std::string_view text) {
  require(inflated(text, *zlib_inflater()) == inflated(text, *isal_inflater()));
}

void load(std::string_view text) {
  const fs::path file = work_folder() / "index";
  if (!write_file_atomically(file, text).ok()) return;
  const Result<TreeIndex> index = TreeIndex::load(file);
  if (!index.ok()) return;
  require(index->save(file).ok());
  const Result<TreeIndex> again = TreeIndex::load(file);
  require(again.ok() && again->nodes() == index->nodes());
}

void run(std::string_view text) {
  if (text.empty()) return;
  const char choice = text.front();
  text.remove_prefix(1);
  switch (choice) {
    case 't':
      unpack(text);
      apply(text);
      return;
    case 'a': {
      Result<std::unique_ptr<ByteSource>> tar = open_if_archive(std::make_unique<StringSource>(std::string(text)));
      if (tar.ok()) drain(std::move(*tar));
      return;
    }
    case 'g':
      return unpack_gzip_twice(text);
    case 'd':
      return inflate_twice(text);
    case 'z':
      return drain(decompress(std::make_unique<StringSource>(std::string(text)), Compression::kZstd, kMaxBytes));
    case 'i':
      return load(text);
    default:
      return;
  }
}

}  // namespace
}  // namespace imagebuild::archive

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  imagebuild::archive::run(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
