// imagebuild-builder: the two halves of a build that meet the outside world. `prepare` turns a source into a plan,
// `publish` turns finished stages into an image in a registry. Between them imagebuild-stage runs the stages.
#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <iostream>

#include "api/volume.h"
#include "base/file.h"
#include "builder/prepare/base_index.h"
#include "builder/prepare/images.h"
#include "builder/prepare/prepare.h"
#include "builder/prepare/registries.h"
#include "builder/publish/publish.h"
#include "builder/stage/compute_ready.h"
#include "http/curl_transport.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
namespace volume = api::volume;

constexpr std::uint64_t kMaxJsonBytes = 64U << 20;

struct Options {
  std::string volume;
  RegistryOptions registries;
  PrepareRequest prepare;
  std::vector<std::string> build_args;
  std::string platform;
  std::vector<std::string> tags;
  std::string digest_file;
};

Status split_build_args(const std::vector<std::string>& given, PrepareRequest& request) {
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
      return Error{ErrorCode::kInvalidInput, "--build-arg " + text + " has no value; write " + text + "=VALUE"};
    }
    request.build_args.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return ok();
}

Status run_prepare(Options& options, registry::Client& client, ProcessRunner& processes) {
  RETURN_IF_ERROR(split_build_args(options.build_args, options.prepare));
  if (!options.platform.empty()) {
    ASSIGN_OR_RETURN(options.prepare.platform, oci::Platform::parse(options.platform));
  }
  options.prepare.volume = options.volume;
  options.prepare.copy_context = true;
  const OpenImage open = [&](const std::string& name) { return open_image(client, name); };
  ASSIGN_OR_RETURN(const Prepared prepared, prepare(options.prepare, open, processes));
  for (std::size_t i = 0; i < prepared.plan.images.size(); ++i) {
    const api::BaseImage& image = prepared.plan.images[i];
    ASSIGN_OR_RETURN(const std::unique_ptr<oci::ImageSource> source, open(image.reference));
    ASSIGN_OR_RETURN(const archive::TreeIndex index, read_base_index(*source, options.prepare.platform));
    const fs::path file = fs::path(options.volume) / volume::base_index(static_cast<int>(i));
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    RETURN_IF_ERROR(index.save(file));
  }
  RETURN_IF_ERROR(compute_ready_stages(prepared.plan, options.volume, archive::Compression::kGzip));
  for (const std::string& warning : prepared.plan.warnings) std::cerr << "warning: " << warning << "\n";
  return ok();
}

Status run_publish(const Options& options, registry::Client& client) {
  const fs::path root = options.volume;
  ASSIGN_OR_RETURN(const std::string plan_json, read_file(root / volume::kPlan, kMaxJsonBytes));
  ASSIGN_OR_RETURN(const api::Plan plan, api::Plan::parse(plan_json));
  RETURN_IF_ERROR(compute_ready_stages(plan, root, archive::Compression::kGzip));
  PublishRequest request;
  request.volume = root;
  request.outputs = {Output{Output::Kind::kRegistry, {}}};
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const fs::path file = root / volume::stage_folder(static_cast<int>(i)) / volume::kReport;
    if (!fs::exists(file)) return Error{ErrorCode::kInvalidInput, "stage '" + plan.stages[i].name + "' has not run"};
    ASSIGN_OR_RETURN(const std::string text, read_file(file, kMaxJsonBytes));
    ASSIGN_OR_RETURN(api::StageReport report, api::StageReport::parse(text));
    if (report.failure) return Error{ErrorCode::kFailed, "stage '" + plan.stages[i].name + "' failed"};
    request.reports.push_back(std::move(report));
  }
  for (const std::string& tag : options.tags) {
    ASSIGN_OR_RETURN(oci::Reference reference, oci::Reference::parse(tag));
    request.tags.push_back(std::move(reference));
  }
  const OpenImage open = [&](const std::string& name) { return open_image(client, name); };
  ASSIGN_OR_RETURN(const Published published, publish(plan, request, open, client));
  const std::string digest = published.descriptor.digest.str();
  if (!options.digest_file.empty()) RETURN_IF_ERROR(write_file_atomically(options.digest_file, digest));
  std::cout << digest << "\n";
  return ok();
}

int report(const Status& status) {
  if (status.ok()) return kExitOk;
  std::cerr << "imagebuild-builder: error: " << status.error().message << "\n";
  return status.error().exit_status();
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Prepares and publishes the builds whose stages run in containers of their own.", "imagebuild-builder");
  app.set_version_flag("--version", IMAGEBUILD_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 done, 1 the input is wrong, 2 wrong usage, 3 the machine, the network or a server failed.");
  app.add_option("--registries", options.registries.file, "YAML file with mirrors, insecure registries and CAs");
  app.add_option("--registry-mirror", options.registries.mirrors, "REGISTRY=URL asked before the registry itself")
      ->allow_extra_args(false);
  app.add_option("--insecure-registry", options.registries.insecure, "Registry reached by plain HTTP")
      ->allow_extra_args(false);

  CLI::App* prepare = app.add_subcommand("prepare", "Write context, base indexes and plan.json to the volume");
  prepare->add_option("--volume", options.volume, "The artifact volume's folder")
      ->required()
      ->check(CLI::ExistingDirectory);
  prepare->add_option("-f,--file", options.prepare.dockerfile,
                      "The Dockerfile, below the context or the working directory");
  prepare->add_option("--target", options.prepare.target, "The stage to build; the last one if absent");
  prepare->add_option("--build-arg", options.build_args, "NAME=VALUE for an ARG")->allow_extra_args(false);
  prepare->add_option("--platform", options.platform, "The platform to build for, such as linux/amd64");
  prepare->add_option("context", options.prepare.context, "Folder, tar file or - for a tar on stdin")->required();

  CLI::App* publish = app.add_subcommand("publish", "Assemble the image of a finished plan and push it");
  publish->add_option("--volume", options.volume, "The artifact volume's folder")
      ->required()
      ->check(CLI::ExistingDirectory);
  publish->add_option("-t,--tag", options.tags, "Where the image goes")->required()->allow_extra_args(false);
  publish->add_option("--digest-file", options.digest_file, "Gets the image's digest");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  SystemProcessRunner processes;
  auto access = RegistryAccess::open(options.registries, processes);
  if (!access.ok()) return report(access.error());
  return report(prepare->parsed() ? run_prepare(options, (*access)->client(), processes)
                                  : run_publish(options, (*access)->client()));
}

}  // namespace
}  // namespace imagebuild::builder

int main(int argc, char** argv) {
  return imagebuild::builder::run(argc, argv);
}
