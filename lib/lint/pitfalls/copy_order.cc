// COPY . . before the dependencies are installed: any change of a file then installs them again.
#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lint/pitfalls/pitfalls.h"
#include "lint/pitfalls/shell_commands.h"

namespace imagebuild::lint {

namespace {

// A command that installs what a few files name.
struct Install {
  std::string command;                 // As it should run before the sources are there.
  std::vector<std::string> manifests;  // To be copied before it.
};

bool is_any(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

std::string joined(const ShellCommand& command) {
  std::string text;
  for (const std::string& word : command) text += (text.empty() ? "" : " ") + word;
  return text;
}

// What installs nothing but what the manifests name: `npm install`, and not `npm install -g tool`.
struct Tool {
  std::string_view program;
  std::vector<std::string_view> verbs;  // The first operand; "" is none.
  std::vector<std::string> manifests;
  std::string extra = {};  // A flag that leaves the project itself out.
};

const std::vector<Tool>& tools() {
  static const std::vector<Tool> kTools = {
      {"npm", {"ci", "install", "i", "clean-install"}, {"package.json", "package-lock.json"}},
      {"yarn", {"", "install"}, {"package.json", "yarn.lock"}},
      {"pnpm", {"install", "i"}, {"package.json", "pnpm-lock.yaml"}},
      {"bun", {"install", "i"}, {"package.json", "bun.lock"}},
      {"poetry", {"install"}, {"pyproject.toml", "poetry.lock"}, "--no-root"},
      {"pipenv", {"install", "sync"}, {"Pipfile", "Pipfile.lock"}},
      {"uv", {"sync"}, {"pyproject.toml", "uv.lock"}, "--no-install-project"},
      {"bundle", {"", "install"}, {"Gemfile", "Gemfile.lock"}},
      {"composer", {"install", "i"}, {"composer.json", "composer.lock"}, "--no-autoloader --no-scripts"},
      {"cargo", {"fetch"}, {"Cargo.toml", "Cargo.lock"}},
  };
  return kTools;
}

std::optional<Install> requirements(const ShellCommand& command) {
  Install install{joined(command), {}};
  for (std::size_t i = 1; i < command.size(); ++i) {
    std::string file;
    if (is_any(command[i], {"-r", "--requirement"}) && i + 1 < command.size()) file = command[i + 1];
    if (command[i].starts_with("--requirement=")) file = command[i].substr(std::string_view("--requirement=").size());
    if (command[i].starts_with("-r") && command[i].size() > 2) file = command[i].substr(2);
    if (is_any(command[i], {"-e", "--editable", "."})) return std::nullopt;
    if (file.empty()) continue;
    if (file.find_first_of("/$") != std::string::npos && !file.starts_with("./")) return std::nullopt;
    install.manifests.push_back(file);
  }
  if (install.manifests.empty()) return std::nullopt;
  return install;
}

std::optional<Install> of_words(const ShellCommand& command, const std::string& program,
                                const std::vector<std::string>& operands) {
  const auto operand = [&](std::size_t i) { return i < operands.size() ? std::string_view(operands[i]) : ""; };
  if (program == "go" && operand(0) == "mod" && operand(1) == "download") {
    return Install{joined(command), {"go.mod", "go.sum"}};
  }
  if (is_any(program, {"mvn", "mvnw"})) {
    const bool only = !operands.empty() && std::ranges::all_of(operands, [](const std::string& word) {
      return word.starts_with("dependency:") || word.find('/') != std::string::npos;
    });
    if (only) return Install{joined(command), {"pom.xml"}};
  }
  if (is_any(program, {"gradle", "gradlew"}) && operand(0) == "dependencies") {
    return Install{joined(command), {"build.gradle*", "settings.gradle*"}};
  }
  if (program == "dotnet" && operand(0) == "restore") return Install{joined(command), {"*.csproj"}};
  return std::nullopt;
}

std::optional<Install> install_of(const ShellCommand& command) {
  const std::string program = program_of(command);
  const std::vector<std::string> operands = operands_of(command);
  const std::string verb = operands.empty() ? "" : operands.front();
  const bool pip = program.starts_with("pip") && program != "pipenv" && verb == "install";
  const bool uv_pip = program == "uv" && verb == "pip" && operands.size() > 1 && operands[1] == "install";
  const bool python_pip = program.starts_with("python") && operands.size() > 1 && operands[0] == "pip" &&
                          operands[1] == "install" && has_word(command, "-m");
  if (pip || uv_pip || python_pip) return requirements(command);
  for (const Tool& tool : tools()) {
    if (program != tool.program || std::ranges::find(tool.verbs, verb) == tool.verbs.end()) continue;
    // Of npm, a name behind the verb is a package; the value of an option cannot be told from one.
    if (operands.size() > 1 || has_word(command, "-g") || has_word(command, "--global")) return std::nullopt;
    // `yarn --version`
    if (verb.empty() && (has_word(command, "--version") || has_word(command, "-v"))) return std::nullopt;
    Install install{joined(command), tool.manifests};
    if (!tool.extra.empty() && !has_word(command, tool.extra)) install.command += " " + tool.extra;
    return install;
  }
  return of_words(command, program, operands);
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// Whether the source brings a manifest without bringing everything.
bool brings(const std::string& source, const std::vector<std::string>& manifests) {
  const std::string name = base_name(source);
  if (name.empty() || name == "." || name == "*") return false;
  return std::ranges::any_of(manifests, [&](const std::string& manifest) {
    const std::string wanted = base_name(manifest);
    const std::size_t star = std::min(name.find('*'), wanted.find('*'));
    if (star == std::string::npos) return name == wanted;
    return name.substr(0, star) == wanted.substr(0, star);
  });
}

bool installs_from_elsewhere(const dockerfile::Run& run) {
  return std::ranges::any_of(run.mounts, [](const dockerfile::Mount& mount) {
    return mount.type == dockerfile::MountType::kCache || mount.type == dockerfile::MountType::kBind;
  });
}

// One stage, with what the stages below it copied.
class OrderChecker {
 public:
  OrderChecker(const FileView& view, const StageView& stage, Findings& findings) : stage_(stage), findings_(findings) {
    for (const int below : view.chain(stage.stage.index)) {
      if (below == stage.stage.index) continue;
      for (const StepView& step : view.at(below).steps) note_sources(step);
    }
  }

  void run() {
    for (const StepView& step : stage_.steps) {
      note_sources(step);
      if (step.copy && step.copy->is_whole_context() && whole_ == nullptr) whole_ = &step;
      const dockerfile::Run* const run = step.run();
      if (run == nullptr) continue;
      if (whole_ != nullptr && !installs_from_elsewhere(*run)) check(step, *run);
    }
  }

 private:
  void note_sources(const StepView& step) {
    if (!step.copy) return;
    for (const SourceView& source : step.copy->sources) sources_.push_back(source.path);
  }

  void check(const StepView& step, const dockerfile::Run& run) {
    for (const ShellCommand& command : commands_of(run.command)) {
      const std::optional<Install> install = install_of(command);
      if (!install || !seen_.insert(install->manifests).second) continue;
      const bool copied =
          std::ranges::any_of(sources_, [&](const std::string& source) { return brings(source, install->manifests); });
      if (!copied) report(step, *install);
    }
  }

  void report(const StepView& step, const Install& install) {
    std::string files;
    for (const std::string& manifest : install.manifests) files += manifest + " ";
    findings_.add("SourceBeforeDependencies", whole_->instruction.at,
                  "everything is copied before line " + std::to_string(step.line()) +
                      " installs the dependencies, so any change of a file installs them again; write COPY " + files +
                      "./, then RUN " + install.command + ", and this line after it");
  }

  const StageView& stage_;
  Findings& findings_;
  const StepView* whole_ = nullptr;   // The first COPY of everything.
  std::vector<std::string> sources_;  // Of each COPY so far.
  std::set<std::vector<std::string>> seen_;
};

}  // namespace

void check_copy_order(const FileView& view, Findings& findings) {
  for (const StageView& stage : view.stages()) {
    if (stage.needed) OrderChecker(view, stage, findings).run();
  }
}

}  // namespace imagebuild::lint
