#include "builder/prepare/prepare.h"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <iterator>
#include <utility>

#include "api/step_sources.h"
#include "api/volume.h"
#include "base/file.h"
#include "build/goals.h"
#include "builder/prepare/checks.h"
#include "builder/prepare/context.h"
#include "builder/prepare/excerpt.h"
#include "builder/prepare/images.h"
#include "dockerfile/ignore.h"
#include "dockerfile/parser.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;
namespace volume = api::volume;

namespace {

struct DockerfileText {
  std::string name;  // For messages.
  fs::path path;     // Where its .dockerignore may lie beside it; empty for stdin.
  std::string text;
};

// What may help: archives often have everything in one folder.
std::string where_to_look(const Context& context) {
  const Result<std::vector<std::string>> names = context.top_names();
  if (!names.ok()) return "";
  if (names->empty()) return ", which is empty";
  if (names->size() == 1) return ", which has only '" + names->front() + "'; if that is a folder, set subPath to it";
  return "";
}

Result<DockerfileText> read_dockerfile(const PrepareRequest& request, const Context& context) {
  constexpr std::uint64_t kMaxBytes = dockerfile::kMaxFileBytes;
  const std::string name = request.dockerfile.empty() ? "Dockerfile" : request.dockerfile;
  if (request.dockerfile_text) return DockerfileText{name, {}, *request.dockerfile_text};
  if (request.dockerfile == "-" && !request.confined) {
    if (request.context == "-") {
      return Error{ErrorCode::kInvalidInput, "the Dockerfile and the context cannot both come from stdin"};
    }
    std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    if (text.size() > kMaxBytes) return Error{ErrorCode::kLimit, "the Dockerfile on stdin is too large"};
    return DockerfileText{"<stdin>", {}, std::move(text)};
  }
  if (!request.dockerfile.empty() && !request.confined && fs::exists(request.dockerfile)) {
    ASSIGN_OR_RETURN(std::string text, read_file(request.dockerfile, kMaxBytes));
    return DockerfileText{request.dockerfile, fs::absolute(request.dockerfile), std::move(text)};
  }
  ASSIGN_OR_RETURN(std::optional<std::string> text, context.read(name, kMaxBytes));
  if (!text && request.confined) {
    return Error{ErrorCode::kNotFound, "there is no '" + name + "' in the source" + where_to_look(context)};
  }
  if (!text) {
    return Error{ErrorCode::kNotFound, "there is no '" + name + "' in the context " +
                                           (request.context == "-" ? "on stdin" : "'" + request.context + "'") +
                                           "; name the Dockerfile with -f"};
  }
  return DockerfileText{name, context.folder().empty() ? fs::path(name) : context.folder() / name, std::move(*text)};
}

Error with_excerpt(const Error& error, const DockerfileText& source) {
  return builder::with_excerpt(error, source.name, source.text);
}

Result<dockerfile::Dockerfile> parse(const DockerfileText& source, std::vector<api::Warning>& warnings) {
  dockerfile::ParseReport report = dockerfile::parse_all(source.text, source.name);
  for (const dockerfile::Diagnostic& warning : report.warnings) {
    warnings.push_back({"", warning.message, {warning.at.line, warning.at.column}});
  }
  if (report.errors.empty()) return std::move(report.dockerfile);
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, report.errors.size()); ++i) {
    text += dockerfile::render(source.name, source.text, report.errors[i]);
  }
  if (report.errors.size() > kShown) {
    text += "and " + std::to_string(report.errors.size() - kShown) + " more errors\n";
  }
  text.pop_back();
  return Error{report.errors.front().code, std::move(text)};
}

// SOURCE_DATE_EPOCH's stand-in: when the context was committed.
std::int64_t commit_time(const fs::path& folder, ProcessRunner& processes) {
  if (folder.empty()) return 0;
  const Result<ProcessResult> git =
      processes.run(ProcessSpec{.argv = {"git", "-C", folder.string(), "log", "-1", "--format=%ct"}});
  if (!git.ok() || git->exit_status != 0) return 0;  // No git, or no work tree.
  std::int64_t seconds = 0;
  const std::string& text = git->stdout_text;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return seconds;
}

Result<api::BaseImage> resolve_base(const build::ImageNeed& need, const OpenImage& open_image,
                                    const std::string& dockerfile) {
  const auto located = [&](const Error& error) {
    return dockerfile::located_error(dockerfile, need.at, error.message, error.code);
  };
  const Result<std::unique_ptr<oci::ImageSource>> source = open_image(need.name);
  if (!source.ok()) return located(source.error());
  ASSIGN_OR_RETURN(const oci::Platform platform, oci::Platform::parse(need.platform));
  Result<oci::ResolvedImage> image = (*source)->resolve(platform);
  if (!image.ok()) return located(image.error());
  if (!platform.accepts(image->config.platform)) {
    return located(Error{ErrorCode::kNotFound, "image '" + need.name + "' is for " + image->config.platform.str() +
                                                   ", not for " + need.platform});
  }
  ASSIGN_OR_RETURN(std::string reference, pin(need.name, image->descriptor.digest));
  return api::BaseImage{need.name, std::move(reference), image->descriptor.digest.str(),
                        std::move(image->manifest_json), std::move(image->config_json)};
}

bool uses_context(const api::Plan& plan, const std::string& name, const std::string& image) {
  if (image == "scratch") return true;  // It is no image of the plan, so there is nothing to tell by.
  if (!image.empty()) {
    return std::ranges::any_of(plan.images, [&](const api::BaseImage& base) { return base.name == image; });
  }
  return std::ranges::any_of(plan.trees, [&](const api::FileTree& tree) {
    const auto* context = std::get_if<api::NamedContext>(&tree.origin);
    return context != nullptr && context->name == name;
  });
}

void warn_of_unused_contexts(const std::map<std::string, std::string>& contexts, api::Plan& plan) {
  for (const auto& [name, image] : contexts) {
    if (uses_context(plan, name, image)) continue;
    plan.warnings.push_back({"", "the build context '" + name + "' is not used: nothing that is built names it", {}});
  }
}

// The rules of .dockerignore.
Result<dockerfile::IgnoreRules> read_ignore_rules(const PrepareRequest& request, const Context& context,
                                                  const DockerfileText& source) {
  const auto read = [&](const fs::path& path) -> Result<std::optional<std::string>> {
    if (context.folder().empty()) return context.read(path, dockerfile::kMaxFileBytes);
    if (request.confined) {
      return context.read(path.lexically_relative(context.folder()), dockerfile::kMaxFileBytes);
    }
    Result<std::string> text = read_file(path, dockerfile::kMaxFileBytes);
    if (text.ok()) return std::optional(std::move(*text));
    if (text.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
    return text.error();
  };
  ASSIGN_OR_RETURN(dockerfile::IgnoreFile ignore, dockerfile::read_ignore_file(context.folder(), source.path, read));
  return std::move(ignore.rules);
}

Result<api::Plan> solve(const PrepareRequest& request, const DockerfileText& source, std::int64_t epoch_s,
                        const dockerfile::IgnoreRules& ignore, const OpenImage& open_image) {
  std::vector<api::Warning> warnings;
  ASSIGN_OR_RETURN(const dockerfile::Dockerfile dockerfile, parse(source, warnings));
  build::SolveOptions options;
  for (const auto& [name, value] : request.build_args) options.build_args.insert_or_assign(name, value);
  options.epoch_s = epoch_s;
  options.named_contexts = request.named_contexts;
  options.run = request.run;
  const std::vector<build::Goal> goals = build::goals_of(request.targets, request.platforms);
  build::Images images;
  while (true) {
    const auto missing = build::missing_images(dockerfile, options, goals, images);
    if (!missing.ok()) return with_excerpt(missing.error(), source);
    if (missing->empty()) break;
    for (const build::ImageNeed& need : *missing) {
      Result<api::BaseImage> image = resolve_base(need, open_image, source.name);
      if (!image.ok()) return with_excerpt(image.error(), source);
      images.emplace(need, std::move(*image));
    }
  }
  Result<api::Plan> plan = build::solve(dockerfile, options, goals, images);
  if (!plan.ok()) return with_excerpt(plan.error(), source);
  ASSIGN_OR_RETURN(const std::vector<api::Warning> found, check_dockerfile(dockerfile, options, goals, images, ignore));
  warnings.insert(warnings.end(), found.begin(), found.end());
  plan->skipped_rules = skipped_rules(dockerfile, options);
  plan->warnings.insert(plan->warnings.begin(), warnings.begin(), warnings.end());
  warn_of_unused_contexts(request.named_contexts, *plan);
  return plan;
}

bool takes_from_context(const api::Step& step) {
  return std::ranges::any_of(api::sources_of(step),
                             [](const api::CopyFrom& from) { return std::holds_alternative<api::FromContext>(from); });
}

bool takes_from_context(const api::Plan& plan) {
  return std::ranges::any_of(plan.stages, [](const api::PlanStage& stage) {
    return std::ranges::any_of(stage.steps, [](const api::Step& step) { return takes_from_context(step); });
  });
}

// Only what runs commands gains from layers that nobody else needs.
void keep_layers_for_cache(api::Plan& plan) {
  for (api::PlanStage& stage : plan.stages) stage.cache_layers = stage.needs_container && !stage.keep_layers;
}

}  // namespace

Result<Prepared> prepare(const PrepareRequest& request, const OpenImage& open_image, ProcessRunner& processes) {
  ASSIGN_OR_RETURN(const Context context,
                   Context::open(request.context, request.volume / volume::kContextTar,
                                 ContextOptions{request.sub_path, request.confined, request.stop}));
  ASSIGN_OR_RETURN(const DockerfileText source, read_dockerfile(request, context));
  const std::int64_t epoch_s = request.epoch_s ? *request.epoch_s : commit_time(context.folder(), processes);
  Prepared prepared;
  ASSIGN_OR_RETURN(const dockerfile::IgnoreRules ignore, read_ignore_rules(request, context, source));
  ASSIGN_OR_RETURN(prepared.plan, solve(request, source, epoch_s, ignore, open_image));
  prepared.plan.epoch_is_given = request.epoch_s.has_value();
  if (request.for_cache) keep_layers_for_cache(prepared.plan);
  prepared.context_folder = context.folder();
  prepared.dockerfile_text = source.text;

  std::error_code error;
  fs::create_directories((request.volume / volume::kContextIndex).parent_path(), error);
  if (error) return system_error(request.volume.string(), error.value());
  archive::TreeIndex& index = prepared.context_index;
  if (takes_from_context(prepared.plan)) {
    ASSIGN_OR_RETURN(index, context.index(ignore, &prepared.context_versions));
    if (request.copy_context && !context.folder().empty()) {
      ASSIGN_OR_RETURN(index, context.pack(index, request.volume / volume::kContextTar));
    }
  }
  RETURN_IF_ERROR(index.save(request.volume / volume::kContextIndex));
  RETURN_IF_ERROR(write_file_atomically(request.volume / volume::kPlan, prepared.plan.json()));
  return prepared;
}

}  // namespace imagebuild::builder
