#include "build/solve.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "build/stage_solver.h"
#include "build/supported.h"
#include "dockerfile/expand.h"
#include "dockerfile/graph.h"
#include "dockerfile/scope.h"

namespace imagebuild::build {

namespace {

using dockerfile::GraphStage;
using dockerfile::Position;
using dockerfile::SourceKind;
using dockerfile::Word;

// What both public functions begin with: the global arguments and the graph of stages.
struct Outline {
  dockerfile::GlobalScope globals;
  dockerfile::GraphOptions graph_options;
  dockerfile::Graph graph;
};

dockerfile::PlatformNames names_of(const oci::Platform& platform) {
  return dockerfile::PlatformNames{platform.os(), platform.architecture(), platform.variant(), ""};
}

Result<std::unique_ptr<Outline>> outline_of(const dockerfile::Dockerfile& file, const SolveOptions& options) {
  auto outline =
      std::make_unique<Outline>(Outline{dockerfile::GlobalScope(options.build_args, names_of(options.build_platform),
                                                                names_of(options.target_platform), options.target),
                                        {},
                                        {}});
  const char escape = file.directives.escape;
  for (const dockerfile::Instruction& instruction : file.global_args) {
    for (const dockerfile::ArgDeclaration& declaration : std::get<dockerfile::Arg>(instruction.command).declarations) {
      std::size_t offset = 0;
      std::optional<std::string_view> raw_default;
      if (declaration.value) raw_default = declaration.value->text;
      const auto declared = outline->globals.declare(declaration.name.text, raw_default, escape, &offset);
      if (declared.ok()) continue;
      Position at = declaration.value ? declaration.value->at : declaration.name.at;
      at.column += static_cast<int>(offset);
      return dockerfile::located_error(file.file, at, declared.error().message, declared.error().code);
    }
  }
  outline->graph_options.target = options.target;
  for (const auto& [name, image] : options.named_contexts) outline->graph_options.named_contexts.push_back(name);
  outline->graph_options.expand = [&globals = outline->globals, escape](const Word& word) -> Result<std::string> {
    ASSIGN_OR_RETURN(dockerfile::Expanded expanded, dockerfile::expand_word(word.text, escape, globals.lookup()));
    return std::move(expanded.text);
  };
  ASSIGN_OR_RETURN(outline->graph, dockerfile::make_graph(file, outline->graph_options));
  return outline;
}

Result<std::string> platform_of(const dockerfile::Dockerfile& file, const GraphStage& stage,
                                const SolveOptions& options) {
  if (!stage.platform) return options.target_platform.str();
  const Result<oci::Platform> platform = oci::Platform::parse(*stage.platform);
  if (platform.ok()) return platform->str();
  const auto& from = file.stages[static_cast<std::size_t>(stage.index)].from();
  return dockerfile::located_error(file.file, from.platform->at, platform.error().message);
}

// The words of an instruction that name a stage, an image or a context.
std::vector<const Word*> from_words(const dockerfile::Instruction& instruction) {
  std::vector<const Word*> words;
  if (const auto* copy = std::get_if<dockerfile::Copy>(&instruction.command); copy != nullptr && copy->from) {
    words.push_back(&*copy->from);
  }
  if (const auto* run = std::get_if<dockerfile::Run>(&instruction.command)) {
    for (const dockerfile::Mount& mount : run->mounts) {
      if (mount.from) words.push_back(&*mount.from);
    }
  }
  return words;
}

// A named context that stands for an image is that image.
dockerfile::Source stands_for(dockerfile::Source source, const SolveOptions& options) {
  if (source.kind != SourceKind::kNamedContext) return source;
  const std::string& image = options.named_contexts.at(source.name);
  if (image.empty()) return source;
  return {SourceKind::kImage, -1, image, source.at};
}

// The ONBUILD triggers that an image brings along, parsed.
Result<std::vector<dockerfile::Instruction>> triggers_of(const oci::RunConfig& config, const std::string& origin) {
  std::vector<dockerfile::Instruction> triggers;
  for (const std::string& text : config.on_build) {
    ASSIGN_OR_RETURN(dockerfile::Instruction trigger, dockerfile::parse_trigger(text, origin));
    triggers.push_back(std::move(trigger));
  }
  return triggers;
}

std::string trigger_origin(const std::string& base_name) {
  return "ONBUILD of " + base_name;
}

// The configs of images, each parsed once however many stages start from it.
class Configs {
 public:
  struct Config {
    oci::RunConfig run;
    std::string author;
  };
  // `image` must stay where it is. The result lives as long as this.
  Result<const Config*> of(const api::BaseImage& image) {
    if (const auto there = parsed_.find(&image); there != parsed_.end()) return &there->second;
    Result<oci::ImageConfig> parsed = oci::ImageConfig::parse(image.config_json);
    if (!parsed.ok()) return parsed.error().in("the config of image '" + image.name + "'");
    return &parsed_.emplace(&image, Config{std::move(parsed->config), std::move(parsed->author)}).first->second;
  }

 private:
  std::map<const api::BaseImage*, Config> parsed_;
};

// Builds the plan stage by stage, in the graph's order.
class Solver {
 public:
  Solver(const dockerfile::Dockerfile& file, const SolveOptions& options, const Images& images, const Outline& outline)
      : file_(file), options_(options), images_(images), outline_(outline) {}

  Result<api::Plan> solve();

 private:
  struct Solved {  // What later stages need of a stage that is done.
    int plan_index = 0;
    dockerfile::StageScope scope;
    std::vector<dockerfile::Instruction> triggers;  // For stages built on this one.
  };

  // Adds the stage, and first the stages it needs, unless it is there. A trigger of an image may name a stage that
  // the graph, which does not know the image, leaves out.
  Status need_stage(int index);
  Status add_stage(const GraphStage& stage);
  Result<int> add_image(const ImageNeed& need);
  Result<api::FromStage> stage_for_image(const std::string& name, const std::string& platform, Position at);
  Result<api::CopyFrom> resolve_from(int stage, const std::string& platform, const Word& from, std::string_view file,
                                     const std::vector<std::string>& sources, std::set<int>& needs);
  int add_tree(const api::FileTree& tree);
  void finish();

  const dockerfile::Dockerfile& file_;
  const SolveOptions& options_;
  const Images& images_;
  const Outline& outline_;
  Configs configs_;
  api::Plan plan_;
  std::map<int, Solved> solved_;                  // By index in the Dockerfile.
  std::map<ImageNeed, int> image_index_;          // Into plan_.images.
  std::map<ImageNeed, int> stage_of_image_;       // The stages made for COPY --from=<image>.
  std::map<int, std::set<std::string>> exports_;  // By index into plan_.stages.
};

Result<int> Solver::add_image(const ImageNeed& need) {
  if (const auto there = image_index_.find(need); there != image_index_.end()) return there->second;
  const auto image = images_.find(need);
  if (image == images_.end()) {
    return dockerfile::located_error(file_.file, need.at, "image '" + need.name + "' was not resolved",
                                     ErrorCode::kInternal);
  }
  plan_.images.push_back(image->second);
  const int index = static_cast<int>(plan_.images.size()) - 1;
  image_index_.emplace(need, index);
  return index;
}

Result<api::FromStage> Solver::stage_for_image(const std::string& name, const std::string& platform, Position at) {
  const ImageNeed need{name, platform, at};
  if (const auto there = stage_of_image_.find(need); there != stage_of_image_.end())
    return api::FromStage{there->second};
  ASSIGN_OR_RETURN(const int image, add_image(need));
  api::PlanStage stage;
  stage.name = "image " + name;
  stage.at = api::SourceLine{at.line, at.column};
  stage.base = api::OnImage{image};
  stage.platform = platform;
  ASSIGN_OR_RETURN(const Configs::Config* const config, configs_.of(images_.at(need)));
  stage.config = config->run;
  stage.author = config->author;
  plan_.stages.push_back(std::move(stage));
  const int index = static_cast<int>(plan_.stages.size()) - 1;
  stage_of_image_.emplace(need, index);
  return api::FromStage{index};
}

int Solver::add_tree(const api::FileTree& tree) {
  const auto there =
      std::ranges::find_if(plan_.trees, [&](const api::FileTree& other) { return other.origin == tree.origin; });
  if (there != plan_.trees.end()) return static_cast<int>(there - plan_.trees.begin());
  plan_.trees.push_back(tree);
  return static_cast<int>(plan_.trees.size()) - 1;
}

Result<api::CopyFrom> Solver::resolve_from(int stage, const std::string& platform, const Word& from,
                                           std::string_view file, const std::vector<std::string>& sources,
                                           std::set<int>& needs) {
  ASSIGN_OR_RETURN(dockerfile::Source source,
                   dockerfile::resolve_from(file_, outline_.graph_options, stage, from, file));
  source = stands_for(std::move(source), options_);
  api::FromStage result;
  if (source.kind == SourceKind::kNamedContext) {
    const int tree = add_tree({api::NamedContext{source.name}, {from.at.line, from.at.column}});
    return api::CopyFrom{api::FromTree{tree}};
  }
  if (source.kind == SourceKind::kStage) {
    RETURN_IF_ERROR(need_stage(source.stage));
    result.stage = solved_.at(source.stage).plan_index;
  } else if (source.kind == SourceKind::kImage) {
    ASSIGN_OR_RETURN(result, stage_for_image(source.name, platform, from.at));
  } else {
    return dockerfile::located_error(file, from.at, "there is nothing to copy from 'scratch'");
  }
  exports_[result.stage].insert(sources.begin(), sources.end());
  needs.insert(result.stage);
  return api::CopyFrom{result};
}

Status Solver::need_stage(int index) {
  if (solved_.contains(index)) return ok();
  const GraphStage& stage = outline_.graph.stages[static_cast<std::size_t>(index)];
  for (const int need : stage.needs) RETURN_IF_ERROR(need_stage(need));
  return add_stage(stage);
}

Status Solver::add_stage(const GraphStage& graph_stage) {
  const dockerfile::Stage& written = file_.stages[static_cast<std::size_t>(graph_stage.index)];
  api::PlanStage stage;
  stage.name = graph_stage.name.empty() ? std::to_string(graph_stage.index) : graph_stage.name;
  if (std::ranges::any_of(plan_.stages, [&](const api::PlanStage& other) { return other.name == stage.name; })) {
    stage.name += " (" + std::to_string(graph_stage.index) + ")";
  }
  stage.at = api::SourceLine{written.instruction.at.line, written.instruction.at.column};
  ASSIGN_OR_RETURN(stage.platform, platform_of(file_, graph_stage, options_));

  std::optional<dockerfile::StageScope> scope;
  std::vector<dockerfile::Instruction> triggers;
  std::set<int> needs;
  const dockerfile::Source from = stands_for(graph_stage.base, options_);
  std::string origin = trigger_origin(from.name);
  switch (from.kind) {
    case SourceKind::kStage: {
      const Solved& parent = solved_.at(from.stage);
      const api::PlanStage& base = plan_.stages[static_cast<std::size_t>(parent.plan_index)];
      stage.base = api::OnStage{parent.plan_index};
      stage.platform = base.platform;
      stage.config = base.config;
      stage.author = base.author;
      scope = dockerfile::StageScope::on_stage(parent.scope);
      triggers = parent.triggers;
      origin = file_.file;
      needs.insert(parent.plan_index);
      break;
    }
    case SourceKind::kImage: {
      const ImageNeed need{from.name, stage.platform, from.at};
      ASSIGN_OR_RETURN(const int image, add_image(need));
      stage.base = api::OnImage{image};
      ASSIGN_OR_RETURN(const Configs::Config* const config, configs_.of(images_.at(need)));
      stage.config = config->run;
      stage.author = config->author;
      ASSIGN_OR_RETURN(triggers, triggers_of(stage.config, origin));
      scope = dockerfile::StageScope::on_image(stage.config.env);
      break;
    }
    case SourceKind::kScratch:
      stage.config.working_dir = "/";
      scope = dockerfile::StageScope::on_image({});
      break;
    case SourceKind::kNamedContext:
      return dockerfile::located_error(file_.file, from.at,
                                       "the context '" + from.name +
                                           "' is a folder, and a stage cannot start from one; start from scratch and "
                                           "COPY --from=" +
                                           from.name + " . /",
                                       ErrorCode::kUnsupported);
  }
  // Triggers act on the next stage only (Dockerfile reference, ONBUILD).
  stage.config.on_build.clear();

  StageSolver solver(file_, outline_.globals, std::move(*scope),
                     {[&](const Word& word, std::string_view file, const std::vector<std::string>& sources) {
                        return resolve_from(graph_stage.index, stage.platform, word, file, sources, needs);
                      },
                      [this](const api::FileTree& tree) { return add_tree(tree); }},
                     stage);
  for (const dockerfile::Instruction& trigger : triggers) RETURN_IF_ERROR(solver.take(trigger, origin));
  Solved solved{0, solver.scope(), {}};
  for (const dockerfile::Instruction& step : written.steps) {
    RETURN_IF_ERROR(solver.take(step));
    if (const auto* onbuild = std::get_if<dockerfile::Onbuild>(&step.command)) {
      solved.triggers.push_back(*onbuild->trigger);
    }
  }
  solved.scope = solver.scope();
  stage.needs.assign(needs.begin(), needs.end());
  plan_.stages.push_back(std::move(stage));
  solved.plan_index = static_cast<int>(plan_.stages.size()) - 1;
  solved_.emplace(graph_stage.index, std::move(solved));
  return ok();
}

// What only the whole plan shows: who exports, who keeps layers, who needs a container.
void Solver::finish() {
  const auto stage_at = [&](int index) -> api::PlanStage& { return plan_.stages[static_cast<std::size_t>(index)]; };
  for (const auto& [index, patterns] : exports_) stage_at(index).exports.assign(patterns.begin(), patterns.end());
  stage_at(plan_.targets.front().stage).keep_layers = true;
  for (api::PlanStage& stage : plan_.stages) {
    if (const auto* on = std::get_if<api::OnStage>(&stage.base)) stage_at(on->stage).keep_layers = true;
    const bool runs = std::ranges::any_of(
        stage.steps, [](const api::Step& step) { return std::holds_alternative<api::RunStep>(step.action); });
    // Without RUN on an empty base, everything a stage holds came from steps whose sources are still there.
    stage.needs_container = runs || (!stage.exports.empty() && !std::holds_alternative<api::Scratch>(stage.base));
  }
}

Result<api::Plan> Solver::solve() {
  plan_.dockerfile = file_.file;
  plan_.epoch_s = options_.epoch_s;
  plan_.run = options_.run;
  for (const int index : outline_.graph.order) RETURN_IF_ERROR(need_stage(index));
  plan_.targets = {{solved_.at(outline_.graph.target).plan_index, options_.target_platform.str(), options_.target}};
  finish();
  std::set<std::string> declared;
  const auto note_args = [&](const std::vector<dockerfile::Instruction>& instructions) {
    for (const dockerfile::Instruction& instruction : instructions) {
      const auto* arg = std::get_if<dockerfile::Arg>(&instruction.command);
      if (arg == nullptr) continue;
      for (const dockerfile::ArgDeclaration& declaration : arg->declarations) declared.insert(declaration.name.text);
    }
  };
  note_args(file_.global_args);
  for (const dockerfile::Stage& stage : file_.stages) note_args(stage.steps);
  for (const std::string& name : outline_.globals.undeclared_build_args(declared)) {
    plan_.warnings.push_back({"", "--build-arg " + name + " is not used: no ARG " + name + " in " + file_.file, {}});
  }
  return std::move(plan_);
}

}  // namespace

Result<std::vector<ImageNeed>> missing_images(const dockerfile::Dockerfile& file, const SolveOptions& options,
                                              const Images& known) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Outline> outline, outline_of(file, options));
  std::vector<ImageNeed> missing;
  Configs configs;
  const auto need = [&](const dockerfile::Source& named, const std::string& platform) -> const api::BaseImage* {
    const dockerfile::Source source = stands_for(named, options);
    if (source.kind != SourceKind::kImage) return nullptr;
    const ImageNeed wanted{source.name, platform, source.at};
    if (const auto image = known.find(wanted); image != known.end()) return &image->second;
    if (std::ranges::find(missing, wanted) == missing.end()) missing.push_back(wanted);
    return nullptr;
  };
  std::vector<int> stages = outline->graph.order;  // Grows where a trigger names a stage that the graph leaves out.
  for (std::size_t next = 0; next < stages.size(); ++next) {
    const int index = stages[next];
    const GraphStage& stage = outline->graph.stages[static_cast<std::size_t>(index)];
    const auto add = [&](int other) {
      if (std::ranges::find(stages, other) == stages.end()) stages.push_back(other);
    };
    for (const int other : stage.needs) add(other);
    for (const dockerfile::Instruction& step : file.stages[static_cast<std::size_t>(index)].steps) {
      RETURN_IF_ERROR(check_supported(step, file.file));
    }
    const GraphStage* root = &stage;  // A stage has the platform of the stage it is built on.
    while (root->base.kind == SourceKind::kStage) {
      root = &outline->graph.stages[static_cast<std::size_t>(root->base.stage)];
    }
    ASSIGN_OR_RETURN(const std::string platform, platform_of(file, *root, options));
    const api::BaseImage* image = need(stage.base, platform);
    for (const dockerfile::Reference& reference : stage.references) need(reference.source, platform);
    if (image == nullptr) continue;
    ASSIGN_OR_RETURN(const Configs::Config* const config, configs.of(*image));
    const std::string origin = trigger_origin(image->name);
    ASSIGN_OR_RETURN(const std::vector<dockerfile::Instruction> triggers, triggers_of(config->run, origin));
    for (const dockerfile::Instruction& trigger : triggers) {
      RETURN_IF_ERROR(check_supported(trigger, origin));
      for (const Word* from : from_words(trigger)) {
        ASSIGN_OR_RETURN(const dockerfile::Source source,
                         dockerfile::resolve_from(file, outline->graph_options, index, *from, origin));
        need(source, platform);
        if (source.kind == SourceKind::kStage) add(source.stage);
      }
    }
  }
  return missing;
}

Result<api::Plan> solve(const dockerfile::Dockerfile& file, const SolveOptions& options, const Images& images) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Outline> outline, outline_of(file, options));
  return Solver(file, options, images, *outline).solve();
}

}  // namespace imagebuild::build
