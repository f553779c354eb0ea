#include "build/stage_solver.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include "build/supported.h"
#include "dockerfile/expand.h"
#include "dockerfile/values.h"

namespace imagebuild::build {

namespace {

using dockerfile::Position;
using dockerfile::Word;

// `path` from the folder `base`, without ".", ".." and double or trailing slashes; ".." stops at the root.
std::string clean_join(const std::string& base, const std::string& path) {
  std::string clean = (std::filesystem::path("/" + base) / path).lexically_normal().string();
  while (clean.starts_with("//")) clean.erase(0, 1);
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  return clean;
}

bool names_a_folder(const std::string& destination) {
  return destination.empty() || destination.ends_with('/') || destination == "." || destination.ends_with("/.");
}

bool is_remote(const std::string& source) {
  return source.starts_with("http://") || source.starts_with("https://") || source.starts_with("git@") ||
         source.starts_with("git://") || source.starts_with("ssh://");
}

std::vector<std::string> as_strings(const std::vector<dockerfile::Variable>& variables) {
  std::vector<std::string> result;
  for (const dockerfile::Variable& variable : variables) result.push_back(variable.name + "=" + variable.value);
  return result;
}

void set_env(std::vector<std::string>& environment, const std::string& name, const std::string& value) {
  const std::string begin = name + "=";
  const auto there =
      std::ranges::find_if(environment, [&](const std::string& entry) { return entry.starts_with(begin); });
  if (there != environment.end()) {
    *there = begin + value;
  } else {
    environment.push_back(begin + value);
  }
}

// "755" or "0755"; nothing for the symbolic form.
std::optional<std::uint32_t> parse_octal_mode(const std::string& text) {
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return mode;
}

}  // namespace

StageSolver::StageSolver(const dockerfile::Dockerfile& dockerfile, const dockerfile::GlobalScope& globals,
                         dockerfile::StageScope scope, ResolveFrom resolve_from, api::PlanStage& stage)
    : dockerfile_(dockerfile),
      globals_(globals),
      scope_(std::move(scope)),
      resolve_from_(std::move(resolve_from)),
      stage_(stage) {
  set_image_environment();
}

void StageSolver::set_image_environment() {
  stage_.config.env = as_strings(scope_.image_environment());
}

Status StageSolver::take(const dockerfile::Instruction& instruction, std::string_view trigger_of) {
  place_ = trigger_of.empty() ? Place{dockerfile_.file, instruction.at, dockerfile_.directives.escape}
                              : Place{trigger_of, Position{stage_.at.line, stage_.at.column}, '\\'};
  instruction_ = &instruction;
  RETURN_IF_ERROR(check_supported(instruction, place_.file));
  const std::size_t first_new = stage_.steps.size();
  RETURN_IF_ERROR(std::visit([this](const auto& command) { return on(command); }, instruction.command));
  for (std::size_t i = first_new; !trigger_of.empty() && i < stage_.steps.size(); ++i) {
    stage_.steps[i].text = "ONBUILD " + stage_.steps[i].text;
  }
  return ok();
}

// --- Words ---------------------------------------------------------------------------------------------------------

Result<std::string> StageSolver::expand(const Word& word) const {
  std::size_t offset = 0;
  Result<dockerfile::Expanded> expanded = dockerfile::expand_word(word.text, place_.escape, scope_.lookup(), &offset);
  if (expanded.ok()) return std::move(expanded->text);
  const Position at{word.at.line, word.at.column + static_cast<int>(offset)};
  return fail(at, expanded.error().message, expanded.error().code);
}

Error StageSolver::fail(Position at, const std::string& message, ErrorCode code) const {
  return dockerfile::located_error(place_.file, at, message, code);
}

Result<std::vector<std::pair<std::string, std::string>>> StageSolver::expand_pairs(
    const std::vector<dockerfile::KeyValue>& pairs) const {
  std::vector<std::pair<std::string, std::string>> result;
  for (const dockerfile::KeyValue& pair : pairs) {
    ASSIGN_OR_RETURN(std::string key, expand(pair.key));
    if (key.empty()) return fail(pair.key.at, "a name is missing before '='");
    ASSIGN_OR_RETURN(std::string value, expand(pair.value));
    result.emplace_back(std::move(key), std::move(value));
  }
  return result;
}

std::string StageSolver::absolute(const std::string& path) const {
  return clean_join(stage_.config.working_dir, path);
}

std::vector<std::string> StageSolver::with_shell(const std::string& line) const {
  std::vector<std::string> argv = stage_.config.shell;
  if (argv.empty()) argv = {"/bin/sh", "-c"};
  argv.push_back(line);
  return argv;
}

std::vector<std::string> StageSolver::argv_of(const dockerfile::CommandLine& command) const {
  if (!command.exec) return with_shell(command.shell.text);
  std::vector<std::string> argv;
  for (const Word& word : command.argv) argv.push_back(word.text);
  return argv;
}

void StageSolver::add_step(std::string created_by, decltype(api::Step::action) action) {
  stage_.steps.push_back(api::Step{api::SourceLine{place_.at.line, place_.at.column}, instruction_->text,
                                   std::move(created_by), std::move(action)});
}

// --- Instructions that change files ---------------------------------------------------------------------------------

Status StageSolver::on(const dockerfile::From&) {
  return ok();
}  // A stage's FROM is no step of it.

Result<api::SecretMount> StageSolver::secret_of(const dockerfile::Mount& written) const {
  ASSIGN_OR_RETURN(const dockerfile::Mount mount,
                   dockerfile::resolve(place_.file, written, [this](const Word& word) -> Result<std::string> {
                     ASSIGN_OR_RETURN(dockerfile::Expanded expanded,
                                      dockerfile::expand_word(word.text, place_.escape, scope_.lookup()));
                     return std::move(expanded.text);
                   }));
  if (mount.type != dockerfile::MountType::kSecret) {
    dockerfile::Instruction instruction;
    instruction.command = dockerfile::Run{.mounts = {mount}};
    RETURN_IF_ERROR(check_supported(instruction, place_.file));
  }
  api::SecretMount secret;
  if (mount.target) secret.target = absolute(mount.target->text);
  if (mount.id) {
    secret.id = mount.id->text;
  } else if (mount.source) {
    secret.id = mount.source->text;
  } else if (mount.target) {
    secret.id = std::filesystem::path(secret.target).filename().string();
  }
  if (secret.id.empty())
    return fail(written.spec.at, "the secret mount needs an id, as in --mount=type=secret,id=token");
  if (mount.env) secret.env = mount.env->text;
  if (secret.target.empty() && secret.env.empty()) secret.target = "/run/secrets/" + secret.id;
  secret.required = mount.required;
  secret.mode = mount.mode.value_or(0400);
  secret.uid = mount.uid.value_or(0);
  secret.gid = mount.gid.value_or(0);
  return secret;
}

Status StageSolver::on(const dockerfile::Run& run) {
  api::RunStep step;
  std::string shown;  // What the history shows behind the arguments.
  if (run.command.exec) {
    step.argv = argv_of(run.command);
  } else {
    const dockerfile::Script script = dockerfile::script_of(run.command);
    if (script.is_program) {
      step.script = api::InlineFile{script.name, script.text};
      step.argv = {script.name};
    } else {
      step.argv = with_shell(script.text);
    }
  }
  if (step.argv.empty()) return fail(place_.at, "RUN has no command");
  for (const std::string& word : step.argv) shown += (shown.empty() ? "" : " ") + word;
  step.env = as_strings(scope_.run_environment());
  for (const dockerfile::Variable& proxy : globals_.proxy_environment()) set_env(step.env, proxy.name, proxy.value);
  step.user = stage_.config.user;
  step.working_dir = stage_.config.working_dir.empty() ? "/" : stage_.config.working_dir;
  for (const dockerfile::Mount& mount : run.mounts) {
    ASSIGN_OR_RETURN(api::SecretMount secret, secret_of(mount));
    step.secrets.push_back(std::move(secret));
  }
  std::string arguments;
  const std::vector<dockerfile::Variable> declared = scope_.arguments();
  if (!declared.empty()) arguments = "|" + std::to_string(declared.size()) + " ";
  for (const dockerfile::Variable& variable : declared) arguments += variable.name + "=" + variable.value + " ";
  add_step("RUN " + arguments + shown, std::move(step));
  return ok();
}

Result<api::CopyStep> StageSolver::copy_of(const dockerfile::CopySources& sources, const char* keyword) {
  api::CopyStep step;
  std::string shown = keyword;
  if (sources.chown) {
    ASSIGN_OR_RETURN(step.owner, expand(*sources.chown));
    shown += " --chown=" + step.owner;
  }
  if (sources.chmod) {
    ASSIGN_OR_RETURN(const std::string mode, expand(*sources.chmod));
    const Status valid = dockerfile::check_mode(mode);
    if (!valid.ok()) return fail(sources.chmod->at, valid.error().message);
    const std::optional<std::uint32_t> bits = parse_octal_mode(mode);
    if (!bits) {
      return fail(sources.chmod->at, "--chmod=" + mode + " is not supported yet; write an octal mode such as 0755",
                  ErrorCode::kUnsupported);
    }
    step.mode = mode;
    shown += " --chmod=" + mode;
  }
  for (const Word& path : sources.paths) {
    ASSIGN_OR_RETURN(const std::string source, expand(path));
    if (is_remote(source)) {
      return fail(path.at,
                  std::string(keyword) + " from '" + source + "' is not supported yet; download it in a RUN step",
                  ErrorCode::kUnsupported);
    }
    step.sources.push_back(clean_join("/", source).substr(1));
    shown += " " + source;
  }
  for (const dockerfile::InlineFile& file : sources.files) {
    std::string content = file.text();
    if (file.expand) {
      Result<dockerfile::Expanded> expanded = dockerfile::expand_heredoc(content, scope_.lookup());
      if (!expanded.ok()) return fail(file.at, expanded.error().message, expanded.error().code);
      content = std::move(expanded->text);
    }
    step.inline_sources.push_back(api::InlineFile{file.name, std::move(content)});
    shown += " " + file.name;
  }
  ASSIGN_OR_RETURN(const std::string destination, expand(sources.destination));
  step.destination = absolute(destination);
  step.destination_is_folder = names_a_folder(destination) || step.sources.size() + step.inline_sources.size() > 1;
  created_by_ = shown + " " + destination;
  return step;
}

Status StageSolver::on(const dockerfile::Copy& copy) {
  ASSIGN_OR_RETURN(api::CopyStep step, copy_of(copy.sources, "COPY"));
  if (copy.from) {
    ASSIGN_OR_RETURN(step.from, resolve_from_(*copy.from, place_.file, step.sources));
  }
  add_step(created_by_, std::move(step));
  return ok();
}

Status StageSolver::on(const dockerfile::Add& add) {
  ASSIGN_OR_RETURN(api::CopyStep step, copy_of(add.sources, "ADD"));
  step.unpack_archives = true;
  add_step(created_by_, std::move(step));
  return ok();
}

Status StageSolver::on(const dockerfile::Workdir& workdir) {
  ASSIGN_OR_RETURN(const std::string path, expand(workdir.path));
  if (path.empty()) return fail(workdir.path.at, "WORKDIR is empty after its variables were expanded");
  stage_.config.working_dir = absolute(path);
  add_step("WORKDIR " + stage_.config.working_dir, api::WorkdirStep{stage_.config.working_dir, stage_.config.user});
  return ok();
}

}  // namespace imagebuild::build
