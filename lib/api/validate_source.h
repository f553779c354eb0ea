// Checks where a tree of files comes from: the context of a build, or one by a name.
#pragma once

#include <string>
#include <vector>

#include "api/validate.h"

namespace imagebuild::api {

// How many of git, http, inline, configMapRef, persistentVolumeClaim and oci are set: it must be one.
int kinds_of(const Source& source);

// What is wrong with each that is set. `field` names the source: "spec.source".
std::vector<Problem> source_problems(const Source& source, const std::string& field);

}  // namespace imagebuild::api
