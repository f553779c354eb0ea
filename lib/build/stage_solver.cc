#include "build/stage_solver.h"

#include <filesystem>
#include <utility>

#include "build/supported.h"
#include "dockerfile/expand.h"

namespace imagebuild::build {

using dockerfile::Position;
using dockerfile::Word;

std::vector<std::string> environment_strings(const std::vector<dockerfile::Variable>& variables) {
  std::vector<std::string> result;
  for (const dockerfile::Variable& variable : variables) result.push_back(variable.name + "=" + variable.value);
  return result;
}

std::string clean_join(const std::string& base, const std::string& path) {
  std::string clean = (std::filesystem::path("/" + base) / path).lexically_normal().string();
  while (clean.starts_with("//")) clean.erase(0, 1);
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  return clean;
}

StageSolver::StageSolver(const dockerfile::Dockerfile& dockerfile, const dockerfile::GlobalScope& globals,
                         dockerfile::StageScope scope, Elsewhere elsewhere, api::PlanStage& stage)
    : dockerfile_(dockerfile),
      globals_(globals),
      scope_(std::move(scope)),
      elsewhere_(std::move(elsewhere)),
      stage_(stage) {
  set_image_environment();
}

void StageSolver::set_image_environment() {
  stage_.config.env = environment_strings(scope_.image_environment());
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

Status StageSolver::on(const dockerfile::Workdir& workdir) {
  ASSIGN_OR_RETURN(const std::string path, expand(workdir.path));
  stage_.config.working_dir = absolute(path);
  add_step("WORKDIR " + stage_.config.working_dir, api::WorkdirStep{stage_.config.working_dir, stage_.config.user});
  return ok();
}

}  // namespace imagebuild::build
