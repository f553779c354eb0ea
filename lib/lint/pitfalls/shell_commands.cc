#include "lint/pitfalls/shell_commands.h"

#include <algorithm>
#include <utility>

namespace imagebuild::lint {

namespace {

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

// NAME=value
bool is_assignment(std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == 0 || equals == std::string_view::npos) return false;
  return std::ranges::all_of(word.substr(0, equals), [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

void drop_prefixes(ShellCommand& words) {
  std::size_t first = 0;
  bool options = false;  // Of sudo and the like.
  for (; first < words.size(); ++first) {
    const std::string& word = words[first];
    if (is_assignment(word) || (options && word.starts_with('-'))) continue;
    if (is_one_of(word, {"sudo", "env", "exec", "command", "nice", "nohup", "time"})) {
      options = true;
    } else if (!is_one_of(word, {"if", "then", "elif", "else", "do", "while", "until", "!", "{", "}", "fi", "done"})) {
      break;
    }
  }
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(first));
}

// Cuts a script at the operators and blanks that stand outside quotes.
class Cutter {
 public:
  explicit Cutter(std::string_view script) : left_(script) {}

  std::vector<ShellCommand> run() {
    while (!left_.empty()) take();
    end_command();
    return std::move(commands_);
  }

 private:
  void take() {
    const char c = left_.front();
    if (c == '\\') return take_escaped();
    if (c == '\'' || c == '"') return take_quoted(c);
    if (left_.starts_with("$(") || c == '`') return take_substitution();
    left_.remove_prefix(1);
    if (c == ' ' || c == '\t' || c == '\r') return end_word();
    if (c == '#' && !in_word_) {
      left_.remove_prefix(std::min(left_.find('\n'), left_.size()));
    } else if (c == '&' && word_.ends_with('>')) {
      word_ += c;  // 2>&1
    } else if (is_one_of(std::string_view(&c, 1), {"\n", ";", "|", "&", "(", ")"})) {
      end_command();
    } else {
      add(c);
    }
  }

  void take_escaped() {
    left_.remove_prefix(1);
    if (left_.empty()) return;
    if (left_.front() != '\n') add(left_.front());
    left_.remove_prefix(1);
  }

  void take_quoted(char quote) {
    in_word_ = true;
    left_.remove_prefix(1);
    for (; !left_.empty() && left_.front() != quote; left_.remove_prefix(1)) {
      if (quote == '"' && left_.front() == '\\' && left_.size() > 1) left_.remove_prefix(1);
      word_ += left_.front();
    }
    if (!left_.empty()) left_.remove_prefix(1);
  }

  // Up to its end, as part of the word.
  void take_substitution() {
    const bool backquote = left_.front() == '`';
    int depth = 0;
    do {
      const char c = left_.front();
      if (backquote && c == '`') depth = depth == 0 ? 1 : 0;
      if (!backquote && c == '(') ++depth;
      if (!backquote && c == ')') --depth;
      add(c);
      left_.remove_prefix(1);
    } while (!left_.empty() && (depth > 0 || (!backquote && word_.ends_with('$'))));
  }

  void add(char c) {
    in_word_ = true;
    word_ += c;
  }

  void end_word() {
    if (in_word_) words_.push_back(std::exchange(word_, {}));
    in_word_ = false;
  }

  void end_command() {
    end_word();
    drop_prefixes(words_);
    if (!words_.empty()) commands_.push_back(std::exchange(words_, {}));
  }

  std::string_view left_;
  bool in_word_ = false;
  std::string word_;
  ShellCommand words_;
  std::vector<ShellCommand> commands_;
};

std::string name_of(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

}  // namespace

std::vector<ShellCommand> commands_of(std::string_view script) {
  return Cutter(script).run();
}

std::vector<ShellCommand> commands_of(const dockerfile::CommandLine& command) {
  if (!command.exec) return commands_of(dockerfile::script_of(command).text);
  ShellCommand words;
  for (const dockerfile::Word& word : command.argv) words.push_back(word.text);
  if (words.size() >= 3 && is_one_of(name_of(words[0]), {"sh", "bash", "ash", "dash"}) && words[1].starts_with('-') &&
      words[1].ends_with('c')) {
    return commands_of(words[2]);
  }
  drop_prefixes(words);
  if (words.empty()) return {};
  return {words};
}

std::string program_of(const ShellCommand& command) {
  return name_of(command.front());
}

std::vector<std::string> operands_of(const ShellCommand& command) {
  std::vector<std::string> operands;
  for (std::size_t i = 1; i < command.size(); ++i) {
    if (!command[i].starts_with('-')) operands.push_back(command[i]);
  }
  return operands;
}

bool has_word(const ShellCommand& command, std::string_view word) {
  return std::ranges::find(command, word) != command.end();
}

}  // namespace imagebuild::lint
