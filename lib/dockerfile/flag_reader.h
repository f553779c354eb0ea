// Takes the flags of one instruction and says what is wrong with them.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dockerfile/words.h"

namespace imagebuild::dockerfile {

// Ask for every flag that the instruction knows, then call finish(), which reports the others.
class FlagReader {
 public:
  FlagReader(std::string_view keyword, const std::vector<Flag>& flags, std::vector<Diagnostic>& errors)
      : keyword_(keyword), flags_(flags), errors_(errors) {}

  // `--name=value`; a flag given twice or without a value is an error. The word is at the value's first byte.
  std::optional<Word> text(std::string_view name);
  // The same, but at the flag's first dash.
  std::optional<Word> text_at_flag(std::string_view name);
  // `--name`, `--name=true`, `--name=false`.
  std::optional<bool> boolean(std::string_view name);
  // A flag that may be given several times.
  std::vector<const Flag*> all(std::string_view name);
  // `--name=value` with one of these values.
  std::optional<Word> choice(std::string_view name, std::initializer_list<std::string_view> values);
  void finish();

 private:
  const Flag* one(std::string_view name);
  bool check_value(const Flag& flag);
  void error(Position at, std::string message);

  std::string_view keyword_;
  const std::vector<Flag>& flags_;
  std::vector<Diagnostic>& errors_;
  std::vector<std::string> known_;
};

// The value of a flag that has one.
Word value_of(const Flag& flag);

}  // namespace imagebuild::dockerfile
