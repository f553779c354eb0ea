// A plan from JSON that came from elsewhere: every member is checked.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "api/json_reader.h"
#include "api/plan.h"
#include "api/plan_names.h"

namespace imagebuild::api {

namespace {

using nlohmann::json;

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

// How many stages and trees there are for a step to name.
struct Bounds {
  std::size_t stages = 0;  // Those before the step's own.
  std::size_t trees = 0;
};

CopyFrom read_from(JsonReader in, const Bounds& bounds) {
  const std::string type = in.text("type");
  if (type == "stage") return FromStage{in.index("stage", bounds.stages)};
  if (type == "tree") return FromTree{in.index("tree", bounds.trees)};
  if (type != "context") in.fail("has the unknown type '" + type + "'");
  return FromContext{};
}

// The enumerator whose name `key` has.
template <class Enum, std::size_t size>
Enum read_name(JsonReader& in, const char* key, const std::array<const char*, size>& names) {
  const auto name = std::ranges::find(names, in.text(key));
  if (name != names.end()) return static_cast<Enum>(name - names.begin());
  in.fail(std::string("has an unknown ") + key);
  return {};
}

Mount read_mount(JsonReader& in, const Bounds& bounds) {
  const std::string type = in.text("type");
  if (type == "bind") {
    return BindMount{read_from(in.object("from"), bounds), in.text("source"), in.text("target"), in.flag("writable")};
  }
  if (type == "tmpfs") return TmpfsMount{in.text("target"), in.size("size")};
  const auto number = [&](const char* key) { return static_cast<std::uint32_t>(in.size(key)); };
  if (type == "ssh") {
    return SshMount{in.text("id"),  in.text("target"), in.flag("required"),
                    number("mode"), number("uid"),     number("gid")};
  }
  if (type != "cache") in.fail("has the unknown type '" + type + "'");
  CacheMount cache;
  cache.id = in.text("id");
  cache.target = in.text("target");
  cache.sharing = read_name<CacheSharing>(in, "sharing", kSharingNames);
  if (in.has("from")) cache.from = read_from(in.object("from"), bounds);
  cache.source = in.text("source");
  cache.read_only = in.flag("readOnly");
  cache.mode = number("mode");
  cache.uid = number("uid");
  cache.gid = number("gid");
  return cache;
}

RunStep read_run(JsonReader& in, const Bounds& bounds) {
  RunStep run;
  run.argv = in.texts("argv");
  if (in.has("script")) run.script = read_inline_file(in.object("script"));
  run.env = in.texts("env");
  run.user = in.text("user");
  run.working_dir = in.text("workingDir");
  in.each_object("secrets", [&](JsonReader& secret) { run.secrets.push_back(read_secret(secret)); });
  in.each_object("mounts", [&](JsonReader& mount) { run.mounts.push_back(read_mount(mount, bounds)); });
  run.network = read_name<Network>(in, "network", kNetworkNames);
  if (run.argv.empty()) in.fail("has no command");
  return run;
}

CopyStep read_copy(JsonReader& in, const Bounds& bounds) {
  CopyStep copy;
  copy.from = read_from(in.object("from"), bounds);
  copy.sources = in.texts("sources");
  in.each_object("remotes", [&](JsonReader& remote) {
    copy.remotes.push_back({remote.index("tree", bounds.trees), remote.flag("unpack")});
  });
  in.each_object("inlineSources", [&](JsonReader& file) { copy.inline_sources.push_back(read_inline_file(file)); });
  copy.destination = in.text("destination");
  copy.destination_is_folder = in.flag("destinationIsFolder");
  copy.owner = in.text("owner");
  copy.mode = in.text("mode");
  copy.exclude = in.texts("exclude");
  copy.parents = in.flag("parents");
  copy.link = in.flag("link");
  copy.unpack_archives = in.flag("unpackArchives");
  return copy;
}

Step read_step(JsonReader& in, const Bounds& bounds) {
  Step step;
  step.at = read_line(in.object("at"));
  step.text = in.text("text");
  step.created_by = in.text("createdBy");
  JsonReader action = in.object("action");
  const std::string type = action.text("type");
  if (type == "run") {
    step.action = read_run(action, bounds);
  } else if (type == "copy") {
    step.action = read_copy(action, bounds);
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

PlanStage read_stage(JsonReader& in, const Bounds& bounds, std::size_t image_count) {
  const std::size_t stage_index = bounds.stages;
  PlanStage stage;
  stage.name = in.text("name");
  stage.at = read_line(in.object("at"));
  stage.base = read_base(in.object("base"), stage_index, image_count);
  stage.platform = in.text("platform");
  in.each_object("steps", [&](JsonReader& step) { stage.steps.push_back(read_step(step, bounds)); });
  in.each("needs", [&](const json& need, const std::string& where) {
    if (!need.is_number_integer() || need < 0 || need >= stage_index) {
      in.fail("has a wrong need at " + where);
    } else {
      stage.needs.push_back(need.get<int>());
    }
  });
  stage.exports = in.texts("exports");
  stage.keep_layers = in.flag("keepLayers");
  stage.cache_layers = in.has("cacheLayers") && in.flag("cacheLayers");
  stage.needs_container = in.flag("needsContainer");
  stage.config = read_config(in.object("config"));
  stage.author = in.text("author");
  return stage;
}

FileTree read_tree(JsonReader& in) {
  FileTree tree;
  tree.at = read_line(in.object("at"));
  const std::string type = in.text("type");
  if (type == "context") {
    tree.origin = NamedContext{in.text("name")};
  } else if (type == "http") {
    tree.origin = HttpDownload{in.text("url"), in.text("checksum")};
  } else if (type == "git") {
    tree.origin = GitCheckout{in.text("url"),      in.text("ref"),        in.text("folder"),
                              in.text("checksum"), in.flag("keepGitDir"), in.flag("submodules")};
  } else {
    in.fail("has the unknown type '" + type + "'");
  }
  return tree;
}

RunSettings read_settings(JsonReader in) {
  RunSettings settings;
  in.each_object("hosts", [&](JsonReader& host) {
    settings.hosts.push_back({host.text("name"), host.text("address")});
  });
  in.each_object("ulimits", [&](JsonReader& limit) {
    settings.ulimits.push_back({limit.text("name"), limit.number("soft"), limit.number("hard")});
  });
  settings.shm_bytes = in.size("shmSize");
  return settings;
}

BaseImage read_image(JsonReader& in) {
  return BaseImage{in.text("name"), in.text("reference"), in.text("digest"), in.text("manifest"), in.text("config")};
}

}  // namespace

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
  plan.epoch_is_given = in.has("epochIsGiven") && in.flag("epochIsGiven");
  in.each_object("images", [&](JsonReader& image) { plan.images.push_back(read_image(image)); });
  in.each_object("trees", [&](JsonReader& tree) { plan.trees.push_back(read_tree(tree)); });
  plan.run = read_settings(in.object("run"));
  in.each_object("stages", [&](JsonReader& stage) {
    plan.stages.push_back(read_stage(stage, {plan.stages.size(), plan.trees.size()}, plan.images.size()));
  });
  in.each_object("targets", [&](JsonReader& target) {
    plan.targets.push_back(
        PlanTarget{target.index("stage", plan.stages.size()), target.text("platform"), target.text("name")});
  });
  if (!failure && plan.targets.empty()) return Error{ErrorCode::kCorrupt, "the plan has no target"};
  in.each_object("warnings", [&](JsonReader& warning) {
    plan.warnings.push_back({warning.text("rule"), warning.text("message"), read_line(warning.object("at"))});
  });
  if (in.has("skippedRules")) {
    in.each_object("skippedRules", [&](JsonReader& skipped) {
      plan.skipped_rules.push_back({skipped.text("rule"), static_cast<int>(skipped.number("firstLine")),
                                    static_cast<int>(skipped.number("lastLine"))});
    });
  }
  if (failure) return *failure;
  return plan;
}

std::string written_name(const PlanStage& stage) {
  return stage.name.substr(0, stage.name.find(" ("));
}

std::vector<std::string> target_names(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlanTarget& target : plan.targets) {
    if (std::ranges::find(names, target.name) == names.end()) names.push_back(target.name);
  }
  return names;
}

std::vector<PlanTarget> targets_named(const Plan& plan, const std::string& name) {
  std::vector<PlanTarget> targets;
  std::ranges::copy_if(plan.targets, std::back_inserter(targets),
                       [&](const PlanTarget& target) { return target.name == name; });
  return targets;
}

}  // namespace imagebuild::api
