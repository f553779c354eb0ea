// RUN --network=none, in the child process between fork and exec: system calls only, nothing is allocated.
#pragma once

namespace imagebuild::builder {

// Takes a network namespace with a loopback device that is up and nothing else; where the process may not, one in a
// user namespace in which every user is who he is outside. Returns 0 or errno.
int leave_network();

}  // namespace imagebuild::builder
