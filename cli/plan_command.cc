#include "cli/plan_command.h"

#include <iostream>

#include "base/file.h"
#include "builder/prepare/images.h"
#include "builder/prepare/prepare.h"
#include "cli/plan_text.h"

namespace imagebuild::cli {

namespace {

Result<std::string> solved(const PlanOptions& options) {
  SystemProcessRunner processes;
  ASSIGN_OR_RETURN(const std::unique_ptr<builder::RegistryAccess> registries,
                   builder::RegistryAccess::open(options.source.registry, processes));
  const builder::OpenImage open_image = [&](const std::string& name) {
    return builder::open_image(registries->client(), name);
  };
  ASSIGN_OR_RETURN(const TempDir volume, TempDir::create("imagebuild-plan-"));
  builder::PrepareRequest request;
  request.context = options.source.context;
  request.dockerfile = options.source.dockerfile;
  request.targets = options.source.targets;
  request.build_args = options.source.build_args;
  request.platforms = options.source.platforms;
  request.epoch_s = options.source.epoch_s;
  request.named_contexts = builder::images_by_name(options.source.build_contexts);
  request.run = options.source.run;
  request.volume = volume.path();
  ASSIGN_OR_RETURN(const builder::Prepared prepared, builder::prepare(request, open_image, processes));
  switch (options.format) {
    case PlanFormat::kText:
      return plan_text(prepared.plan);
    case PlanFormat::kJson:
      return prepared.plan.json() + "\n";
    case PlanFormat::kDot:
      return plan_dot(prepared.plan);
  }
  return std::string();
}

}  // namespace

int plan_command(const PlanOptions& options) {
  const Result<std::string> text = solved(options);
  if (!text.ok()) {
    std::cerr << "imagebuild: error: " << text.error().message << "\n";
    return text.error().exit_status();
  }
  std::cout << *text << std::flush;
  return std::cout.good() ? kExitOk : kExitInfrastructure;
}

}  // namespace imagebuild::cli
