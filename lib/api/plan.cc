#include "api/plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "api/json_reader.h"
#include "base/overloaded.h"

namespace imagebuild::api {

namespace {

using nlohmann::json;

// --- Writing -------------------------------------------------------------------------------------------------------

json write(const Step& step);
json write(const BaseImage& image);
json write(const PlanStage& stage);

json write(const SourceLine& at) {
  return json{{"line", at.line}, {"column", at.column}};
}

json write(const InlineFile& file) {
  return json{{"name", file.name}, {"content", file.content}};
}

json write(const SecretMount& mount) {
  return json{{"id", mount.id},     {"target", mount.target}, {"env", mount.env}, {"required", mount.required},
              {"mode", mount.mode}, {"uid", mount.uid},       {"gid", mount.gid}};
}

template <class T>
json write_all(const std::vector<T>& values) {
  json result = json::array();
  for (const T& value : values) result.push_back(write(value));
  return result;
}

json write(const RunStep& run) {
  json result{{"type", "run"},
              {"argv", run.argv},
              {"env", run.env},
              {"user", run.user},
              {"workingDir", run.working_dir},
              {"secrets", write_all(run.secrets)}};
  if (run.script) result["script"] = write(*run.script);
  return result;
}

json write(const CopyStep& copy) {
  json result{{"type", "copy"},
              {"sources", copy.sources},
              {"inlineSources", write_all(copy.inline_sources)},
              {"destination", copy.destination},
              {"destinationIsFolder", copy.destination_is_folder},
              {"owner", copy.owner},
              {"unpackArchives", copy.unpack_archives}};
  if (copy.mode) result["mode"] = *copy.mode;
  if (const auto* from = std::get_if<FromStage>(&copy.from)) result["fromStage"] = from->stage;
  return result;
}

json write(const WorkdirStep& workdir) {
  return json{{"type", "workdir"}, {"path", workdir.path}, {"owner", workdir.owner}};
}
json write(const MetadataStep&) {
  return json{{"type", "metadata"}};
}

json write(const Step& step) {
  return json{{"at", write(step.at)},
              {"text", step.text},
              {"createdBy", step.created_by},
              {"action", std::visit([](const auto& action) { return write(action); }, step.action)}};
}

json write(const BaseImage& image) {
  return json{{"name", image.name},
              {"reference", image.reference},
              {"digest", image.digest},
              {"manifest", image.manifest_json},
              {"config", image.config_json}};
}

json write(const StageBase& base) {
  return std::visit(Overloaded{[](const Scratch&) {
                                 return json{{"type", "scratch"}};
                               },
                               [](const OnImage& on) {
                                 return json{{"type", "image"}, {"image", on.image}};
                               },
                               [](const OnStage& on) {
                                 return json{{"type", "stage"}, {"stage", on.stage}};
                               }},
                    base);
}

// A run config travels in the form that image configs have.
json write(const oci::RunConfig& config) {
  oci::ImageConfig image;
  image.config = config;
  return json::parse(image.json());
}

json write(const PlanStage& stage) {
  return json{{"name", stage.name},
              {"at", write(stage.at)},
              {"base", write(stage.base)},
              {"platform", stage.platform},
              {"steps", write_all(stage.steps)},
              {"needs", stage.needs},
              {"exports", stage.exports},
              {"keepLayers", stage.keep_layers},
              {"needsContainer", stage.needs_container},
              {"config", write(stage.config)},
              {"author", stage.author}};
}

// --- Reading -------------------------------------------------------------------------------------------------------

SourceLine read_line(JsonReader in) {
  return SourceLine{static_cast<int>(in.number("line")), static_cast<int>(in.number("column"))};
}

InlineFile read_inline_file(JsonReader in) {
  return InlineFile{in.text("name"), in.text("content")};
}

SecretMount read_secret(JsonReader& in) {
  SecretMount mount;
  mount.id = in.text("id");
  mount.target = in.text("target");
  mount.env = in.text("env");
  mount.required = in.flag("required");
  mount.mode = static_cast<std::uint32_t>(in.size("mode"));
  mount.uid = static_cast<std::uint32_t>(in.size("uid"));
  mount.gid = static_cast<std::uint32_t>(in.size("gid"));
  return mount;
}

RunStep read_run(JsonReader& in) {
  RunStep run;
  run.argv = in.texts("argv");
  if (in.has("script")) run.script = read_inline_file(in.object("script"));
  run.env = in.texts("env");
  run.user = in.text("user");
  run.working_dir = in.text("workingDir");
  in.each_object("secrets", [&](JsonReader& secret) { run.secrets.push_back(read_secret(secret)); });
  if (run.argv.empty()) in.fail("has no command");
  return run;
}

CopyStep read_copy(JsonReader& in, std::size_t stage_index) {
  CopyStep copy;
  if (in.has("fromStage")) copy.from = FromStage{in.index("fromStage", stage_index)};
  copy.sources = in.texts("sources");
  in.each_object("inlineSources", [&](JsonReader& file) { copy.inline_sources.push_back(read_inline_file(file)); });
  copy.destination = in.text("destination");
  copy.destination_is_folder = in.flag("destinationIsFolder");
  copy.owner = in.text("owner");
  if (in.has("mode")) copy.mode = static_cast<std::uint32_t>(in.size("mode"));
  copy.unpack_archives = in.flag("unpackArchives");
  return copy;
}

Step read_step(JsonReader& in, std::size_t stage_index) {
  Step step;
  step.at = read_line(in.object("at"));
  step.text = in.text("text");
  step.created_by = in.text("createdBy");
  JsonReader action = in.object("action");
  const std::string type = action.text("type");
  if (type == "run") {
    step.action = read_run(action);
  } else if (type == "copy") {
    step.action = read_copy(action, stage_index);
  } else if (type == "workdir") {
    step.action = WorkdirStep{action.text("path"), action.text("owner")};
  } else if (type == "metadata") {
    step.action = MetadataStep{};
  } else {
    action.fail("has the unknown type '" + type + "'");
  }
  return step;
}

StageBase read_base(JsonReader in, std::size_t stage_index, std::size_t image_count) {
  const std::string type = in.text("type");
  if (type == "image") return OnImage{in.index("image", image_count)};
  if (type == "stage") return OnStage{in.index("stage", stage_index)};
  if (type != "scratch") in.fail("has the unknown type '" + type + "'");
  return Scratch{};
}

oci::RunConfig read_config(JsonReader in) {
  Result<oci::ImageConfig> image = oci::ImageConfig::parse(in.raw().dump());
  if (image.ok()) return image->config;
  in.fail("is not a config: " + image.error().message);
  return {};
}

PlanStage read_stage(JsonReader& in, std::size_t stage_index, std::size_t image_count) {
  PlanStage stage;
  stage.name = in.text("name");
  stage.at = read_line(in.object("at"));
  stage.base = read_base(in.object("base"), stage_index, image_count);
  stage.platform = in.text("platform");
  in.each_object("steps", [&](JsonReader& step) { stage.steps.push_back(read_step(step, stage_index)); });
  in.each("needs", [&](const json& need, const std::string& where) {
    if (!need.is_number_integer() || need < 0 || need >= stage_index) {
      in.fail("has a wrong need at " + where);
    } else {
      stage.needs.push_back(need.get<int>());
    }
  });
  stage.exports = in.texts("exports");
  stage.keep_layers = in.flag("keepLayers");
  stage.needs_container = in.flag("needsContainer");
  stage.config = read_config(in.object("config"));
  stage.author = in.text("author");
  return stage;
}

BaseImage read_image(JsonReader& in) {
  return BaseImage{in.text("name"), in.text("reference"), in.text("digest"), in.text("manifest"), in.text("config")};
}

}  // namespace

std::string Plan::json() const {
  const nlohmann::json document{{"version", kVersion},         {"dockerfile", dockerfile},    {"epoch", epoch_s},
                                {"images", write_all(images)}, {"stages", write_all(stages)}, {"target", target},
                                {"warnings", warnings}};
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<Plan> Plan::parse(std::string_view text) {
  const nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) return Error{ErrorCode::kCorrupt, "the plan is not JSON"};
  std::optional<Error> failure;
  JsonReader in(document, "plan", failure);
  const std::int64_t version = in.number("version");
  if (!failure && version != kVersion) {
    return Error{ErrorCode::kCorrupt, "the plan has version " + std::to_string(version) + ", but this program reads " +
                                          std::to_string(kVersion)};
  }
  Plan plan;
  plan.dockerfile = in.text("dockerfile");
  plan.epoch_s = in.number("epoch");
  in.each_object("images", [&](JsonReader& image) { plan.images.push_back(read_image(image)); });
  in.each_object("stages", [&](JsonReader& stage) {
    plan.stages.push_back(read_stage(stage, plan.stages.size(), plan.images.size()));
  });
  plan.target = in.index("target", plan.stages.size());
  plan.warnings = in.texts("warnings");
  if (failure) return *failure;
  return plan;
}

std::string place(const Plan& plan, const SourceLine& at) {
  std::string text = plan.dockerfile + ":" + std::to_string(at.line);
  if (at.column > 0) text += ":" + std::to_string(at.column);
  return text;
}

std::vector<int> base_chain(const Plan& plan, int stage) {
  std::vector<int> chain{stage};
  while (const auto* on = std::get_if<OnStage>(&plan.stages[static_cast<std::size_t>(chain.back())].base)) {
    chain.push_back(on->stage);
  }
  std::ranges::reverse(chain);
  return chain;
}

const BaseImage* root_image(const Plan& plan, int stage) {
  const StageBase& base = plan.stages[static_cast<std::size_t>(base_chain(plan, stage).front())].base;
  const auto* on = std::get_if<OnImage>(&base);
  return on == nullptr ? nullptr : &plan.images[static_cast<std::size_t>(on->image)];
}

std::vector<std::string> secret_ids(const Plan& plan, int stage) {
  std::set<std::string> ids;
  for (const Step& step : plan.stages[static_cast<std::size_t>(stage)].steps) {
    const auto* run = std::get_if<RunStep>(&step.action);
    if (run == nullptr) continue;
    for (const SecretMount& mount : run->secrets) ids.insert(mount.id);
  }
  return {ids.begin(), ids.end()};
}

}  // namespace imagebuild::api
