// What a RUN's processes may do: at most what a container has that Docker starts without options.
#pragma once

#include <cstdint>

namespace imagebuild::builder {

// The 14 capabilities of Docker's default, one bit each (capabilities(7)).
std::uint64_t run_capabilities();

// Takes everything else from the calling thread's bounding and ambient sets. Only system calls: for a forked child.
// Without CAP_SETPCAP the bounding set stays as it is. Returns 0 or an errno.
int drop_bounding_capabilities();
// Keeps only those in the permitted and effective sets and empties the inheritable one. Returns 0 or an errno.
int drop_own_capabilities();

}  // namespace imagebuild::builder
