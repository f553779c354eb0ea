// Variables that nothing sets.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/overloaded.h"
#include "dockerfile/expand.h"
#include "lint/checks/checks.h"

namespace imagebuild::lint {

namespace {

using dockerfile::Expanded;
using dockerfile::Word;

void add(std::vector<const Word*>& words, const std::optional<Word>& word) {
  if (word) words.push_back(&*word);
}

void add(std::vector<const Word*>& words, const std::vector<Word>& more) {
  for (const Word& word : more) words.push_back(&word);
}

void add(std::vector<const Word*>& words, const std::vector<dockerfile::KeyValue>& pairs) {
  for (const dockerfile::KeyValue& pair : pairs) {
    words.push_back(&pair.key);
    words.push_back(&pair.value);
  }
}

void add(std::vector<const Word*>& words, const dockerfile::CopySources& copy) {
  add(words, copy.paths);
  words.push_back(&copy.destination);
  add(words, copy.chown);
  add(words, copy.chmod);
  add(words, copy.exclude);
}

// The words that BuildKit expands one by one and warns about. EXPOSE is not among them.
std::vector<const Word*> expanding_words(const Turn& turn) {
  std::vector<const Word*> words;
  std::visit(Overloaded{[&](const dockerfile::Env& env) { add(words, env.pairs); },
                        [&](const dockerfile::Label& label) { add(words, label.pairs); },
                        [&](const dockerfile::Copy& copy) { add(words, copy.sources); },
                        [&](const dockerfile::Add& command) {
                          add(words, command.sources);
                          add(words, command.checksum);
                        },
                        [&](const dockerfile::Arg& arg) {
                          for (const dockerfile::ArgDeclaration& declaration : arg.declarations) {
                            if (!turn.globals.build_arg(declaration.name.text)) add(words, declaration.value);
                          }
                        },
                        [&](const dockerfile::Run& run) {
                          for (const dockerfile::Mount& mount : run.mounts) {
                            for (const dockerfile::MountOption& option : mount.options) {
                              if (option.key != "from") add(words, option.value);
                            }
                          }
                        },
                        [&](const dockerfile::Volume& volume) { add(words, volume.paths); },
                        [&](const dockerfile::User& user) { words.push_back(&user.user); },
                        [&](const dockerfile::Workdir& workdir) { words.push_back(&workdir.path); },
                        [&](const dockerfile::StopSignal& stop) { words.push_back(&stop.signal); }, [](const auto&) {}},
             turn.instruction.command);
  return words;
}

const std::vector<dockerfile::InlineFile>* inline_files(const dockerfile::Instruction& instruction) {
  if (const auto* copy = std::get_if<dockerfile::Copy>(&instruction.command)) return &copy->sources.files;
  if (const auto* command = std::get_if<dockerfile::Add>(&instruction.command)) return &command->sources.files;
  return nullptr;
}

bool is_beginning(std::string_view a, std::string_view b) {
  return a.substr(0, b.size()) == b || b.substr(0, a.size()) == a;
}

class VariableChecker {
 public:
  VariableChecker(const Turn& turn, Findings& findings) : turn_(turn), findings_(findings) {}

  // `content`: a here-document, of which the variables' places are not known.
  void check(const Word& word, const std::set<std::string>& unmatched) {
    for (const std::string& name : unmatched) {
      if (findings_.full()) return;
      if (!is_missing(name)) continue;
      const std::string hint = did_you_mean_variable(name, names());
      if (!turn_.base_known && may_come_from_base(name)) continue;
      findings_.add("UndefinedVar", place_of_variable(turn_.input.file, word, name),
                    "no ARG or ENV before this line sets '$" + name + "', so it is empty" +
                        (hint.empty() ? "; declare it with ARG or ENV, or write '\\$' for a dollar sign" : hint));
    }
  }

 private:
  bool is_missing(const std::string& name) const {
    if (name == "BUILDKIT_SBOM_SCAN_CONTEXT" || name == "BUILDKIT_SBOM_SCAN_STAGE") return false;
    const std::vector<dockerfile::Variable> declared = turn_.scope.arguments();
    return std::ranges::none_of(declared, [&](const dockerfile::Variable& arg) { return arg.name == name; });
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names = turn_.scope.names();
    for (const dockerfile::Variable& argument : turn_.scope.arguments()) names.push_back(argument.name);
    return names;
  }

  // Images set variables in upper case. A name that nearly is one of this file's is a slip nevertheless.
  bool may_come_from_base(const std::string& name) const {
    if (std::ranges::any_of(name, [](char c) { return c >= 'a' && c <= 'z'; })) return false;
    std::vector<std::string> others = names();
    std::erase_if(others, [&](const std::string& other) { return is_beginning(other, name); });
    return did_you_mean_variable(name, others).empty();
  }

  const Turn& turn_;
  Findings& findings_;
};

}  // namespace

void check_variables(const Turn& turn, Findings& findings) {
  if (!findings.wants("UndefinedVar")) return;
  VariableChecker checker(turn, findings);
  for (const Word* word : expanding_words(turn)) {
    const Result<Expanded> expanded = dockerfile::expand_word(word->text, turn.escape, turn.scope.lookup());
    if (expanded.ok()) checker.check(*word, expanded->unmatched);
  }
  const auto* files = inline_files(turn.instruction);
  if (files == nullptr) return;
  for (const dockerfile::InlineFile& file : *files) {
    if (!file.expand) continue;
    const Result<Expanded> expanded = dockerfile::expand_heredoc(file.content, turn.scope.lookup());
    if (expanded.ok()) checker.check(Word{"", file.at}, expanded->unmatched);
  }
}

}  // namespace imagebuild::lint
