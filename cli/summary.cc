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

// Of the stages that no image is built on: what a single-stage build would have shipped.
std::optional<LargestStage> largest_stage(const api::Plan& plan, const std::vector<api::StageReport>& reports) {
  std::vector<int> chain;
  for (const api::PlanTarget& target : plan.targets) {
    for (const int stage : api::base_chain(plan, target.stage)) chain.push_back(stage);
  }
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

// What an image is, and how it compares.
std::string image_line(const api::Plan& plan, const std::vector<api::StageReport>& reports,
                       const builder::Published& image, bool several) {
  std::uint64_t exported_bytes = 0;
  for (const api::StageReport& report : reports) exported_bytes += report.export_bytes;
  std::string text = "image " + (several ? "of target '" + image.target + "' " : std::string()) +
                     bytes_text(image.base_bytes + image.new_bytes) + " (base " + bytes_text(image.base_bytes) + " + " +
                     bytes_text(image.new_bytes) + " new) · exported " + bytes_text(exported_bytes);
  const std::optional<LargestStage> largest = largest_stage(plan, reports);
  // Content with content: what a registry stores is compressed, what lies in a stage is not.
  std::uint64_t content_bytes = 0;
  for (const builder::PlatformImage& platform : image.platforms) {
    content_bytes = std::max(content_bytes, reports[static_cast<std::size_t>(platform.stage)].root_bytes);
  }
  if (largest && content_bytes > 0 && largest->bytes > content_bytes) {
    text += " · " + bytes_text(content_bytes) + " of files, " +
            times_text(static_cast<double>(largest->bytes) / static_cast<double>(content_bytes)) +
            " smaller than stage '" + stage_title(plan, largest->stage) + "' (" + bytes_text(largest->bytes) + ")";
  }
  text += "\n";
  if (!image.is_index()) return text;
  for (const builder::PlatformImage& platform : image.platforms) {
    text += platform.wanted.str() + " " + platform.descriptor.digest.str() + "\n";
  }
  return text;
}

nlohmann::ordered_json metadata_of(const builder::Published& image, const std::vector<oci::Reference>& tags) {
  std::string names;
  for (const oci::Reference& tag : tags) names += (names.empty() ? "" : ",") + tag.str();
  nlohmann::ordered_json json;
  if (!image.is_index()) {
    json["containerimage.config.digest"] = image.platforms.front().manifest.config.digest.str();
  }
  json["containerimage.descriptor"] = {{"mediaType", image.descriptor.media_type},
                                       {"digest", image.descriptor.digest.str()},
                                       {"size", image.descriptor.size_bytes}};
  json["containerimage.digest"] = image.descriptor.digest.str();
  if (!names.empty()) json["image.name"] = names;
  return json;
}

}  // namespace

std::vector<oci::Reference> tags_of(const builder::Published& image, const builder::TargetTags& tags) {
  const auto found = tags.find(image.target);
  return found == tags.end() ? std::vector<oci::Reference>() : found->second;
}

std::string image_id(const builder::Published& image) {
  return image.is_index() ? image.descriptor.digest.str() : image.platforms.front().manifest.config.digest.str();
}

std::string summary(const api::Plan& plan, const std::vector<api::StageReport>& reports,
                    const std::vector<builder::Published>& images, const builder::TargetTags& tags,
                    const std::vector<builder::Output>& outputs) {
  const bool pushed = std::ranges::any_of(
      outputs, [](const builder::Output& output) { return output.kind == builder::Output::Kind::kRegistry; });
  std::string written;
  for (const builder::Output& output : outputs) written += output_line(output);
  std::string text;
  for (const builder::Published& image : images) {
    text += image_line(plan, reports, image, images.size() > 1);
    if (pushed) {
      for (const oci::Reference& tag : tags_of(image, tags)) text += "pushed " + tag.familiar() + "\n";
    }
    if (images.size() == 1) text += written;
    text += image.descriptor.digest.str() + "\n";
  }
  return images.size() == 1 ? text : text + written;
}

std::string metadata_json(const std::vector<builder::Published>& images, const builder::TargetTags& tags) {
  if (images.size() == 1) return metadata_of(images.front(), tags_of(images.front(), tags)).dump(2) + "\n";
  nlohmann::ordered_json json;
  for (const builder::Published& image : images) json[image.target] = metadata_of(image, tags_of(image, tags));
  return json.dump(2) + "\n";
}

}  // namespace imagebuild::cli
