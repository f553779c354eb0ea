// Zip archives, which only come as whole files from outside: made into a tar for everything else.
#pragma once

#include <filesystem>

#include "archive/tar_reader.h"
#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::archive {

// Whether the file begins as a zip does.
Result<bool> is_zip(const std::filesystem::path& file);

// Writes what the zip holds as an uncompressed tar, by TarReader's rules for names and limits. Owners are root's; an
// entry without a mode of its own (made on Windows) gets 0644 or 0755. Broken data and a wrong checksum are kCorrupt,
// encryption is kUnsupported.
Status zip_to_tar(const std::filesystem::path& file, ByteSink& tar, const ReadLimits& limits = {});

}  // namespace imagebuild::archive
