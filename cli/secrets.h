// The secrets of a build: read once, before anything runs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/plan.h"
#include "base/result.h"
#include "cli/options.h"
#include "cli/output_spec.h"

namespace imagebuild::cli {

// The contents by id. A file or variable that is not there is an error that names it, never its content.
Result<std::map<std::string, std::string>> read_secrets(const std::vector<SecretSource>& sources,
                                                        const Environment& environment);

// kInvalidInput with the step's place for a required secret that nobody gave.
Status check_required_secrets(const api::Plan& plan, const std::map<std::string, std::string>& secrets);

}  // namespace imagebuild::cli
