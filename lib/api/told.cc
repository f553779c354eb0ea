#include "api/told.h"

#include <nlohmann/json.hpp>

#include "api/failure_json.h"
#include "api/json_reader.h"

namespace imagebuild::api {

namespace {

using nlohmann::json;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json write(const Told& told) {
  json result{{"version", Told::kVersion}, {"step", told.step}, {"done", told.done}};
  if (told.failure) result["failure"] = failure_json(*told.failure);
  if (told.export_bytes != 0) result["exportBytes"] = told.export_bytes;
  if (!told.cached.empty()) result["cached"] = told.cached;
  for (const auto& [stage, what] : told.changed) result["changed"].push_back({{"stage", stage}, {"what", what}});
  if (told.source) result["source"] = {{"revision", told.source->revision}, {"digest", told.source->digest}};
  if (told.image) {
    result["image"] = {{"reference", told.image->reference},
                       {"digest", told.image->digest},
                       {"sizeBytes", told.image->size_bytes},
                       {"layers", told.image->layers}};
  }
  for (const Warning& warning : told.warnings) {
    result["warnings"].push_back({{"rule", warning.rule},
                                  {"message", warning.message},
                                  {"line", warning.at.line},
                                  {"column", warning.at.column}});
  }
  if (!told.plan_json.empty()) result["plan"] = told.plan_json;
  return result;
}

ImageStatus read_image(JsonReader in) {
  ImageStatus image;
  image.reference = in.text("reference");
  image.digest = in.text("digest");
  image.size_bytes = static_cast<std::int64_t>(in.size("sizeBytes"));
  image.layers = static_cast<std::int64_t>(in.size("layers"));
  return image;
}

void read_cached(JsonReader& in, std::vector<int>& cached) {
  in.each("cached", [&](const json& element, const std::string&) {
    const bool good = element.is_number_unsigned() && element.get<std::uint64_t>() < 1'000'000;
    if (!good) return in.fail("has a cached stage that is no index");
    cached.push_back(element.get<int>());
  });
}

void read_changed(JsonReader& in, std::map<int, std::string>& changed) {
  in.each_object("changed", [&](JsonReader& one) {
    const std::int64_t stage = one.number("stage");
    if (stage < 0 || stage >= 1'000'000) in.fail("has a changed stage that is no index");
    changed[static_cast<int>(stage)] = one.text("what");
  });
}

void read_warnings(JsonReader& in, std::vector<Warning>& warnings) {
  in.each_object("warnings", [&](JsonReader& warning) {
    Warning& read = warnings.emplace_back();
    read.rule = warning.text("rule");
    read.message = warning.text("message");
    read.at.line = static_cast<int>(warning.number("line"));
    read.at.column = static_cast<int>(warning.number("column"));
  });
}

Told read(JsonReader in) {
  Told told;
  if (in.number("version") != Told::kVersion) in.fail("has another version than this program reads");
  told.step = static_cast<int>(in.number("step"));
  told.done = in.flag("done");
  if (in.has("failure")) told.failure = read_failure(in.object("failure"));
  if (in.has("exportBytes")) told.export_bytes = in.size("exportBytes");
  if (in.has("cached")) read_cached(in, told.cached);
  if (in.has("changed")) read_changed(in, told.changed);
  if (in.has("source")) {
    JsonReader source = in.object("source");
    told.source = SourceStatus{source.text("revision"), source.text("digest")};
  }
  if (in.has("image")) told.image = read_image(in.object("image"));
  if (in.has("warnings")) read_warnings(in, told.warnings);
  if (in.has("plan")) told.plan_json = in.text("plan");
  return told;
}

}  // namespace

std::string Told::json() const {
  return dump(write(*this));
}

std::string Told::short_json(std::size_t max_bytes) const {
  Told cut = *this;
  cut.plan_json.clear();
  std::string text = cut.json();
  while (text.size() > max_bytes && !cut.changed.empty()) {
    cut.changed.erase(std::prev(cut.changed.end()));
    text = cut.json();
  }
  while (text.size() > max_bytes && !cut.warnings.empty()) {
    cut.warnings.pop_back();
    text = cut.json();
  }
  // The newest lines of the log say most.
  while (text.size() > max_bytes && cut.failure && !cut.failure->log_tail.empty()) {
    cut.failure->log_tail.erase(cut.failure->log_tail.begin());
    text = cut.json();
  }
  for (std::size_t room = max_bytes; text.size() > max_bytes && cut.failure && room >= 16; room /= 2) {
    cut.failure->message = shortened(failure->message, room);
    text = cut.json();
  }
  return text;
}

Result<Told> Told::parse(std::string_view text) {
  const nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) return Error{ErrorCode::kCorrupt, "what a builder told is not JSON"};
  std::optional<Error> failure;
  Told told = read(JsonReader(document, "told", failure));
  if (failure) return *failure;
  return told;
}

}  // namespace imagebuild::api
