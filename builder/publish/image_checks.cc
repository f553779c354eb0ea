#include "builder/publish/image_checks.h"

#include <algorithm>
#include <utility>

#include "api/volume.h"
#include "lint/image/image.h"

namespace imagebuild::builder {

namespace {

// What a RUN's shell reads, or its command.
std::string script_of(const api::Step& step) {
  const auto* run = std::get_if<api::RunStep>(&step.action);
  if (run == nullptr) return {};
  if (run->script) return run->script->content;
  if (run->argv.size() == 3 && run->argv[1].starts_with('-') && run->argv[1].ends_with('c')) return run->argv[2];
  std::string text;
  for (const std::string& word : run->argv) text += word + " ";
  return text;
}

lint::ImageInput input_of(const api::Plan& plan, int target, const std::vector<api::StageReport>& reports,
                          const std::filesystem::path& volume) {
  lint::ImageInput input;
  input.total_bytes = reports[static_cast<std::size_t>(target)].root_bytes;
  input.stage = api::written_name(plan.stages[static_cast<std::size_t>(target)]);
  input.skipped = plan.skipped_rules;
  for (const int number : api::base_chain(plan, target)) {
    const api::PlanStage& stage = plan.stages[static_cast<std::size_t>(number)];
    for (const api::LayerReport& layer : reports[static_cast<std::size_t>(number)].layers) {
      const api::Step& step = stage.steps[static_cast<std::size_t>(layer.step)];  // assemble() has checked it.
      lint::ImageLayer entry{step.at, script_of(step), {}, layer.private_keys};
      auto index =
          archive::TreeIndex::load(volume / api::volume::stage_folder(number) / api::volume::layer_index(layer.step));
      if (index.ok()) entry.index = std::move(*index);
      if (index.ok() || !entry.private_keys.empty()) input.layers.push_back(std::move(entry));
    }
  }
  return input;
}

}  // namespace

std::vector<api::Warning> image_warnings(const api::Plan& plan, const Published& image,
                                         const std::vector<api::StageReport>& reports,
                                         const std::filesystem::path& volume) {
  std::vector<api::Warning> warnings;
  for (const PlatformImage& platform : image.platforms) {
    const std::vector<api::Warning> found = lint::check_image(input_of(plan, platform.stage, reports, volume));
    const std::size_t earlier = warnings.size();
    for (const api::Warning& warning : found) {
      const auto same = [&](const api::Warning& other) { return other.rule == warning.rule && other.at == warning.at; };
      if (std::none_of(warnings.begin(), warnings.begin() + static_cast<std::ptrdiff_t>(earlier), same)) {
        warnings.push_back(warning);
      }
    }
  }
  return warnings;
}

}  // namespace imagebuild::builder
