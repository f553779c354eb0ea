#include "dockerfile/instruction.h"

#include <cstddef>

#include "dockerfile/heredoc.h"

namespace imagebuild::dockerfile {

std::string Heredoc::text() const {
  if (!strip_tabs) return content;
  std::string result;
  bool line_start = true;
  for (const char c : content) {
    if (line_start && c == '\t') continue;
    line_start = c == '\n';
    result += c;
  }
  return result;
}

Script script_of(const CommandLine& command) {
  Script script;
  if (command.heredocs.empty()) {
    script.text = command.shell.text;
    return script;
  }
  const Heredoc& first = command.heredocs.front();
  if (command.heredocs.size() == 1 && parse_heredoc_word(command.shell.text)) {
    script.text = first.text();
    script.is_program = first.content.compare(0, 2, "#!") == 0;
    script.name = first.name;
    return script;
  }
  script.text = command.shell.text;
  for (const Heredoc& heredoc : command.heredocs) script.text += "\n" + heredoc.content + heredoc.name;
  return script;
}

std::string_view keyword_of(const Command& command) {
  struct Name {
    std::string_view operator()(const From&) const { return "FROM"; }
    std::string_view operator()(const Run&) const { return "RUN"; }
    std::string_view operator()(const Cmd&) const { return "CMD"; }
    std::string_view operator()(const Entrypoint&) const { return "ENTRYPOINT"; }
    std::string_view operator()(const Shell&) const { return "SHELL"; }
    std::string_view operator()(const Copy&) const { return "COPY"; }
    std::string_view operator()(const Add&) const { return "ADD"; }
    std::string_view operator()(const Env&) const { return "ENV"; }
    std::string_view operator()(const Arg&) const { return "ARG"; }
    std::string_view operator()(const Label&) const { return "LABEL"; }
    std::string_view operator()(const Expose&) const { return "EXPOSE"; }
    std::string_view operator()(const Volume&) const { return "VOLUME"; }
    std::string_view operator()(const User&) const { return "USER"; }
    std::string_view operator()(const Workdir&) const { return "WORKDIR"; }
    std::string_view operator()(const StopSignal&) const { return "STOPSIGNAL"; }
    std::string_view operator()(const Maintainer&) const { return "MAINTAINER"; }
    std::string_view operator()(const HealthCheck&) const { return "HEALTHCHECK"; }
    std::string_view operator()(const Onbuild&) const { return "ONBUILD"; }
  };
  return std::visit(Name{}, command);
}

}  // namespace imagebuild::dockerfile
