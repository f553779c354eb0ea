// imagebuild: turns a Dockerfile into an image, on one machine.
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "archive/inflate.h"
#include "base/error.h"
#include "base/overloaded.h"
#include "cli/build_command.h"
#include "cli/cache_command.h"
#include "cli/lint_command.h"
#include "cli/options.h"
#include "cli/plan_command.h"
#include "oci/platform.h"

namespace {

using namespace imagebuild;

int run(const std::vector<std::string>& arguments) {
  const cli::Environment environment = cli::process_environment();
  return std::visit(
      Overloaded{[&](const cli::BuildOptions& options) { return cli::build_command(options, environment); },
                 [](const cli::PlanOptions& options) { return cli::plan_command(options); },
                 [](const cli::LintOptions& options) { return cli::lint_command(options); },
                 [](const cli::CacheOptions& options) { return cli::cache_command(options); },
                 [](const cli::VersionOptions&) {
                   std::cout << "imagebuild " << IMAGEBUILD_VERSION << " " << oci::Platform::host().str() << "\n";
                   return kExitOk;
                 },
                 [](const cli::HelpText& help) {
                   std::cout << help.text;
                   return kExitOk;
                 },
                 [](const cli::UsageError& error) {
                   std::cerr << "imagebuild: error: " << error.message << "\nsee '" << error.command << " --help'\n";
                   return kExitUsage;
                 }},
      cli::parse_command(arguments, environment));
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): only for want of memory, which is the end anyway.
int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  archive::inflate_with(archive::isal_inflater);
  return run(std::vector<std::string>(argv + 1, argv + argc));
}
