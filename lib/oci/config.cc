// ImageConfig as JSON: OCI image-spec config.md, and the members that Docker adds to it.
#include <algorithm>
#include <limits>

#include "oci/json_fields.h"
#include "oci/manifest.h"

namespace imagebuild::oci {

namespace {

using Texts = std::vector<std::string>;

// Go's decoder for Docker's "strslice" takes one string for a list of one.
Result<std::optional<Texts>> parse_command(const JsonFields& fields, const char* name) {
  const Json* value = fields.find(name);
  if (value == nullptr) return std::optional<Texts>();
  if (value->is_string()) {
    ASSIGN_OR_RETURN(std::string only, fields.text(name));
    return std::optional(Texts{std::move(only)});
  }
  ASSIGN_OR_RETURN(Texts texts, fields.texts(name));
  return std::optional(std::move(texts));
}

// Each name once, where it first stood, with the value it had last. A name without '=' has the empty value.
Texts tidy_environment(Texts entries) {
  Texts result;
  std::map<std::string, std::size_t, std::less<>> places;
  for (std::string& entry : entries) {
    std::size_t equals = entry.find('=');
    if (equals == 0 || entry.empty()) continue;  // No program could ask for it.
    if (equals == std::string::npos) {
      equals = entry.size();
      entry += '=';
    }
    const auto [place, added] = places.emplace(entry.substr(0, equals), result.size());
    if (added) {
      result.push_back(std::move(entry));
    } else {
      result[place->second] = std::move(entry);
    }
  }
  return result;
}

Result<std::optional<Healthcheck>> parse_healthcheck(const JsonFields& config) {
  const Json* value = config.find("Healthcheck");
  if (value == nullptr) return std::optional<Healthcheck>();
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(*value, "config.Healthcheck"));
  Healthcheck check;
  ASSIGN_OR_RETURN(check.test, fields.texts("Test"));
  ASSIGN_OR_RETURN(check.interval_ns, fields.number("Interval"));
  ASSIGN_OR_RETURN(check.timeout_ns, fields.number("Timeout"));
  ASSIGN_OR_RETURN(check.start_period_ns, fields.number("StartPeriod"));
  ASSIGN_OR_RETURN(check.start_interval_ns, fields.number("StartInterval"));
  ASSIGN_OR_RETURN(const std::int64_t retries, fields.number("Retries"));
  if (retries < 0 || retries > std::numeric_limits<int>::max())
    return fields.wrong("Retries", "a possible number of retries");
  for (const std::int64_t time :
       {check.interval_ns, check.timeout_ns, check.start_period_ns, check.start_interval_ns}) {
    if (time < 0) return Error{ErrorCode::kCorrupt, "config.Healthcheck has a negative duration"};
  }
  check.retries = static_cast<int>(retries);
  return std::optional(std::move(check));
}

Result<RunConfig> parse_run_config(const JsonFields& image) {
  RunConfig config;
  const Json* value = image.find("config");
  if (value == nullptr) return config;
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(*value, "config"));
  ASSIGN_OR_RETURN(config.user, fields.text("User"));
  ASSIGN_OR_RETURN(Texts env, fields.texts("Env"));
  config.env = tidy_environment(std::move(env));
  ASSIGN_OR_RETURN(config.entrypoint, parse_command(fields, "Entrypoint"));
  ASSIGN_OR_RETURN(config.cmd, parse_command(fields, "Cmd"));
  ASSIGN_OR_RETURN(config.volumes, fields.keys("Volumes"));
  ASSIGN_OR_RETURN(config.exposed_ports, fields.keys("ExposedPorts"));
  ASSIGN_OR_RETURN(config.working_dir, fields.text("WorkingDir"));
  ASSIGN_OR_RETURN(config.labels, fields.text_map("Labels"));
  ASSIGN_OR_RETURN(config.stop_signal, fields.text("StopSignal"));
  ASSIGN_OR_RETURN(config.healthcheck, parse_healthcheck(fields));
  ASSIGN_OR_RETURN(config.shell, fields.texts("Shell"));
  ASSIGN_OR_RETURN(config.on_build, fields.texts("OnBuild"));
  return config;
}

Result<Platform> parse_platform(const JsonFields& image) {
  ASSIGN_OR_RETURN(std::string os, image.text("os"));
  ASSIGN_OR_RETURN(std::string architecture, image.text("architecture"));
  ASSIGN_OR_RETURN(std::string variant, image.text("variant"));
  const Platform host = Platform::host();
  if (os.empty()) os = host.os();
  if (architecture.empty()) {
    architecture = host.architecture();
    variant = host.variant();
  }
  Result<Platform> platform = Platform::from_parts(os, architecture, variant);
  if (!platform.ok()) return Error{ErrorCode::kCorrupt, platform.error().message};
  return platform;
}

Result<std::vector<Digest>> parse_diff_ids(const JsonFields& image) {
  std::vector<Digest> result;
  const Json* value = image.find("rootfs");
  if (value == nullptr) return image.wrong("rootfs", "an object, but it is missing");
  ASSIGN_OR_RETURN(const JsonFields rootfs, JsonFields::of(*value, "rootfs"));
  ASSIGN_OR_RETURN(const std::string type, rootfs.text("type"));
  if (type != "layers") {
    return Error{ErrorCode::kUnsupported,
                 "a root file system of the type '" + type + "' is not supported, only 'layers'"};
  }
  const Json* list = rootfs.find("diff_ids");
  if (list == nullptr) return result;
  if (!list->is_array()) return rootfs.wrong("diff_ids", "a list of digests");
  for (const Json& item : *list) {
    ASSIGN_OR_RETURN(Digest digest, json_digest(item, "rootfs.diff_ids[" + std::to_string(result.size()) + "]"));
    result.push_back(std::move(digest));
  }
  return result;
}

Result<std::vector<History>> parse_history(const JsonFields& image) {
  std::vector<History> result;
  const Json* list = image.find("history");
  if (list == nullptr) return result;
  if (!list->is_array()) return image.wrong("history", "a list");
  for (const Json& item : *list) {
    ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(item, "history[" + std::to_string(result.size()) + "]"));
    History entry;
    ASSIGN_OR_RETURN(entry.created, fields.text("created"));
    ASSIGN_OR_RETURN(entry.created_by, fields.text("created_by"));
    ASSIGN_OR_RETURN(entry.comment, fields.text("comment"));
    ASSIGN_OR_RETURN(entry.author, fields.text("author"));
    ASSIGN_OR_RETURN(entry.empty_layer, fields.flag("empty_layer"));
    result.push_back(std::move(entry));
  }
  return result;
}

void put(Json& object, const char* name, const std::string& value) {
  if (!value.empty()) object[name] = value;
}
void put(Json& object, const char* name, const Texts& values) {
  if (!values.empty()) object[name] = values;
}
void put(Json& object, const char* name, std::int64_t value) {
  if (value != 0) object[name] = value;
}

// {"80/tcp": {}}
void put_set(Json& object, const char* name, const Texts& keys) {
  for (const std::string& key : keys) object[name][key] = Json::object();
}

Json healthcheck_json(const Healthcheck& check) {
  Json object = Json::object();
  put(object, "Test", check.test);
  put(object, "Interval", check.interval_ns);
  put(object, "Timeout", check.timeout_ns);
  put(object, "StartPeriod", check.start_period_ns);
  put(object, "StartInterval", check.start_interval_ns);
  put(object, "Retries", std::int64_t{check.retries});
  return object;
}

Json run_config_json(const RunConfig& config) {
  Json object = Json::object();
  put(object, "User", config.user);
  put(object, "Env", config.env);
  if (config.entrypoint) put(object, "Entrypoint", *config.entrypoint);
  if (config.cmd) put(object, "Cmd", *config.cmd);
  put_set(object, "Volumes", config.volumes);
  put_set(object, "ExposedPorts", config.exposed_ports);
  put(object, "WorkingDir", config.working_dir);
  if (!config.labels.empty()) object["Labels"] = config.labels;
  put(object, "StopSignal", config.stop_signal);
  if (config.healthcheck) object["Healthcheck"] = healthcheck_json(*config.healthcheck);
  put(object, "Shell", config.shell);
  put(object, "OnBuild", config.on_build);
  return object;
}

Json history_json(const std::vector<History>& history) {
  Json list = Json::array();
  for (const History& entry : history) {
    Json object = Json::object();
    put(object, "created", entry.created);
    put(object, "created_by", entry.created_by);
    put(object, "comment", entry.comment);
    put(object, "author", entry.author);
    if (entry.empty_layer) object["empty_layer"] = true;
    list.push_back(std::move(object));
  }
  return list;
}

}  // namespace

Result<ImageConfig> ImageConfig::parse(std::string_view json) {
  ASSIGN_OR_RETURN(const Json document, parse_json_object(json, "the image config", kMaxManifestBytes));
  ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(document, ""));
  ImageConfig image;
  ASSIGN_OR_RETURN(image.created, fields.text("created"));
  ASSIGN_OR_RETURN(image.author, fields.text("author"));
  ASSIGN_OR_RETURN(image.platform, parse_platform(fields));
  ASSIGN_OR_RETURN(image.config, parse_run_config(fields));
  ASSIGN_OR_RETURN(image.diff_ids, parse_diff_ids(fields));
  ASSIGN_OR_RETURN(image.history, parse_history(fields));
  if (!image.history.empty()) image.align_history();
  return image;
}

std::string ImageConfig::json() const {
  Json diffs = Json::array();
  for (const Digest& digest : diff_ids) diffs.push_back(digest.str());
  Json object = {{"os", platform.os()},
                 {"architecture", platform.architecture()},
                 {"config", run_config_json(config)},
                 {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(diffs)}}}};
  put(object, "variant", platform.variant());
  put(object, "created", created);
  put(object, "author", author);
  if (!history.empty()) object["history"] = history_json(history);
  return json_text(object);
}

void ImageConfig::align_history() {
  const auto is_layer = [](const History& entry) { return !entry.empty_layer; };
  auto layers = static_cast<std::size_t>(std::count_if(history.begin(), history.end(), is_layer));
  for (History& entry : history) {
    if (layers <= diff_ids.size()) break;
    if (entry.empty_layer) continue;
    entry.empty_layer = true;
    --layers;
  }
  for (; layers < diff_ids.size(); ++layers) {
    history.push_back(History{.comment = "missing from the base image's history"});
  }
}

}  // namespace imagebuild::oci
