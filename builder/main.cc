// imagebuild-builder: the two halves of a build that meet the outside world. `prepare` turns a source into a plan,
// `publish` turns finished stages into an image in a registry. Between them imagebuild-stage runs the stages. Where one
// of them fails, `keep` saves for the next build what others made.
#include <CLI/CLI.hpp>
#include <iostream>

#include "archive/inflate.h"
#include "base/error.h"
#include "builder/keep_command.h"
#include "builder/prepare_command.h"
#include "builder/publish_command.h"
#include "builder/transfer_command.h"

namespace imagebuild::builder {
namespace {

constexpr const char* kMounts = "/imagebuild";

int wrong_usage(const std::string& message) {
  std::cerr << "imagebuild-builder: " << message << "; see --help\n";
  return kExitUsage;
}

template <class Options>
void add_job_options(CLI::App& command, Options& options) {
  options.mounts = kMounts;
  command.add_option("--volume", options.volume, "The artifact volume's folder")
      ->required()
      ->check(CLI::ExistingDirectory);
  command.add_option("--job", options.job, "Work for the ImageBuild in this file, gzipped JSON");
  command.add_option("--mounts", options.mounts, "With --job: where source, Secrets and credentials are mounted")
      ->capture_default_str();
  command.add_option("--artifact-tag", options.artifact_tag,
                     "With --job: artifacts move through the spec's repository, by tags that begin like this");
  command.fallthrough();  // The registries' options may follow the command.
}

CLI::App* add_transfer(CLI::App& app, const char* name, const char* description, TransferOptions& options) {
  CLI::App* command = app.add_subcommand(name, description);
  add_job_options(*command, options);
  command->get_option("--job")->required();
  command->get_option("--artifact-tag")->required();
  command->add_option("--stage", options.stage, "The stage's index in the plan")->required();
  return command;
}

CLI::App* add_keep(CLI::App& app, KeepOptions& options) {
  CLI::App* command = app.add_subcommand("keep", "Keep for later builds what stages of a failed build made");
  add_job_options(*command, options);
  command->get_option("--job")->required();
  command->add_option("--stage", options.stages, "The index in the plan of a stage that is over")
      ->allow_extra_args(false);
  return command;
}

int run(int argc, char** argv) {
  PrepareOptions prepare;
  PublishOptions publish;
  TransferOptions transfer;
  KeepOptions keep;
  RegistryOptions registries;
  CLI::App app("Prepares and publishes the builds whose stages run in containers of their own.", "imagebuild-builder");
  app.set_version_flag("--version", IMAGEBUILD_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 done, 1 the input is wrong, 2 wrong usage, 3 the machine, the network or a server failed.");
  app.add_option("--registries", registries.file, "YAML file with mirrors, insecure registries and CAs");
  app.add_option("--registry-mirror", registries.mirrors, "REGISTRY=URL asked before the registry itself")
      ->allow_extra_args(false);
  app.add_option("--insecure-registry", registries.insecure, "Registry reached by plain HTTP")->allow_extra_args(false);

  CLI::App* preparing = app.add_subcommand("prepare", "Write context, base indexes and plan.json to the volume");
  add_job_options(*preparing, prepare);
  preparing->add_option("-f,--file", prepare.request.dockerfile,
                        "The Dockerfile, below the context or the working directory");
  preparing->add_option("--target", prepare.request.targets, "The stage to build; the last one if absent")
      ->allow_extra_args(false);
  preparing->add_option("--build-arg", prepare.build_args, "NAME=VALUE for an ARG")->allow_extra_args(false);
  preparing->add_option("--platform", prepare.platforms, "A platform to build for, such as linux/amd64")
      ->delimiter(',')
      ->allow_extra_args(false);
  preparing->add_option("--build-context", prepare.build_contexts, "NAME=VALUE: a tree or image by name")
      ->allow_extra_args(false);
  preparing->add_option("--add-host", prepare.hosts, "NAME:ADDRESS for every RUN")->allow_extra_args(false);
  preparing->add_option("--ulimit", prepare.ulimits, "NAME=SOFT[:HARD] for every RUN")->allow_extra_args(false);
  preparing->add_option("--shm-size", prepare.shm_size, "Size of /dev/shm for every RUN, such as 128m");
  preparing->add_option("context", prepare.request.context, "Folder, tar file or - for a tar on stdin");

  CLI::App* publishing = app.add_subcommand("publish", "Assemble the image of a finished plan and push it");
  add_job_options(*publishing, publish);
  publishing->add_option("-t,--tag", publish.tags, "Where the image goes")->allow_extra_args(false);
  publishing->add_flag("--wait", publish.wait, "With --job: wait until the stages that run in pods are done");
  publishing->add_option("--digest-file", publish.digest_file, "Gets the image's digest");

  const CLI::App* fetching = add_transfer(app, "fetch", "Fetch what a stage needs from a registry", transfer);
  const CLI::App* storing =
      add_transfer(app, "store", "Store a stage's artifacts in a registry, once it is over", transfer);

  const CLI::App* keeping = add_keep(app, keep);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  prepare.registries = publish.registries = transfer.registries = keep.registries = registries;
  if (keeping->parsed()) return keep_command(keep);
  if (fetching->parsed()) return fetch_command(transfer);
  if (storing->parsed()) return store_command(transfer);
  if (preparing->parsed()) {
    if (prepare.job.empty() == prepare.request.context.empty()) return wrong_usage("give either a context or --job");
    return prepare_command(prepare);
  }
  if (publish.job.empty() == publish.tags.empty()) return wrong_usage("give either --tag or --job");
  return publish_command(publish);
}

}  // namespace
}  // namespace imagebuild::builder

int main(int argc, char** argv) {
  imagebuild::archive::inflate_with(imagebuild::archive::isal_inflater);
  return imagebuild::builder::run(argc, argv);
}
