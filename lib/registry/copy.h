// Moving many blobs at once, and from one registry to another without touching the disk.
#pragma once

#include <functional>
#include <stop_token>
#include <vector>

#include "registry/client.h"

namespace imagebuild::registry {

// Makes sure `to` has the blob, streaming it from `from` if neither an existence check nor a mount (same registry)
// spares it. At most a few hundred KiB are in memory.
Result<BlobOutcome> copy_blob(Client& client, const oci::Reference& from, const oci::Reference& to,
                              const oci::Descriptor& blob, std::stop_token stop = {});

// One piece of work for run_parallel(); it must end soon after its token asks it to.
using Transfer = std::function<Status(std::stop_token)>;

// Runs every transfer, at most `at_once` together, each on a thread of its own. The first error asks the others to
// stop and is the result; `stop` does the same with kCancelled. Returns after all threads have ended.
Status run_parallel(std::vector<Transfer> transfers, std::size_t at_once, std::stop_token stop = {});

}  // namespace imagebuild::registry
