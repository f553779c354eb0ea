// What changed in a root file system between two snapshots, as a layer.
#pragma once

#include <set>
#include <string>

#include "builder/stage/layer_entries.h"
#include "builder/stage/live_root.h"
#include "builder/stage/snapshot.h"

namespace imagebuild::builder {

// Created and changed objects as `root` has them now (which is what `after` saw), removed ones as whiteouts, one for
// each topmost removed name. Phantoms that nothing happened to are not there; one that became real is told to `root`.
// Parents of the entries are not included. `root` must outlive the entries. What is at or below a `masked` path in both
// snapshots counts as unchanged.
Result<LayerEntries> difference(const Snapshot& before, const Snapshot& after, LiveRoot& root, std::int64_t epoch_s,
                                const std::set<std::string>& masked = {});

}  // namespace imagebuild::builder
