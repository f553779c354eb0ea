// The names with which a layer removes what is below it (OCI image-spec, layer.md, "Whiteouts").
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace imagebuild::archive {

enum class WhiteoutKind {
  kNone,    // An ordinary entry.
  kRemove,  // `path` goes, with everything below it.
  kOpaque,  // Everything below the folder `path` goes.
  kAufs,    // What old versions of Docker left behind of AUFS; it means nothing and is skipped, as Docker does.
};

struct Whiteout {
  WhiteoutKind kind = WhiteoutKind::kNone;
  std::string path;
};

// What the clean path of an entry means. Whiteouts hide only what lower layers have. A reserved name that the rules
// give no meaning is kCorrupt.
Result<Whiteout> whiteout_of(std::string_view path);

}  // namespace imagebuild::archive
