#include "api/plan.h"

#include <algorithm>
#include <array>
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
json write(const Mount& mount);
json write(const RemoteSource& remote);
json write(const FileTree& tree);
json write(const HostAlias& host);
json write(const Ulimit& limit);
json write(const Warning& warning);
json write(const SkippedRule& skipped);
json write(const PlanTarget& target);

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

json write(const CopyFrom& from) {
  return std::visit(Overloaded{[](const FromContext&) {
                                 return json{{"type", "context"}};
                               },
                               [](const FromStage& stage) {
                                 return json{{"type", "stage"}, {"stage", stage.stage}};
                               },
                               [](const FromTree& tree) {
                                 return json{{"type", "tree"}, {"tree", tree.tree}};
                               }},
                    from);
}

json write(const BindMount& mount) {
  return json{{"type", "bind"},
              {"from", write(mount.from)},
              {"source", mount.source},
              {"target", mount.target},
              {"writable", mount.writable}};
}

constexpr std::array<const char*, 3> kSharings = {"shared", "private", "locked"};
constexpr std::array<const char*, 3> kNetworks = {"default", "none", "host"};

json write(const CacheMount& mount) {
  json result{{"type", "cache"},        {"id", mount.id},
              {"target", mount.target}, {"sharing", kSharings[static_cast<std::size_t>(mount.sharing)]},
              {"source", mount.source}, {"readOnly", mount.read_only},
              {"mode", mount.mode},     {"uid", mount.uid},
              {"gid", mount.gid}};
  if (mount.from) result["from"] = write(*mount.from);
  return result;
}

json write(const TmpfsMount& mount) {
  return json{{"type", "tmpfs"}, {"target", mount.target}, {"size", mount.size_bytes}};
}

json write(const SshMount& mount) {
  return json{{"type", "ssh"},      {"id", mount.id},   {"target", mount.target}, {"required", mount.required},
              {"mode", mount.mode}, {"uid", mount.uid}, {"gid", mount.gid}};
}

json write(const Mount& mount) {
  return std::visit([](const auto& one) { return write(one); }, mount);
}

json write(const RunStep& run) {
  json result{{"type", "run"},
              {"argv", run.argv},
              {"env", run.env},
              {"user", run.user},
              {"workingDir", run.working_dir},
              {"secrets", write_all(run.secrets)},
              {"mounts", write_all(run.mounts)},
              {"network", kNetworks[static_cast<std::size_t>(run.network)]}};
  if (run.script) result["script"] = write(*run.script);
  return result;
}

json write(const RemoteSource& remote) {
  return json{{"tree", remote.tree}, {"unpack", remote.unpack}};
}

json write(const CopyStep& copy) {
  return json{{"type", "copy"},
              {"from", write(copy.from)},
              {"sources", copy.sources},
              {"remotes", write_all(copy.remotes)},
              {"inlineSources", write_all(copy.inline_sources)},
              {"destination", copy.destination},
              {"destinationIsFolder", copy.destination_is_folder},
              {"owner", copy.owner},
              {"mode", copy.mode},
              {"exclude", copy.exclude},
              {"parents", copy.parents},
              {"link", copy.link},
              {"unpackArchives", copy.unpack_archives}};
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

json write(const FileTree& tree) {
  json result =
      std::visit(Overloaded{[](const NamedContext& context) {
                              return json{{"type", "context"}, {"name", context.name}};
                            },
                            [](const HttpDownload& download) {
                              return json{{"type", "http"}, {"url", download.url}, {"checksum", download.checksum}};
                            },
                            [](const GitCheckout& checkout) {
                              return json{{"type", "git"},
                                          {"url", checkout.url},
                                          {"ref", checkout.ref},
                                          {"folder", checkout.folder},
                                          {"checksum", checkout.checksum},
                                          {"keepGitDir", checkout.keep_git_dir},
                                          {"submodules", checkout.submodules}};
                            }},
                 tree.origin);
  result["at"] = write(tree.at);
  return result;
}

json write(const HostAlias& host) {
  return json{{"name", host.name}, {"address", host.address}};
}
json write(const Ulimit& limit) {
  return json{{"name", limit.name}, {"soft", limit.soft}, {"hard", limit.hard}};
}
json write(const RunSettings& settings) {
  return json{
      {"hosts", write_all(settings.hosts)}, {"ulimits", write_all(settings.ulimits)}, {"shmSize", settings.shm_bytes}};
}

json write(const Warning& warning) {
  return json{{"rule", warning.rule}, {"message", warning.message}, {"at", write(warning.at)}};
}

json write(const SkippedRule& skipped) {
  return json{{"rule", skipped.rule}, {"firstLine", skipped.first_line}, {"lastLine", skipped.last_line}};
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

json write(const PlanTarget& target) {
  return json{{"stage", target.stage}, {"platform", target.platform}, {"name", target.name}};
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
  cache.sharing = read_name<CacheSharing>(in, "sharing", kSharings);
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
  run.network = read_name<Network>(in, "network", kNetworks);
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

std::string Plan::json() const {
  nlohmann::json document{
      {"version", kVersion},         {"dockerfile", dockerfile},      {"epoch", epoch_s},
      {"images", write_all(images)}, {"trees", write_all(trees)},     {"run", write(run)},
      {"stages", write_all(stages)}, {"targets", write_all(targets)}, {"warnings", write_all(warnings)}};
  if (!skipped_rules.empty()) document["skippedRules"] = write_all(skipped_rules);
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

std::string text_of(const Plan& plan, const Warning& warning) {
  std::string text = warning.at.line == 0 ? std::string() : place(plan, warning.at) + ": ";
  if (!warning.rule.empty()) text += warning.rule + ": ";
  return text + warning.message;
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

namespace {

// What `collect` finds in the RUN steps of the stage: sorted, each once.
template <class Collect>
std::vector<std::string> ids_of(const Plan& plan, int stage, const Collect& collect) {
  std::set<std::string> ids;
  for (const Step& step : plan.stages[static_cast<std::size_t>(stage)].steps) {
    if (const auto* run = std::get_if<RunStep>(&step.action)) collect(*run, ids);
  }
  return {ids.begin(), ids.end()};
}

template <class Kind>
std::vector<std::string> mount_ids(const Plan& plan, int stage) {
  return ids_of(plan, stage, [](const RunStep& run, std::set<std::string>& ids) {
    for (const Mount& mount : run.mounts) {
      if (const auto* one = std::get_if<Kind>(&mount)) ids.insert(one->id);
    }
  });
}

}  // namespace

std::vector<std::string> secret_ids(const Plan& plan, int stage) {
  return ids_of(plan, stage, [](const RunStep& run, std::set<std::string>& ids) {
    for (const SecretMount& mount : run.secrets) ids.insert(mount.id);
  });
}

std::vector<std::string> cache_ids(const Plan& plan, int stage) {
  return mount_ids<CacheMount>(plan, stage);
}

std::vector<std::string> ssh_ids(const Plan& plan, int stage) {
  return mount_ids<SshMount>(plan, stage);
}

}  // namespace imagebuild::api
