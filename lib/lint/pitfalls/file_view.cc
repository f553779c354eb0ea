#include "lint/pitfalls/file_view.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "dockerfile/expand.h"
#include "lint/walk.h"

namespace imagebuild::lint {

namespace {

using dockerfile::Expanded;
using dockerfile::Word;

std::optional<std::string> expand(const Turn& turn, const Word& word) {
  Result<Expanded> expanded = dockerfile::expand_word(word.text, turn.escape, turn.scope.lookup());
  if (!expanded.ok()) return std::nullopt;
  return std::move(expanded->text);
}

CopyView copy_view(const Turn& turn, const dockerfile::CopySources& sources, const Word* from, const StageView& stage) {
  CopyView copy;
  for (const Word& word : sources.paths) {
    if (auto path = expand(turn, word)) copy.sources.push_back({std::move(*path), word.at});
  }
  if (const auto destination = expand(turn, sources.destination)) {
    copy.destination = absolute(*destination, stage.workdir);
  }
  copy.from_context = from == nullptr;
  if (from == nullptr) return copy;
  copy.from_word = from->text;
  for (const dockerfile::Reference& reference : stage.graph.references) {
    if (!reference.mount && reference.source.at == from->at) copy.from = reference.source;
  }
  return copy;
}

// What a stage begins with.
void inherit(const std::vector<StageView>& stages, StageView& stage) {
  if (stage.graph.base.kind == dockerfile::SourceKind::kScratch) stage.workdir = std::string(1, '/');
  if (stage.graph.base.kind != dockerfile::SourceKind::kStage) return;
  const StageView& below = stages[static_cast<std::size_t>(stage.graph.base.stage)];
  stage.workdir = below.workdir;
  stage.entrypoint = below.entrypoint;
  stage.cmd = below.cmd;
}

void take(const Turn& turn, bool& own_cmd, StageView& stage) {
  StepView step{turn.instruction, stage.workdir, std::nullopt};
  const dockerfile::Command& command = turn.instruction.command;
  if (const auto* copy = std::get_if<dockerfile::Copy>(&command)) {
    step.copy = copy_view(turn, copy->sources, copy->from ? &*copy->from : nullptr, stage);
  } else if (const auto* add = std::get_if<dockerfile::Add>(&command)) {
    step.copy = copy_view(turn, add->sources, nullptr, stage);
  } else if (const auto* workdir = std::get_if<dockerfile::Workdir>(&command)) {
    const auto path = expand(turn, workdir->path);
    stage.workdir = path ? absolute(*path, stage.workdir) : "";
  } else if (const auto* entrypoint = std::get_if<dockerfile::Entrypoint>(&command)) {
    stage.entrypoint = &entrypoint->command;
    if (!own_cmd) stage.cmd = nullptr;  // ENTRYPOINT takes back what is inherited.
  } else if (const auto* cmd = std::get_if<dockerfile::Cmd>(&command)) {
    stage.cmd = &cmd->command;
    own_cmd = true;
  }
  stage.steps.push_back(std::move(step));
}

Result<dockerfile::Graph> graph_of(const LintInput& input) {
  const dockerfile::GlobalScope globals = globals_of(input, true);
  dockerfile::GraphOptions options;
  options.target = input.target;
  options.named_contexts = input.named_contexts;
  options.expand = [&](const Word& word) -> Result<std::string> {
    ASSIGN_OR_RETURN(Expanded expanded,
                     dockerfile::expand_word(word.text, input.file.directives.escape, globals.lookup()));
    return std::move(expanded.text);
  };
  return dockerfile::make_graph(input.file, options);
}

}  // namespace

bool CopyView::is_whole_context() const {
  return from_context && std::ranges::any_of(sources, [](const SourceView& source) {
           return absolute(source.path, "/") == "/" || source.path == "*" || source.path == "./*";
         });
}

std::optional<FileView> FileView::of(const LintInput& input) {
  FileView view;
  view.input_ = &input;
  Result<dockerfile::Graph> graph = graph_of(input);
  if (!graph.ok()) return std::nullopt;
  view.graph_ = std::move(*graph);
  view.stages_.reserve(input.file.stages.size());
  for (const dockerfile::Stage& stage : input.file.stages) {
    const dockerfile::GraphStage& node = view.graph_.stages[static_cast<std::size_t>(stage.index)];
    view.stages_.push_back(StageView{stage, node, node.needed && !node.replaced, {}, {}});
  }
  int current = -1;
  bool own_cmd = false;
  walk(
      input, [](const BaseTurn&) {},
      [&](const Turn& turn) {
        StageView& stage = view.stages_[static_cast<std::size_t>(turn.stage.index)];
        if (std::exchange(current, turn.stage.index) != turn.stage.index) {
          own_cmd = false;
          inherit(view.stages_, stage);
        }
        take(turn, own_cmd, stage);
      });
  // Stages without a step were not visited.
  for (StageView& stage : view.stages_) {
    if (stage.steps.empty()) inherit(view.stages_, stage);
  }
  return view;
}

std::vector<int> FileView::chain(int stage) const {
  std::vector<int> chain{stage};
  while (at(chain.back()).graph.base.kind == dockerfile::SourceKind::kStage && !at(chain.back()).graph.replaced) {
    chain.push_back(at(chain.back()).graph.base.stage);
  }
  std::ranges::reverse(chain);
  return chain;
}

const dockerfile::Source* FileView::root_image(int stage) const {
  const dockerfile::GraphStage& bottom = at(chain(stage).front()).graph;
  return bottom.base.kind == dockerfile::SourceKind::kImage && !bottom.replaced ? &bottom.base : nullptr;
}

std::vector<std::string> FileView::program(int stage) const {
  const StageView& view = at(stage);
  std::vector<std::string> words;
  for (const dockerfile::CommandLine* line : {view.entrypoint, view.cmd}) {
    if (line == nullptr) continue;
    if (!line->exec) return {};
    for (const Word& word : line->argv) words.push_back(word.text);
  }
  return words;
}

bool names_a_workshop(std::string_view stage) {
  return std::ranges::any_of(std::initializer_list<std::string_view>{"dev", "build", "test", "debug", "tool", "lint"},
                             [&](std::string_view word) { return stage.find(word) != std::string_view::npos; });
}

std::string absolute(std::string_view path, std::string_view workdir) {
  if (!path.starts_with('/') && workdir.empty()) return {};
  std::string clean = (std::filesystem::path(workdir) / path).lexically_normal().string();
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  return clean;
}

bool is_below(std::string_view path, std::string_view folder) {
  if (folder == "/") return path.size() > 1;
  return path.size() > folder.size() + 1 && path.starts_with(folder) && path[folder.size()] == '/';
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return text;
}

std::string shortly_listed(std::vector<std::string> names) {
  constexpr std::size_t kMostNamed = 4;
  if (names.size() > kMostNamed) {
    const std::size_t more = names.size() - kMostNamed + 1;
    names.resize(kMostNamed - 1);
    names.push_back(std::to_string(more) + " more");
  }
  return listed(names);
}

}  // namespace imagebuild::lint
