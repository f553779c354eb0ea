// Sources that are small or already there: files in the spec, a ConfigMap, a folder.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/result.h"

namespace imagebuild::builder {

// Writes the files (clean path → text) below `folder`, made if need be: 0644 in folders 0755, whatever the umask.
Status write_files(const std::map<std::string, std::string>& files, const std::filesystem::path& folder);

// Copies a mounted ConfigMap: its keys are links into a folder "..data" that Kubernetes swaps; the copy has the files
// themselves, and nothing whose name begins with "..".
Status copy_config_map(const std::filesystem::path& mounted, const std::filesystem::path& folder);

// The folder at `sub_path` (clean; empty: `root` itself). Links are followed as long as they stay inside the root.
// kNotFound, kInvalidInput.
Result<std::filesystem::path> enter(const std::filesystem::path& root, const std::string& sub_path);

}  // namespace imagebuild::builder
