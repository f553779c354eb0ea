// What package managers install and remove in one RUN.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lint/pitfalls/shell_commands.h"

namespace imagebuild::lint {

// A compiler, a build system or a package of headers: what only a build needs.
bool is_build_tool(std::string_view package);

// The build tools that these commands of one RUN install and do not remove again, in order, each once.
std::vector<std::string> build_tools_left(const std::vector<ShellCommand>& commands);

// The package manager that the commands install with first: "apt-get"; empty when none does.
std::string installer_of(const std::vector<ShellCommand>& commands);

}  // namespace imagebuild::lint
