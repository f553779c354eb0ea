// What a repository has: its tags, and how a manifest is taken out of it (distribution-spec, "Listing Tags" and
// "Deleting Manifests"). The registry itself is asked, never a mirror.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "oci/digest.h"
#include "registry/wire.h"

namespace imagebuild::registry {

// Sorted. A repository that does not exist has none.
Result<std::vector<std::string>> list_tags(Wire& wire, const Target& target, const std::stop_token& stop);

// The manifest goes with every tag that names it; one that is not there is gone already. kUnsupported: the registry
// removes nothing.
Status remove_manifest(Wire& wire, const Target& target, const oci::Digest& digest, const std::stop_token& stop);

}  // namespace imagebuild::registry
