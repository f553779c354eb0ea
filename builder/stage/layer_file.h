// A step's layer on the artifact volume, written and read back.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>

#include "api/report.h"
#include "archive/compress.h"
#include "base/result.h"
#include "base/stream.h"
#include "builder/stage/layer_entries.h"

namespace imagebuild::builder {

// "layers/0.tar.gz": where the layer of a step lies in its stage's folder. It is written from its start to its end.
std::string layer_file_name(int step, archive::Compression compression);

struct LayerSettings {
  std::filesystem::path stage_folder;
  archive::Compression compression = archive::Compression::kGzip;
  unsigned threads = 0;
};

// Writes layers/<step>.tar… in the stage's folder: parents, sorting, times and links are the caller's. On an error
// nothing is left; a full disk is kExhausted and says which layer it was. Beside it goes the layer's index, if it can
// be written (volume::layer_index).
Result<api::LayerReport> write_layer(const LayerEntries& entries, int step, const LayerSettings& settings,
                                     std::stop_token stop);

// The uncompressed tar of a layer that a stage reported, verified against its digests while it is read.
Result<std::unique_ptr<ByteSource>> open_layer_file(const std::filesystem::path& stage_folder,
                                                    const api::LayerReport& layer);

// Reads what follows the tar's end: only then is it known that the layer was the one that was promised.
Status finish_layer_file(ByteSource& tar);

}  // namespace imagebuild::builder
