#include "cli/cache_text.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/timestamp.h"
#include "cli/step_label.h"
#include "cli/terminal_text.h"

namespace imagebuild::cli {

namespace {

using nlohmann::json;

constexpr std::size_t kShownIdDigits = 12;

const char* kind_text(KeptKind kind) {
  switch (kind) {
    case KeptKind::kResult:
      return "result";
    case KeptKind::kBase:
      return "base";
    case KeptKind::kRunCache:
      break;
  }
  return "run-cache";
}

std::string what_text(const KeptThing& thing) {
  switch (thing.kind) {
    case KeptKind::kResult:
      return printable(thing.title);
    case KeptKind::kBase:
      return "a layer of a base image";
    case KeptKind::kRunCache:
      break;
  }
  return "a cache of RUN --mount=type=cache";
}

// The largest unit is enough.
std::string ago_text(std::int64_t seconds) {
  constexpr std::array<std::pair<std::int64_t, const char*>, 3> kUnits = {
      {{86'400, "d ago"}, {3600, "h ago"}, {60, "m ago"}}};
  for (const auto& [unit, name] : kUnits) {
    if (seconds >= unit) return std::to_string(seconds / unit) + name;
  }
  return "now";
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string line(const std::string& kind, const std::string& id, const std::string& size, const std::string& used,
                 const std::string& what) {
  return padded(kind, 11) + padded(id, 14) + padded(size, 11) + padded(used, 10) + what + "\n";
}

std::string counted(std::uint64_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

json part_json(const StoreUsage::Part& part) {
  return {{"count", part.count}, {"bytes", part.bytes}};
}

std::string dumped(const json& document) {
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string list_text(const std::vector<KeptThing>& things, std::int64_t now_s) {
  std::string text = line("KIND", "ID", "SIZE", "USED", "WHAT");
  for (const KeptThing& thing : things) {
    text += line(kind_text(thing.kind), thing.id.substr(0, kShownIdDigits), bytes_text(thing.size_bytes),
                 ago_text(now_s - thing.used_s), what_text(thing));
  }
  return text;
}

std::string list_json(const std::vector<KeptThing>& things) {
  json list = json::array();
  for (const KeptThing& thing : things) {
    list.push_back({{"kind", kind_text(thing.kind)},
                    {"id", thing.id},
                    {"title", thing.title},
                    {"size", thing.size_bytes},
                    {"lastUsed", time_text(WallTime(std::chrono::seconds(thing.used_s)))}});
  }
  return dumped(list);
}

std::string usage_text(const StoreUsage& usage) {
  const auto row = [](const std::string& name, std::uint64_t bytes, const std::string& what) {
    return padded(name, 13) + padded(bytes_text(bytes), 11) + what + "\n";
  };
  return row("results", usage.results.bytes,
             counted(usage.results.count, "result", "results") + " of steps and stages") +
         row("base images", usage.bases.bytes, counted(usage.bases.count, "layer", "layers")) +
         row("RUN caches", usage.run_caches.bytes,
             counted(usage.run_caches.count, "cache", "caches") + " of RUN --mount=type=cache") +
         padded("total", 13) + bytes_text(usage.bytes()) + "\n";
}

std::string usage_json(const StoreUsage& usage) {
  return dumped({{"results", part_json(usage.results)},
                 {"bases", part_json(usage.bases)},
                 {"runCaches", part_json(usage.run_caches)},
                 {"bytes", usage.bytes()}});
}

std::string prune_text(const PruneOutcome& outcome) {
  return "freed " + bytes_text(outcome.freed_bytes) + "; " + bytes_text(outcome.left_bytes) + " are left\n";
}

std::string prune_json(const PruneOutcome& outcome) {
  return dumped(
      {{"freedBytes", outcome.freed_bytes}, {"leftBytes", outcome.left_bytes}, {"buildRuns", outcome.build_runs}});
}

}  // namespace imagebuild::cli
