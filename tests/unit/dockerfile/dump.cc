#include "unit/dockerfile/dump.h"

#include <sstream>

namespace imagebuild::dockerfile {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
      case '\n':
        result += "\\n";
        break;
      case '\r':
        result += "\\r";
        break;
      case '\t':
        result += "\\t";
        break;
      case '"':
      case '\\':
        result += '\\';
        result += c;
        break;
      default:
        result += c;
    }
  }
  return result + "\"";
}

namespace {

std::string shown(Position at) {
  return std::to_string(at.line) + ":" + std::to_string(at.column);
}

class Dumper {
 public:
  explicit Dumper(int indent) : indent_(static_cast<std::size_t>(indent), ' ') {}

  std::string text() const { return out_.str(); }

  void instruction(const Instruction& instruction) {
    out_ << indent_ << shown(instruction.at) << " " << instruction.keyword << " to line " << instruction.last_line
         << ": " << quoted(instruction.text) << "\n";
    std::visit([this](const auto& command) { fields(command); }, instruction.command);
  }

 private:
  void line(std::string_view name, std::string_view value) { out_ << indent_ << "  " << name << " " << value << "\n"; }
  void word(std::string_view name, const Word& word) { line(name, shown(word.at) + " " + quoted(word.text)); }
  void word(std::string_view name, const std::optional<Word>& value) {
    if (value) word(name, *value);
  }
  void words(std::string_view name, const std::vector<Word>& list) {
    for (const Word& value : list) word(name, value);
  }
  void flag(std::string_view name, bool value) {
    if (value) line(name, "yes");
  }
  void flag(std::string_view name, const std::optional<bool>& value) {
    if (value) line(name, *value ? "yes" : "no");
  }
  template <class Number>
  void number(std::string_view name, const std::optional<Number>& value) {
    if (value) line(name, std::to_string(*value));
  }

  void heredoc(const Heredoc& heredoc) {
    std::string value = shown(heredoc.at) + " " + quoted(heredoc.name);
    if (!heredoc.expand) value += " literal";
    if (heredoc.strip_tabs) value += " strip-tabs";
    if (heredoc.fd != 0) value += " fd=" + std::to_string(heredoc.fd);
    line("heredoc", value);
    line("  content", shown(heredoc.content_at) + " " + quoted(heredoc.text()));
  }

  void command(const CommandLine& command) {
    if (command.exec) {
      line("exec", std::to_string(command.argv.size()) + " words");
      words("  argv", command.argv);
    } else {
      word("shell", command.shell);
    }
    for (const Heredoc& value : command.heredocs) heredoc(value);
  }

  void mount(const Mount& mount) {
    word("mount", mount.spec);
    if (mount.needs_expansion) {
      line("  needs", "expansion");
    } else {
      line("  type", std::string(name_of(mount.type)) + (mount.read_only ? " read-only" : " read-write"));
      flag("  required", mount.required);
      if (mount.type == MountType::kCache) line("  sharing", name_of(mount.sharing));
    }
    word("  from", mount.from);
    word("  source", mount.source);
    word("  target", mount.target);
    word("  id", mount.id);
    word("  env", mount.env);
    number("  size", mount.size_bytes);
    number("  mode", mount.mode);
    number("  uid", mount.uid);
    number("  gid", mount.gid);
  }

  void sources(const CopySources& sources) {
    words("source", sources.paths);
    for (const InlineFile& file : sources.files) heredoc(file);
    word("destination", sources.destination);
    word("chown", sources.chown);
    word("chmod", sources.chmod);
    flag("link", sources.link);
    words("exclude", sources.exclude);
  }

  void pairs(const std::vector<KeyValue>& pairs, bool legacy) {
    flag("legacy", legacy);
    for (const KeyValue& pair : pairs) {
      word("key", pair.key);
      word("value", pair.value);
    }
  }

  void duration(std::string_view name, const std::optional<std::chrono::nanoseconds>& value) {
    if (value) line(name, std::to_string(value->count()) + "ns");
  }

  void fields(const From& from) {
    word("image", from.image);
    word("platform", from.platform);
    word("name", from.name);
  }
  void fields(const Run& run) {
    for (const Mount& value : run.mounts) mount(value);
    word("network", run.network_word);
    word("security", run.security_word);
    words("device", run.devices);
    command(run.command);
    if (run.command.heredocs.empty()) return;
    const Script script = script_of(run.command);
    line("script", quoted(script.text) + (script.is_program ? " as program " + script.name : ""));
  }
  void fields(const Cmd& cmd) { command(cmd.command); }
  void fields(const Entrypoint& entrypoint) { command(entrypoint.command); }
  void fields(const Shell& shell) { words("argv", shell.argv); }
  void fields(const Copy& copy) {
    word("from", copy.from);
    sources(copy.sources);
    flag("parents", copy.parents);
  }
  void fields(const Add& add) {
    sources(add.sources);
    word("checksum", add.checksum);
    flag("keep-git-dir", add.keep_git_dir);
    flag("unpack", add.unpack);
  }
  void fields(const Env& env) { pairs(env.pairs, env.legacy); }
  void fields(const Label& label) { pairs(label.pairs, label.legacy); }
  void fields(const Arg& arg) {
    for (const ArgDeclaration& declaration : arg.declarations) {
      word("name", declaration.name);
      word("default", declaration.value);
    }
  }
  void fields(const Expose& expose) { words("port", expose.ports); }
  void fields(const Volume& volume) { words("path", volume.paths); }
  void fields(const User& user) { word("user", user.user); }
  void fields(const Workdir& workdir) { word("path", workdir.path); }
  void fields(const StopSignal& signal) { word("signal", signal.signal); }
  void fields(const Maintainer& maintainer) { word("name", maintainer.name); }
  void fields(const HealthCheck& check) {
    if (check.none) return line("none", "yes");
    duration("interval", check.interval);
    duration("timeout", check.timeout);
    duration("start-period", check.start_period);
    duration("start-interval", check.start_interval);
    number("retries", check.retries);
    command(check.command);
  }
  void fields(const Onbuild& onbuild) {
    line("text", quoted(onbuild.text));
    out_ << dump(*onbuild.trigger, static_cast<int>(indent_.size()) + 2);
  }

  std::string indent_;
  std::ostringstream out_;
};

std::string dump(const Directives& directives) {
  std::string result;
  if (directives.escape != '\\') result += std::string("escape ") + directives.escape + "\n";
  if (directives.syntax) {
    result += "syntax " + shown(directives.syntax->at) + " " + quoted(directives.syntax->text) + "\n";
  }
  for (const std::string& rule : directives.skipped_checks) result += "skip check " + rule + "\n";
  for (const std::string& rule : directives.experimental_checks) result += "experimental check " + rule + "\n";
  if (directives.checks_are_errors) result += "checks are errors\n";
  return result;
}

std::string dump(const Dockerfile& dockerfile, const Source& source) {
  switch (source.kind) {
    case SourceKind::kScratch:
      return "scratch";
    case SourceKind::kStage: {
      const std::string& name = dockerfile.stages[static_cast<std::size_t>(source.stage)].name;
      return "stage " + std::to_string(source.stage) + (name.empty() ? "" : " (" + name + ")");
    }
    case SourceKind::kImage:
      return "image " + source.name;
    case SourceKind::kNamedContext:
      return "context " + source.name;
  }
  return "?";
}

}  // namespace

std::string dump(const Instruction& instruction, int indent) {
  Dumper dumper(indent);
  dumper.instruction(instruction);
  return dumper.text();
}

std::string dump(const Dockerfile& dockerfile) {
  std::string result = dump(dockerfile.directives);
  for (const Instruction& arg : dockerfile.global_args) result += dump(arg);
  for (const Stage& stage : dockerfile.stages) {
    result += "stage " + std::to_string(stage.index) + (stage.name.empty() ? "" : " (" + stage.name + ")") + "\n";
    result += dump(stage.instruction, 2);
    for (const Instruction& step : stage.steps) result += dump(step, 2);
  }
  return result;
}

std::string dump(const Dockerfile& dockerfile, const Graph& graph) {
  std::string result = "graph\n";
  for (const GraphStage& stage : graph.stages) {
    result += "  " + std::to_string(stage.index) + (stage.name.empty() ? "" : " (" + stage.name + ")") + " on " +
              dump(dockerfile, stage.base);
    if (stage.platform) result += " for " + *stage.platform;
    if (stage.replaced) result += " replaced";
    if (!stage.needed) result += " not needed";
    result += "\n";
    for (const Reference& reference : stage.references) {
      result += "    step " + std::to_string(reference.step);
      if (reference.trigger_stage) result += " of stage " + std::to_string(*reference.trigger_stage);
      if (reference.mount) result += " mount " + std::to_string(*reference.mount);
      result += " takes from " + dump(dockerfile, reference.source) + " at " + shown(reference.source.at) + "\n";
    }
  }
  result += "  order";
  for (const int index : graph.order) result += " " + std::to_string(index);
  return result + "\n";
}

}  // namespace imagebuild::dockerfile
