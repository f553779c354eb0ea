#include <array>
#include <ctime>
#include <set>
#include <utility>

#include "api/volume.h"
#include "builder/publish/publish.h"

namespace imagebuild::builder {

namespace media_type = oci::media_type;

namespace {

// RFC 3339 in UTC.
std::string timestamp(std::int64_t epoch_s) {
  const std::time_t time = epoch_s;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

// The manifest is an OCI one, so Docker's layers take OCI's names for the same formats.
std::string oci_layer_type(const std::string& type) {
  if (type == media_type::kDockerLayerGzip) return std::string(media_type::kOciLayerGzip);
  if (type == media_type::kDockerLayer) return std::string(media_type::kOciLayer);
  return type;
}

// Some images have no history, or one that is too short: the layers then get entries of their own, since Docker
// refuses an image whose history does not match its layers.
void complete_history(oci::ImageConfig& config) {
  std::size_t described = 0;
  for (const oci::History& entry : config.history) described += entry.empty_layer ? 0 : 1;
  if (described > config.diff_ids.size()) {
    config.history.clear();
    described = 0;
  }
  for (; described < config.diff_ids.size(); ++described) {
    config.history.push_back(oci::History{.created = config.created, .comment = "layer of the base image"});
  }
}

struct Image {
  oci::ImageConfig config;
  std::vector<ImageLayer> layers;
};

Result<Image> start_from(const api::BaseImage* base) {
  Image image;
  if (base == nullptr) return image;
  const std::string where = "image '" + base->name + "'";
  Result<oci::ImageConfig> config = oci::ImageConfig::parse(base->config_json);
  if (!config.ok()) return config.error().in(where);
  Result<oci::Manifest> manifest = oci::Manifest::parse(base->manifest_json);
  if (!manifest.ok()) return manifest.error().in(where);
  image.config = std::move(*config);
  complete_history(image.config);
  for (oci::Descriptor& layer : manifest->layers) {
    ImageLayer entry{layer, "", layer};
    entry.blob.media_type = oci_layer_type(layer.media_type);
    image.layers.push_back(std::move(entry));
  }
  return image;
}

Status add_stage(const api::Plan& plan, int stage_index, const api::StageReport& report, Image& image) {
  const api::PlanStage& stage = plan.stages[static_cast<std::size_t>(stage_index)];
  auto layer = report.layers.begin();
  for (std::size_t step = 0; step < stage.steps.size(); ++step) {
    oci::History entry;
    entry.created = timestamp(plan.epoch_s);
    entry.created_by = stage.steps[step].created_by;
    entry.comment = "imagebuild";
    entry.empty_layer = layer == report.layers.end() || layer->step != static_cast<int>(step);
    image.config.history.push_back(std::move(entry));
    if (image.config.history.back().empty_layer) continue;
    ASSIGN_OR_RETURN(oci::Digest diff_id, oci::Digest::parse(layer->diff_id));
    ASSIGN_OR_RETURN(oci::Digest digest, oci::Digest::parse(layer->digest));
    image.config.diff_ids.push_back(std::move(diff_id));
    const oci::Descriptor blob{layer->media_type, std::move(digest), layer->size_bytes, {}, {}};
    image.layers.push_back(ImageLayer{blob, api::volume::stage_folder(stage_index) + "/" + layer->file, blob});
    ++layer;
  }
  if (layer == report.layers.end()) return ok();
  return Error{ErrorCode::kCorrupt,
               "the report of stage '" + stage.name + "' has a layer for a step that it does not have"};
}

Result<PlatformImage> assemble_platform(const api::Plan& plan, const api::PlanTarget& wanted,
                                        const std::vector<api::StageReport>& reports,
                                        const std::map<std::string, std::string>& annotations) {
  const api::PlanStage& target = plan.stages[static_cast<std::size_t>(wanted.stage)];
  ASSIGN_OR_RETURN(Image image, start_from(api::root_image(plan, wanted.stage)));
  for (const int stage : api::base_chain(plan, wanted.stage)) {
    RETURN_IF_ERROR(add_stage(plan, stage, reports[static_cast<std::size_t>(stage)], image));
  }
  image.config.created = timestamp(plan.epoch_s);
  image.config.author = target.author;
  image.config.config = target.config;
  ASSIGN_OR_RETURN(image.config.platform, oci::Platform::parse(target.platform));
  ASSIGN_OR_RETURN(oci::Platform platform, oci::Platform::parse(wanted.platform));

  std::string config_json = image.config.json();
  PlatformImage made{
      .stage = wanted.stage,
      .wanted = std::move(platform),
      .manifest = {std::string(media_type::kOciManifest),
                   oci::Descriptor{
                       std::string(media_type::kOciConfig), oci::Digest::of(config_json), config_json.size(), {}, {}},
                   {},
                   annotations},
      .manifest_json = {},
      .layers = std::move(image.layers),
      .descriptor = {std::string(media_type::kOciManifest), oci::Digest::of(""), 0, {}, {}},
      .config_json = std::move(config_json)};
  for (const ImageLayer& layer : made.layers) made.manifest.layers.push_back(layer.blob);
  made.manifest_json = made.manifest.json();
  made.descriptor.digest = oci::Digest::of(made.manifest_json);
  made.descriptor.size_bytes = made.manifest_json.size();
  return made;
}

// Calls for every layer of every platform, but for a layer that an earlier platform has.
template <class Visit>
void each_layer(const std::vector<PlatformImage>& platforms, const Visit& visit) {
  std::set<oci::Digest> earlier;
  for (const PlatformImage& image : platforms) {
    for (const ImageLayer& layer : image.layers) {
      if (!earlier.contains(layer.blob.digest)) visit(layer);
    }
    for (const ImageLayer& layer : image.layers) earlier.insert(layer.blob.digest);
  }
}

// OCI image-spec, image-index.md.
void add_index(const std::map<std::string, std::string>& annotations, Published& published) {
  oci::Index index{std::string(media_type::kOciIndex), {}, annotations};
  for (const PlatformImage& image : published.platforms) {
    oci::Descriptor entry = image.descriptor;
    entry.platform = image.wanted;
    index.manifests.push_back(std::move(entry));
  }
  published.index_json = index.json();
  published.descriptor = {index.media_type, oci::Digest::of(published.index_json), published.index_json.size(), {}, {}};
}

}  // namespace

std::uint64_t Published::size_bytes() const {
  std::uint64_t bytes = base_bytes + new_bytes;
  std::set<oci::Digest> configs;
  for (const PlatformImage& image : platforms) {
    if (configs.insert(image.manifest.config.digest).second) bytes += image.config_json.size();
  }
  return bytes;
}

std::size_t Published::layer_count() const {
  std::size_t count = 0;
  each_layer(platforms, [&](const ImageLayer&) { ++count; });
  return count;
}

Result<std::vector<Published>> assemble(const api::Plan& plan, const std::vector<api::StageReport>& reports,
                                        const std::map<std::string, std::string>& annotations) {
  std::vector<Published> all;
  for (const std::string& name : api::target_names(plan)) {
    std::vector<PlatformImage> platforms;
    for (const api::PlanTarget& target : api::targets_named(plan, name)) {
      ASSIGN_OR_RETURN(PlatformImage image, assemble_platform(plan, target, reports, annotations));
      platforms.push_back(std::move(image));
    }
    oci::Descriptor first = platforms.front().descriptor;
    Published published{name, std::move(platforms), {}, std::move(first)};
    if (published.platforms.size() > 1) add_index(annotations, published);
    each_layer(published.platforms, [&](const ImageLayer& layer) {
      (layer.file.empty() ? published.base_bytes : published.new_bytes) += layer.blob.size_bytes;
    });
    all.push_back(std::move(published));
  }
  return all;
}

}  // namespace imagebuild::builder
