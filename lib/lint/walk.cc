#include "lint/walk.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/overloaded.h"
#include "dockerfile/graph.h"
#include "dockerfile/lines.h"

namespace imagebuild::lint {

namespace {

using dockerfile::Expanded;
using dockerfile::Instruction;
using dockerfile::StageScope;

dockerfile::PlatformNames names_of(const oci::Platform& platform) {
  return dockerfile::PlatformNames{platform.os(), platform.architecture(), platform.variant(), ""};
}

// What a stage leaves to those that start from it.
struct StageEnd {
  StageScope scope = StageScope::on_image({});
  bool base_known = false;
  bool workdir_set = false;
  bool shell_set = false;
  std::vector<std::shared_ptr<const Instruction>> triggers;
};

class Walker {
 public:
  Walker(const LintInput& input, const std::function<void(const BaseTurn&)>& visit_base,
         const std::function<void(const Turn&)>& visit)
      : input_(input),
        globals_(globals_of(input, true)),
        escape_(input.file.directives.escape),
        visit_base_(visit_base),
        visit_(visit) {}

  void run() {
    const std::vector<bool> needed = needed_stages();
    ends_.resize(input_.file.stages.size());
    for (const dockerfile::Stage& stage : input_.file.stages) {
      const auto index = static_cast<std::size_t>(stage.index);
      if (needed[index]) ends_[index] = run_stage(stage);
    }
  }

 private:
  std::vector<bool> needed_stages() const;
  StageEnd run_stage(const dockerfile::Stage& stage);
  StageEnd on_base(const dockerfile::Stage& stage);
  StageEnd on_image(const dockerfile::Stage& stage, const std::string& name);
  void take(const dockerfile::Stage& stage, const Instruction& instruction, char escape, StageEnd& state);
  void apply(const Instruction& instruction, char escape, StageEnd& state) const;
  bool is_context(std::string_view name) const;

  std::optional<std::string> expand_global(const dockerfile::Word& word) const {
    Result<Expanded> expanded = dockerfile::expand_word(word.text, escape_, globals_.lookup());
    if (!expanded.ok()) return std::nullopt;
    return std::move(expanded->text);
  }

  const LintInput& input_;
  const dockerfile::GlobalScope globals_;
  const char escape_;
  const std::function<void(const BaseTurn&)>& visit_base_;
  const std::function<void(const Turn&)>& visit_;
  std::vector<StageEnd> ends_;
  std::map<std::string, dockerfile::Position, std::less<>> last_;
};

std::vector<bool> Walker::needed_stages() const {
  std::vector<bool> needed(input_.file.stages.size(), true);
  if (input_.target.empty()) return needed;
  dockerfile::GraphOptions options;
  options.target = input_.target;
  options.named_contexts = input_.named_contexts;
  options.expand = [this](const dockerfile::Word& word) -> Result<std::string> {
    ASSIGN_OR_RETURN(Expanded expanded, dockerfile::expand_word(word.text, escape_, globals_.lookup()));
    return std::move(expanded.text);
  };
  const Result<dockerfile::Graph> graph = dockerfile::make_graph(input_.file, options);
  if (!graph.ok()) return needed;
  for (const dockerfile::GraphStage& stage : graph->stages) {
    needed[static_cast<std::size_t>(stage.index)] = stage.needed && !stage.replaced;
  }
  return needed;
}

bool Walker::is_context(std::string_view name) const {
  return std::ranges::find(input_.named_contexts, name) != input_.named_contexts.end();
}

StageEnd Walker::on_image(const dockerfile::Stage& stage, const std::string& name) {
  StageEnd start;
  oci::Platform wanted = input_.target_platform;
  if (const auto& word = stage.from().platform) {
    const std::optional<std::string> text = expand_global(*word);
    const Result<oci::Platform> platform = oci::Platform::parse(text.value_or(""));
    if (!platform.ok()) return start;
    wanted = *platform;
  }
  const std::optional<BaseFacts> facts = input_.base ? input_.base(name, wanted) : std::nullopt;
  if (!facts) return start;
  visit_base_(BaseTurn{stage, name, wanted, *facts});
  start.scope = StageScope::on_image(facts->environment);
  start.base_known = true;
  start.shell_set = !facts->shell.empty();
  return start;
}

StageEnd Walker::on_base(const dockerfile::Stage& stage) {
  const std::optional<std::string> name = expand_global(stage.from().image);
  if (!name || name->empty() || is_context(*name)) return {};
  if (dockerfile::lower(*name) == "scratch") {
    StageEnd start;
    start.base_known = true;
    return start;
  }
  for (int i = stage.index - 1; i >= 0; --i) {
    if (input_.file.stages[static_cast<std::size_t>(i)].name != dockerfile::lower(*name)) continue;
    const StageEnd& parent = ends_[static_cast<std::size_t>(i)];
    StageEnd start = parent;
    start.scope = StageScope::on_stage(parent.scope);
    return start;
  }
  return on_image(stage, *name);
}

StageEnd Walker::run_stage(const dockerfile::Stage& stage) {
  if (!stage.name.empty() && is_context(stage.name)) return {};
  StageEnd state = on_base(stage);
  const auto triggers = std::exchange(state.triggers, {});
  last_.clear();
  for (const auto& trigger : triggers) take(stage, *trigger, '\\', state);
  for (const Instruction& step : stage.steps) take(stage, step, escape_, state);
  return state;
}

void Walker::take(const dockerfile::Stage& stage, const Instruction& instruction, char escape, StageEnd& state) {
  visit_(Turn{input_, globals_, stage, instruction, escape, state.scope, state.base_known, state.workdir_set,
              state.shell_set, last_});
  apply(instruction, escape, state);
  if (const std::string_view keyword = dockerfile::keyword_of(instruction.command);
      keyword == "CMD" || keyword == "ENTRYPOINT" || keyword == "HEALTHCHECK") {
    last_.insert_or_assign(std::string(keyword), instruction.at);
  }
}

void Walker::apply(const Instruction& instruction, char escape, StageEnd& state) const {
  const auto expand = [&](const dockerfile::Word& word) {
    Result<Expanded> expanded = dockerfile::expand_word(word.text, escape, state.scope.lookup());
    return expanded.ok() ? std::move(expanded->text) : std::string();
  };
  std::visit(Overloaded{[&](const dockerfile::Env& env) {
                          std::vector<std::pair<std::string, std::string>> pairs;
                          for (const auto& pair : env.pairs) pairs.emplace_back(expand(pair.key), expand(pair.value));
                          for (const auto& [name, value] : pairs) state.scope.set_env(name, value);
                        },
                        [&](const dockerfile::Arg& arg) {
                          for (const dockerfile::ArgDeclaration& declaration : arg.declarations) {
                            std::optional<std::string_view> value;
                            if (declaration.value) value = declaration.value->text;
                            // One that cannot be expanded stays undeclared; the build will say so.
                            (void)state.scope.declare(globals_, declaration.name.text, value, escape);
                          }
                        },
                        [&](const dockerfile::Workdir&) { state.workdir_set = true; },
                        [&](const dockerfile::Shell&) { state.shell_set = true; },
                        [&](const dockerfile::Onbuild& onbuild) { state.triggers.push_back(onbuild.trigger); },
                        [](const auto&) {}},
             instruction.command);
}

}  // namespace

dockerfile::GlobalScope globals_of(const LintInput& input, bool with_build_args) {
  dockerfile::GlobalScope globals(with_build_args ? input.build_args : std::map<std::string, std::string>(),
                                  names_of(input.build_platform), names_of(input.target_platform), input.target);
  for (const Instruction& instruction : input.file.global_args) {
    for (const dockerfile::ArgDeclaration& declaration : std::get<dockerfile::Arg>(instruction.command).declarations) {
      std::optional<std::string_view> value;
      if (declaration.value) value = declaration.value->text;
      (void)globals.declare(declaration.name.text, value, input.file.directives.escape);
    }
  }
  return globals;
}

void walk(const LintInput& input, const std::function<void(const BaseTurn&)>& visit_base,
          const std::function<void(const Turn&)>& visit) {
  Walker(input, visit_base, visit).run();
}

std::string did_you_mean_variable(std::string_view name, std::vector<std::string> names) {
  constexpr std::size_t kMostCompared = 1000;
  if (names.size() > kMostCompared) names.resize(kMostCompared);
  return dockerfile::did_you_mean(name, names, "'$");
}

dockerfile::Position place_of_variable(const dockerfile::Dockerfile& file, const dockerfile::Word& word,
                                       std::string_view name) {
  std::size_t offset = word.text.find("${" + std::string(name));
  if (offset == std::string::npos) offset = word.text.find("$" + std::string(name));
  if (offset == std::string::npos) return word.at;
  dockerfile::Position at{word.at.line, word.at.column + static_cast<int>(offset)};
  // Behind a continuation the offset says nothing; then the file has something else there.
  std::string_view rest = file.source;
  for (int line = 1; line < at.line && !rest.empty(); ++line) {
    rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
  }
  rest = rest.substr(0, rest.find('\n'));
  const auto column = static_cast<std::size_t>(at.column);
  return column <= rest.size() && rest[column - 1] == '$' ? at : word.at;
}

}  // namespace imagebuild::lint
