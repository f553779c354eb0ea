#include "cli/target_spec.h"

#include <algorithm>
#include <set>
#include <utility>

namespace imagebuild::cli {

namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidInput, std::move(message)};
}

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

}  // namespace

Result<oci::Reference> parse_image_name(const std::string& option, std::string_view text) {
  ASSIGN_OR_RETURN(oci::Reference name, oci::Reference::parse(text).in(option));
  if (name.digest()) return invalid(option + ": " + in_quotes(text) + " names a digest; give a tag instead");
  return name;
}

Result<TargetSpec> parse_target(std::string_view text) {
  const std::size_t equals = text.find('=');
  TargetSpec target{std::string(text.substr(0, equals)), {}};
  if (target.stage.empty()) {
    return invalid("--target: " + in_quotes(text) + " names no stage; write --target STAGE or --target STAGE=IMAGE");
  }
  if (equals == std::string_view::npos) return target;
  const std::string_view image = text.substr(equals + 1);
  if (image.empty()) return invalid("--target: no image is named after '=' in " + in_quotes(text));
  ASSIGN_OR_RETURN(target.image, parse_image_name("--target", image));
  return target;
}

std::vector<std::string> stages_of(const std::vector<TargetSpec>& targets) {
  std::vector<std::string> stages;
  for (const TargetSpec& target : targets) {
    if (std::ranges::find(stages, target.stage) == stages.end()) stages.push_back(target.stage);
  }
  return stages;
}

Result<builder::TargetTags> tags_by_target(const std::vector<TargetSpec>& targets,
                                           const std::vector<oci::Reference>& tags, bool named) {
  builder::TargetTags result;
  std::set<oci::Reference> seen;
  for (const TargetSpec& target : targets) {
    if (!target.image) continue;
    if (!seen.insert(*target.image).second) {
      return invalid("--target: two targets have the image name " + in_quotes(target.image->str()));
    }
    result[target.stage].push_back(*target.image);
  }
  std::vector<std::string> stages = stages_of(targets);
  if (stages.empty()) stages.emplace_back();
  const bool several = stages.size() > 1;
  const bool some_named = !result.empty();
  std::erase_if(stages, [&](const std::string& stage) { return result.contains(stage); });
  if (!tags.empty()) {
    if (stages.empty()) {
      return invalid(
          "-t names the image of the --target without '=IMAGE', but every --target has one; for one more name write "
          "--target STAGE=IMAGE again");
    }
    if (stages.size() > 1) {
      return invalid("-t names one image, but --target " + stages[0] + " and --target " + stages[1] +
                     " have no name; write --target " + stages[1] + "=IMAGE");
    }
    for (const oci::Reference& tag : tags) {
      if (!seen.insert(tag).second)
        return invalid("-t: a --target has the image name " + in_quotes(tag.str()) + " too");
    }
    result[stages.front()] = tags;
    return result;
  }
  if (several && !stages.empty() && (some_named || named)) {
    return invalid("--target " + stages.front() + " has no image name; of several targets each needs its own, as in " +
                   "--target " + stages.front() + "=IMAGE");
  }
  return result;
}

Result<std::vector<oci::Platform>> parse_platforms(const std::vector<std::string>& lists) {
  std::vector<oci::Platform> platforms;
  for (const std::string& list : lists) {
    for (std::size_t at = 0; at <= list.size();) {
      const std::size_t comma = std::min(list.find(',', at), list.size());
      const std::string part = list.substr(at, comma - at);
      at = comma + 1;
      if (part.empty()) return invalid("--platform: an entry of " + in_quotes(list) + " is empty");
      ASSIGN_OR_RETURN(oci::Platform platform, oci::Platform::parse(part).in("--platform"));
      if (std::ranges::find(platforms, platform) == platforms.end()) platforms.push_back(std::move(platform));
    }
  }
  return platforms;
}

}  // namespace imagebuild::cli
