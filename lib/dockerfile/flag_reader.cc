#include "dockerfile/flag_reader.h"

#include <algorithm>

namespace imagebuild::dockerfile {

Word value_of(const Flag& flag) {
  return Word{flag.value, flag.value_at.empty() ? flag.at : flag.value_at.front()};
}

void FlagReader::error(Position at, std::string message) {
  errors_.push_back({ErrorCode::kInvalidInput, at, std::move(message)});
}

bool FlagReader::check_value(const Flag& flag) {
  if (flag.has_value && !flag.value.empty()) return true;
  error(flag.at, "the flag --" + flag.name + " needs a value: --" + flag.name + "=…");
  return false;
}

const Flag* FlagReader::one(std::string_view name) {
  known_.emplace_back(name);
  const Flag* found = nullptr;
  for (const Flag& flag : flags_) {
    if (flag.name != name) continue;
    if (found != nullptr) {
      error(flag.at, "the flag --" + flag.name + " is given twice");
      return nullptr;
    }
    found = &flag;
  }
  return found;
}

std::optional<Word> FlagReader::text(std::string_view name) {
  const Flag* flag = one(name);
  if (flag == nullptr || !check_value(*flag)) return std::nullopt;
  return value_of(*flag);
}

std::optional<Word> FlagReader::text_at_flag(std::string_view name) {
  const Flag* flag = one(name);
  if (flag == nullptr || !check_value(*flag)) return std::nullopt;
  return Word{flag->value, flag->at};
}

std::optional<bool> FlagReader::boolean(std::string_view name) {
  const Flag* flag = one(name);
  if (flag == nullptr) return std::nullopt;
  if (!flag->has_value) return true;
  const std::string value = lower(flag->value);
  if (value == "true") return true;
  if (value == "false") return false;
  error(value_of(*flag).at, "the flag --" + flag->name + " takes true or false, not '" + flag->value + "'");
  return std::nullopt;
}

std::vector<const Flag*> FlagReader::all(std::string_view name) {
  known_.emplace_back(name);
  std::vector<const Flag*> found;
  for (const Flag& flag : flags_) {
    if (flag.name == name && check_value(flag)) found.push_back(&flag);
  }
  return found;
}

std::optional<Word> FlagReader::choice(std::string_view name, std::initializer_list<std::string_view> values) {
  auto word = text(name);
  if (!word || std::find(values.begin(), values.end(), word->text) != values.end()) return word;
  std::string list;
  for (const std::string_view value : values) list += (list.empty() ? "" : ", ") + std::string(value);
  error(word->at, "--" + std::string(name) + " cannot be '" + word->text + "'; it is one of " + list);
  return std::nullopt;
}

void FlagReader::finish() {
  for (const Flag& flag : flags_) {
    if (errors_.size() >= kMaxErrors) return;
    if (std::find(known_.begin(), known_.end(), flag.name) != known_.end()) continue;
    std::string message = "unknown flag --" + flag.name + " of " + std::string(keyword_);
    if (known_.empty()) {
      message = std::string(keyword_) + " takes no flags, but --" + flag.name + " is given";
    } else if (keyword_ == "ADD" && (flag.name == "from" || flag.name == "parents")) {
      message += "; use COPY --" + flag.name;
    } else if (keyword_ == "COPY" &&
               (flag.name == "checksum" || flag.name == "keep-git-dir" || flag.name == "unpack")) {
      message += "; use ADD --" + flag.name;
    } else {
      message += did_you_mean(flag.name, known_, "--", "");
    }
    error(flag.at, std::move(message));
  }
}

}  // namespace imagebuild::dockerfile
