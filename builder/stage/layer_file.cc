#include "builder/stage/layer_file.h"

#include <fcntl.h>

#include <array>
#include <string>
#include <system_error>

#include "api/volume.h"
#include "base/file.h"
#include "builder/stage/layer_notes.h"
#include "oci/layer.h"

namespace imagebuild::builder {
namespace {

const char* suffix(archive::Compression compression) {
  switch (compression) {
    case archive::Compression::kNone:
      return ".tar";
    case archive::Compression::kGzip:
      return ".tar.gz";
    case archive::Compression::kZstd:
      return ".tar.zst";
  }
  return ".tar";
}

Result<api::LayerReport> write(const LayerEntries& entries, const std::filesystem::path& path,
                               const LayerSettings& settings, LayerNotes& notes, std::stop_token stop) {
  std::error_code error;
  if (std::filesystem::hard_link_count(path, error) > 1 && !error) {
    std::filesystem::remove(path, error);  // The other name is a cache's, and so are the bytes.
  }
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
  FileSink file(std::move(fd));
  oci::LayerWriter writer(file, settings.compression, settings.threads);
  RETURN_IF_ERROR(write_tar(entries, writer, stop, [&](const archive::Node& node, std::unique_ptr<ByteSource> content) {
    return notes.watch(node, std::move(content));
  }));
  ASSIGN_OR_RETURN(const oci::Layer layer, writer.finish());
  api::LayerReport report;
  report.media_type = layer.blob.media_type;
  report.diff_id = layer.diff_id.str();
  report.digest = layer.blob.digest.str();
  report.size_bytes = layer.blob.size_bytes;
  report.uncompressed_bytes = layer.tar_bytes;
  return report;
}

}  // namespace

std::string layer_file_name(int step, archive::Compression compression) {
  return api::volume::layer_file(step, suffix(compression));
}

Result<api::LayerReport> write_layer(const LayerEntries& entries, int step, const LayerSettings& settings,
                                     std::stop_token stop) {
  const std::string name = layer_file_name(step, settings.compression);
  const std::filesystem::path path = settings.stage_folder / name;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) return system_error("cannot make " + path.parent_path().string(), error.value());
  LayerNotes notes;
  auto report = write(entries, path, settings, notes, stop);
  if (!report.ok()) {
    std::filesystem::remove(path, error);
    if (report.error().code != ErrorCode::kExhausted) return report.error();
    return Error{ErrorCode::kExhausted,
                 "the disk is full: writing the layer of step " + std::to_string(step + 1) + " to " + path.string()};
  }
  report->step = step;
  report->file = name;
  report->private_keys = notes.private_keys();
  // Without it the checks of the image know less, which is no reason to fail.
  (void)notes.index_of(entries).save(settings.stage_folder / api::volume::layer_index(step));
  return report;
}

Result<std::unique_ptr<ByteSource>> open_layer_file(const std::filesystem::path& stage_folder,
                                                    const api::LayerReport& layer) {
  // The report may have been written by a container that ran a user's commands.
  if (!layer.file.starts_with("layers/") || layer.file.find("..") != std::string::npos) {
    return Error{ErrorCode::kCorrupt, "the report of a stage names the layer file '" + layer.file + "'"};
  }
  const std::filesystem::path path = stage_folder / layer.file;
  ASSIGN_OR_RETURN(const oci::Digest digest, oci::Digest::parse(layer.digest));
  ASSIGN_OR_RETURN(const oci::Digest diff_id, oci::Digest::parse(layer.diff_id));
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDONLY));
  auto blob = oci::verified(std::make_unique<FileSource>(std::move(fd)), digest, layer.size_bytes);
  return oci::open_layer(std::move(blob), layer.media_type, diff_id);
}

Status finish_layer_file(ByteSource& tar) {
  std::array<std::byte, 16 * 1024> buffer;
  while (true) {
    ASSIGN_OR_RETURN(const std::size_t size, tar.read(buffer));
    if (size == 0) return imagebuild::ok();
  }
}

}  // namespace imagebuild::builder
