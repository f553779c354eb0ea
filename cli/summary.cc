#include "cli/summary.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/step_label.h"

namespace imagebuild::cli {

namespace {

struct LargestStage {
  int stage = 0;
  std::uint64_t bytes = 0;
};

// Of the stages that the image is not built on: what a single-stage build would have shipped.
std::optional<LargestStage> largest_stage(const api::Plan& plan, const std::vector<api::StageReport>& reports) {
  const std::vector<int> chain = api::base_chain(plan, plan.target);
  std::optional<LargestStage> largest;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (std::ranges::find(chain, static_cast<int>(i)) != chain.end()) continue;
    if (reports[i].root_bytes > (largest ? largest->bytes : 0)) {
      largest = LargestStage{static_cast<int>(i), reports[i].root_bytes};
    }
  }
  return largest;
}

std::string times_text(double times) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), times < 10 ? "%.1f×" : "%.0f×", times);
  return text.data();
}

std::string output_line(const builder::Output& output) {
  switch (output.kind) {
    case builder::Output::Kind::kRegistry:
      return "";
    case builder::Output::Kind::kOciLayout:
      return "wrote OCI layout " + output.destination.string() + "\n";
    case builder::Output::Kind::kOciArchive:
      return "wrote OCI archive " + output.destination.string() + "\n";
    case builder::Output::Kind::kDockerArchive:
      return "wrote Docker archive " + output.destination.string() + "\n";
  }
  return "";
}

}  // namespace

std::string summary(const api::Plan& plan, const std::vector<api::StageReport>& reports,
                    const builder::Published& image, const std::vector<oci::Reference>& tags,
                    const std::vector<builder::Output>& outputs) {
  const std::uint64_t image_bytes = image.base_bytes + image.new_bytes;
  std::uint64_t exported_bytes = 0;
  for (const api::StageReport& report : reports) exported_bytes += report.export_bytes;
  std::string text = "image " + bytes_text(image_bytes) + " (base " + bytes_text(image.base_bytes) + " + " +
                     bytes_text(image.new_bytes) + " new) · exported " + bytes_text(exported_bytes);
  const std::optional<LargestStage> largest = largest_stage(plan, reports);
  // Content with content: what a registry stores is compressed, what lies in a stage is not.
  const std::uint64_t content_bytes = reports[static_cast<std::size_t>(plan.target)].root_bytes;
  if (largest && content_bytes > 0 && largest->bytes > content_bytes) {
    text += " · " + bytes_text(content_bytes) + " of files, " +
            times_text(static_cast<double>(largest->bytes) / static_cast<double>(content_bytes)) +
            " smaller than stage '" + stage_title(plan, largest->stage) + "' (" + bytes_text(largest->bytes) + ")";
  }
  text += "\n";
  for (const builder::Output& output : outputs) {
    if (output.kind != builder::Output::Kind::kRegistry) {
      text += output_line(output);
      continue;
    }
    for (const oci::Reference& tag : tags) text += "pushed " + tag.familiar() + "\n";
  }
  return text + image.descriptor.digest.str() + "\n";
}

std::string metadata_json(const builder::Published& image, const std::vector<oci::Reference>& tags) {
  std::string names;
  for (const oci::Reference& tag : tags) names += (names.empty() ? "" : ",") + tag.str();
  nlohmann::ordered_json json = {{"containerimage.config.digest", image.manifest.config.digest.str()},
                                 {"containerimage.descriptor",
                                  {{"mediaType", image.descriptor.media_type},
                                   {"digest", image.descriptor.digest.str()},
                                   {"size", image.descriptor.size_bytes}}},
                                 {"containerimage.digest", image.descriptor.digest.str()}};
  if (!names.empty()) json["image.name"] = names;
  return json.dump(2) + "\n";
}

}  // namespace imagebuild::cli
