// Build tools that a RUN left in the image, by what it stored.
#include <string>

#include "lint/image/image_checks.h"
#include "lint/pitfalls/file_view.h"
#include "lint/pitfalls/packages.h"
#include "lint/pitfalls/shell_commands.h"

namespace imagebuild::lint {

void check_installed_tools(const ImageInput& input, Warnings& warnings) {
  if (names_a_workshop(input.stage)) return;
  for (const ImageLayer& layer : input.layers) {
    const std::vector<ShellCommand> commands = commands_of(layer.script);
    const std::vector<std::string> tools = build_tools_left(commands);
    if (tools.empty() || layer.index.nodes().empty()) continue;  // Without an index nothing can be counted.
    const std::string them = tools.size() == 1 ? "it" : "them";
    warnings.push_back({"BuildToolsInFinalStage",
                        share_text(layer.index.content_bytes(), input) + " come from " + installer_of(commands) +
                            " in the final stage (line " + std::to_string(layer.at.line) + "), which installs " +
                            shortly_listed(tools) +
                            ", only needed to build; build in a stage of its own and take the "
                            "result with COPY --from, or remove " +
                            them + " in the same RUN",
                        layer.at});
  }
}

}  // namespace imagebuild::lint
