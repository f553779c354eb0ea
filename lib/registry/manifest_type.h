// Which of the four manifest types a document is.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace imagebuild::registry {

bool is_manifest_type(std::string_view media_type);

// The document's own mediaType if it names one, else the Content-Type that came with it, else what its members say
// (older OCI documents have no mediaType, and some servers answer text/plain). kCorrupt: not a manifest;
// kUnsupported: a type that is not read (Docker schema 1, artifacts).
Result<std::string> manifest_type(std::string_view json, std::string_view content_type);

}  // namespace imagebuild::registry
