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

// ["nginx" "-g" "daemon off;"], as Docker's histories show a command.
std::string quoted_list(const std::vector<std::string>& words) {
  std::string result = "[";
  for (const std::string& word : words) {
    if (result.size() > 1) result += ' ';
    result += '"';
    for (const char c : word) {
      if (c == '"' || c == '\\') result += '\\';
      if (c == '\n') {
        result += "\\n";
      } else {
        result += c;
      }
    }
    result += '"';
  }
  return result + "]";
}

void add_sorted(std::vector<std::string>& values, const std::string& value) {
  const auto place = std::ranges::lower_bound(values, value);
  if (place == values.end() || *place != value) values.insert(place, value);
}

}  // namespace

StageSolver::StageSolver(const dockerfile::Dockerfile& dockerfile, const dockerfile::GlobalScope& globals,
                         dockerfile::StageScope scope, ResolveFrom resolve_from, api::PlanStage& stage)
    : dockerfile_(dockerfile),
      globals_(globals),
      scope_(std::move(scope)),
      resolve_from_(std::move(resolve_from)),
      stage_(stage) {
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
                   dockerfile::resolve(place_.file, written, [this](const Word& word) { return expand(word); }));
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
    step.mode = bits;
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

// --- Instructions that change the config ----------------------------------------------------------------------------

Status StageSolver::on(const dockerfile::Cmd& cmd) {
  stage_.config.cmd = argv_of(cmd.command);
  cmd_is_own_ = true;
  add_step("CMD " + quoted_list(*stage_.config.cmd));
  return ok();
}

Status StageSolver::on(const dockerfile::Entrypoint& entrypoint) {
  stage_.config.entrypoint = argv_of(entrypoint.command);
  // A base's CMD was meant for the base's ENTRYPOINT (Dockerfile reference, "Understand how CMD and ENTRYPOINT
  // interact").
  if (!cmd_is_own_) stage_.config.cmd.reset();
  add_step("ENTRYPOINT " + quoted_list(*stage_.config.entrypoint));
  return ok();
}

Status StageSolver::on(const dockerfile::Shell& shell) {
  stage_.config.shell.clear();
  for (const Word& word : shell.argv) stage_.config.shell.push_back(word.text);
  add_step("SHELL " + quoted_list(stage_.config.shell));
  return ok();
}

Status StageSolver::on(const dockerfile::Env& env) {
  ASSIGN_OR_RETURN(const auto pairs, expand_pairs(env.pairs));
  std::string shown = "ENV";
  for (const auto& [name, value] : pairs) {
    scope_.set_env(name, value);
    shown += " " + name + "=" + value;
  }
  stage_.config.env = as_strings(scope_.image_environment());
  add_step(std::move(shown));
  return ok();
}

Status StageSolver::on(const dockerfile::Arg& arg) {
  std::string shown = "ARG";
  for (const dockerfile::ArgDeclaration& declaration : arg.declarations) {
    std::size_t offset = 0;
    std::optional<std::string_view> raw_default;
    if (declaration.value) raw_default = declaration.value->text;
    const auto solved = scope_.declare(globals_, declaration.name.text, raw_default, place_.escape, &offset);
    if (!solved.ok()) {
      Position at = declaration.value ? declaration.value->at : declaration.name.at;
      at.column += static_cast<int>(offset);
      return fail(at, solved.error().message, solved.error().code);
    }
    shown += " " + declaration.name.text + (solved->value ? "=" + *solved->value : "");
  }
  add_step(std::move(shown));
  return ok();
}

Status StageSolver::on(const dockerfile::Label& label) {
  ASSIGN_OR_RETURN(const auto pairs, expand_pairs(label.pairs));
  std::string shown = "LABEL";
  for (const auto& [name, value] : pairs) {
    stage_.config.labels[name] = value;
    shown += " " + name + "=" + value;
  }
  add_step(std::move(shown));
  return ok();
}

Status StageSolver::on(const dockerfile::Expose& expose) {
  std::string shown = "EXPOSE";
  for (const Word& word : expose.ports) {
    std::size_t offset = 0;
    const auto expanded = dockerfile::expand_words(word.text, place_.escape, scope_.lookup(), &offset);
    if (!expanded.ok()) {
      return fail(Position{word.at.line, word.at.column + static_cast<int>(offset)}, expanded.error().message);
    }
    for (const std::string& text : expanded->words) {
      const Result<dockerfile::PortRange> range = dockerfile::parse_port_range(text);
      if (!range.ok()) return fail(word.at, range.error().message);
      for (const std::string& port : dockerfile::ports_of(*range)) add_sorted(stage_.config.exposed_ports, port);
      shown += " " + text;
    }
  }
  add_step(std::move(shown));
  return ok();
}

Status StageSolver::on(const dockerfile::Volume& volume) {
  std::string shown = "VOLUME";
  for (const Word& word : volume.paths) {
    ASSIGN_OR_RETURN(const std::string path, expand(word));
    if (path.empty()) return fail(word.at, "VOLUME has an empty path");
    add_sorted(stage_.config.volumes, path);
    shown += " " + path;
  }
  add_step(std::move(shown));
  return ok();
}

Status StageSolver::on(const dockerfile::User& user) {
  ASSIGN_OR_RETURN(stage_.config.user, expand(user.user));
  if (stage_.config.user.empty()) return fail(user.user.at, "USER is empty after its variables were expanded");
  add_step("USER " + stage_.config.user);
  return ok();
}

Status StageSolver::on(const dockerfile::StopSignal& stop_signal) {
  ASSIGN_OR_RETURN(const std::string signal, expand(stop_signal.signal));
  const Status valid = dockerfile::check_signal(signal);
  if (!valid.ok()) return fail(stop_signal.signal.at, valid.error().message);
  stage_.config.stop_signal = signal;
  add_step("STOPSIGNAL " + signal);
  return ok();
}

Status StageSolver::on(const dockerfile::Maintainer& maintainer) {
  stage_.author = maintainer.name.text;
  add_step("MAINTAINER " + stage_.author);
  return ok();
}

Status StageSolver::on(const dockerfile::HealthCheck& health_check) {
  oci::Healthcheck check;
  if (health_check.none) {
    check.test = {"NONE"};
  } else {
    check.test = {health_check.command.exec ? "CMD" : "CMD-SHELL"};
    if (!health_check.command.exec) {
      check.test.push_back(health_check.command.shell.text);
    } else {
      for (const Word& word : health_check.command.argv) check.test.push_back(word.text);
    }
    const auto nanoseconds = [](const std::optional<std::chrono::nanoseconds>& duration) {
      return duration ? duration->count() : 0;
    };
    check.interval_ns = nanoseconds(health_check.interval);
    check.timeout_ns = nanoseconds(health_check.timeout);
    check.start_period_ns = nanoseconds(health_check.start_period);
    check.start_interval_ns = nanoseconds(health_check.start_interval);
    check.retries = health_check.retries.value_or(0);
  }
  stage_.config.healthcheck = std::move(check);
  add_step(instruction_->text);
  return ok();
}

Status StageSolver::on(const dockerfile::Onbuild& onbuild) {
  stage_.config.on_build.push_back(onbuild.text);
  add_step("ONBUILD " + onbuild.text);
  return ok();
}

}  // namespace imagebuild::build
