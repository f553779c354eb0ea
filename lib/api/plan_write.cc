// A plan as JSON.
#include <nlohmann/json.hpp>

#include "api/plan.h"
#include "api/plan_names.h"
#include "base/overloaded.h"

namespace imagebuild::api {

namespace {

using nlohmann::json;

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

json write(const CacheMount& mount) {
  json result{{"type", "cache"},        {"id", mount.id},
              {"target", mount.target}, {"sharing", kSharingNames[static_cast<std::size_t>(mount.sharing)]},
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
              {"network", kNetworkNames[static_cast<std::size_t>(run.network)]}};
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
  json result{{"name", stage.name},
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
  if (stage.cache_layers) result["cacheLayers"] = true;
  return result;
}

json write(const PlanTarget& target) {
  return json{{"stage", target.stage}, {"platform", target.platform}, {"name", target.name}};
}

}  // namespace

std::string Plan::json() const {
  nlohmann::json document{
      {"version", kVersion},         {"dockerfile", dockerfile},      {"epoch", epoch_s},
      {"images", write_all(images)}, {"trees", write_all(trees)},     {"run", write(run)},
      {"stages", write_all(stages)}, {"targets", write_all(targets)}, {"warnings", write_all(warnings)}};
  if (epoch_is_given) document["epochIsGiven"] = true;
  if (!skipped_rules.empty()) document["skippedRules"] = write_all(skipped_rules);
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace imagebuild::api
