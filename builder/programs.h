// Where the programs of the project lie for each other.
#pragma once

#include <filesystem>

namespace imagebuild::builder {

// imagebuild-stage, which is installed beside this program.
inline std::filesystem::path stage_program() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "imagebuild-stage";
}

}  // namespace imagebuild::builder
