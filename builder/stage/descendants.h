// The processes that come from this one, where there is no process-ID namespace to tell them apart.
#pragma once

namespace imagebuild::builder {

// Sends SIGKILL to every child of this process. Called again after each round of waiting it reaches their children too,
// which come to this process when it is a subreaper. Needs /proc; without it nothing happens.
void kill_descendants();

}  // namespace imagebuild::builder
