// The instructions of a stage that change no files, only the image's config.
#include <algorithm>
#include <utility>

#include "build/stage_solver.h"
#include "dockerfile/expand.h"
#include "dockerfile/values.h"

namespace imagebuild::build {

namespace {

using dockerfile::Position;
using dockerfile::Word;

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
  set_image_environment();
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
