// The values of --cache-from and --cache-to.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "oci/reference.h"

namespace imagebuild::cli {

// A place that keeps results of builds, besides the store.
struct CacheSpec {
  enum class Kind { kFolder, kRegistry };
  Kind kind = Kind::kFolder;
  std::filesystem::path folder;              // Of a kFolder.
  std::optional<oci::Reference> repository;  // Of a kRegistry; its tag says nothing.
  bool operator==(const CacheSpec&) const = default;
};

// "type=registry,ref=HOST/REPOSITORY", "type=local,src=FOLDER", or a repository alone, as buildx has it. kInvalidInput
// says what is wrong; kUnsupported for what other builders know and this one does not, with what it does.
Result<CacheSpec> parse_cache_from(std::string_view text);

// "type=registry,ref=HOST/REPOSITORY" or "type=local,dest=FOLDER"; mode=max and ignore-error=true say what is done
// anyway. Errors as above.
Result<CacheSpec> parse_cache_to(std::string_view text);

}  // namespace imagebuild::cli
