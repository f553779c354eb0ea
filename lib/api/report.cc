#include "api/report.h"

#include <array>
#include <nlohmann/json.hpp>

#include "api/failure_json.h"
#include "api/json_reader.h"
#include "base/overloaded.h"

namespace imagebuild::api {

namespace {

using nlohmann::json;

struct CodeName {
  ErrorCode code;
  std::string_view name;
};
constexpr std::array kCodeNames = {
    CodeName{ErrorCode::kInvalidInput, "InvalidInput"},
    CodeName{ErrorCode::kUnsupported, "Unsupported"},
    CodeName{ErrorCode::kNotFound, "NotFound"},
    CodeName{ErrorCode::kDenied, "Denied"},
    CodeName{ErrorCode::kFailed, "Failed"},
    CodeName{ErrorCode::kLimit, "Limit"},
    CodeName{ErrorCode::kCorrupt, "Corrupt"},
    CodeName{ErrorCode::kUnavailable, "Unavailable"},
    CodeName{ErrorCode::kExhausted, "Exhausted"},
    CodeName{ErrorCode::kCancelled, "Cancelled"},
    CodeName{ErrorCode::kInternal, "Internal"},
};

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json write(const LayerReport& layer) {
  json result{{"step", layer.step},
              {"file", layer.file},
              {"mediaType", layer.media_type},
              {"diffId", layer.diff_id},
              {"digest", layer.digest},
              {"size", layer.size_bytes},
              {"uncompressedSize", layer.uncompressed_bytes}};
  if (!layer.private_keys.empty()) result["privateKeys"] = layer.private_keys;
  return result;
}

json write(const StageReport& report) {
  json layers = json::array();
  for (const LayerReport& layer : report.layers) layers.push_back(write(layer));
  json result{{"version", StageReport::kVersion},
              {"stage", report.stage},
              {"layers", layers},
              {"exportBytes", report.export_bytes},
              {"rootBytes", report.root_bytes}};
  if (report.cached_steps != 0) result["cachedSteps"] = report.cached_steps;
  if (report.failure) result["failure"] = failure_json(*report.failure);
  return result;
}

LayerReport read_layer(JsonReader& in) {
  LayerReport layer;
  layer.step = static_cast<int>(in.number("step"));
  layer.file = in.text("file");
  layer.media_type = in.text("mediaType");
  layer.diff_id = in.text("diffId");
  layer.digest = in.text("digest");
  layer.size_bytes = in.size("size");
  layer.uncompressed_bytes = in.size("uncompressedSize");
  if (in.has("privateKeys")) layer.private_keys = in.texts("privateKeys");
  if (layer.private_keys.size() > kMaxPrivateKeys) in.fail("names too many private keys");
  for (const std::string& digest : {layer.diff_id, layer.digest}) {
    if (!oci::Digest::parse(digest).ok()) in.fail("has the broken digest '" + digest + "'");
  }
  return layer;
}

StageReport read_report(JsonReader in) {
  StageReport report;
  if (in.number("version") != StageReport::kVersion) in.fail("has another version than this program reads");
  report.stage = in.text("stage");
  in.each_object("layers", [&](JsonReader& layer) { report.layers.push_back(read_layer(layer)); });
  report.export_bytes = in.size("exportBytes");
  report.root_bytes = in.size("rootBytes");
  if (in.has("cachedSteps")) report.cached_steps = static_cast<int>(in.size("cachedSteps"));
  if (in.has("failure")) report.failure = read_failure(in.object("failure"));
  return report;
}

}  // namespace

std::string StageReport::json() const {
  return dump(write(*this));
}

Result<StageReport> StageReport::parse(std::string_view text) {
  const nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) return Error{ErrorCode::kCorrupt, "the stage's report is not JSON"};
  std::optional<Error> failure;
  StageReport report = read_report(JsonReader(document, "report", failure));
  if (failure) return *failure;
  return report;
}

std::string event_json(const StageEvent& event) {
  return dump(std::visit(
      Overloaded{
          [](const StepStarted& started) {
            return json{{"event", "stepStarted"}, {"step", started.step}};
          },
          [](const StepOutput& output) {
            return json{{"event", "output"}, {"step", output.step}, {"stream", output.stream}, {"data", output.data}};
          },
          [](const StepDone& done) {
            json result{{"event", "stepDone"}, {"step", done.step}, {"layerBytes", done.layer_bytes}};
            if (done.cached) result["cached"] = true;
            return result;
          },
          [](const StageDone& done) {
            return json{{"event", "stageDone"}, {"report", write(done.report)}};
          }},
      event));
}

Result<StageEvent> parse_event(std::string_view text) {
  const nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) return Error{ErrorCode::kCorrupt, "the stage's event is not JSON"};
  std::optional<Error> failure;
  JsonReader in(document, "event", failure);
  const std::string name = in.text("event");
  StageEvent event;
  if (name == "stepStarted") {
    event = StepStarted{static_cast<int>(in.number("step"))};
  } else if (name == "output") {
    event = StepOutput{static_cast<int>(in.number("step")), static_cast<int>(in.number("stream")), in.text("data")};
  } else if (name == "stepDone") {
    event = StepDone{static_cast<int>(in.number("step")), in.size("layerBytes"), in.has("cached") && in.flag("cached")};
  } else if (name == "stageDone") {
    event = StageDone{read_report(in.object("report"))};
  } else {
    in.fail("has the unknown name '" + name + "'");
  }
  if (failure) return *failure;
  return event;
}

std::string_view error_code_name(ErrorCode code) {
  for (const CodeName& entry : kCodeNames) {
    if (entry.code == code) return entry.name;
  }
  return "Internal";
}

ErrorCode parse_error_code(std::string_view name) {
  for (const CodeName& entry : kCodeNames) {
    if (entry.name == name) return entry.code;
  }
  return ErrorCode::kInternal;
}

}  // namespace imagebuild::api
