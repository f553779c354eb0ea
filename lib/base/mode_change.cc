#include "base/mode_change.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace imagebuild {

namespace {

constexpr std::uint32_t kAnyExecute = 0111;
constexpr std::uint32_t kSetIds = 06000;
constexpr std::uint32_t kSticky = 01000;
constexpr std::uint32_t kOthers = 0007;
constexpr std::uint32_t kAllClasses = kSetIds | 0777;

std::uint32_t class_bits(char who) {
  switch (who) {
    case 'u':
      return 04700;
    case 'g':
      return 02070;
    case 'o':
      return kOthers;
    default:
      return kAllClasses;
  }
}

std::uint32_t class_shift(char who) {
  return who == 'u' ? 6 : who == 'g' ? 3 : 0;
}

Error no_mode(std::string_view text) {
  return Error{ErrorCode::kInvalidInput,
               "'" + std::string(text) + "' is no file mode: write an octal number like 755, or changes like u+x"};
}

Result<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error == std::errc() && end == text.data() + text.size() && mode <= 07777) return mode;
  return Error{ErrorCode::kInvalidInput,
               "'" + std::string(text) + "' is no file mode: the number has to be octal, from 0 to 7777"};
}

}  // namespace

Result<ModeChange> ModeChange::parse(std::string_view text) {
  ModeChange result;
  if (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    ASSIGN_OR_RETURN(result.absolute_, parse_number(text));
    return result;
  }
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    auto changes = parse_clause(text.substr(at, comma - at));
    if (!changes.ok()) return no_mode(text);
    for (Change& change : *changes) result.changes_.push_back(std::move(change));
    at = comma + 1;
  }
  return result;
}

Result<std::vector<ModeChange::Change>> ModeChange::parse_clause(std::string_view clause) {
  std::size_t at = std::min(clause.find_first_not_of("ugoa"), clause.size());
  std::uint32_t who = 0;
  for (const char letter : clause.substr(0, at)) who |= class_bits(letter);
  // Set-id and sticky bits are not for "others" alone.
  const bool special = who == 0 || (who & ~kOthers) != 0;
  if (who == 0) who = kAllClasses;
  std::vector<Change> changes;
  for (; at < clause.size(); ++at) {
    const char letter = clause[at];
    if (letter == '+' || letter == '-' || letter == '=') {
      changes.push_back(Change{letter, who, 0, false, {}});
      continue;
    }
    if (changes.empty()) return no_mode(clause);
    Change& change = changes.back();
    switch (letter) {
      case 'r':
        change.bits |= 0444;
        break;
      case 'w':
        change.bits |= 0222;
        break;
      case 'x':
        change.bits |= kAnyExecute;
        break;
      case 'X':
        change.execute_if_any = true;
        break;
      case 's':
        if (special) change.bits |= kSetIds;
        break;
      case 't':
        if (special) {
          change.bits |= kSticky;
          change.who |= kSticky;
        }
        break;
      case 'u':
      case 'g':
      case 'o':
        change.like_shift.push_back(class_shift(letter));
        break;
      default:
        return no_mode(clause);
    }
  }
  if (changes.empty()) return no_mode(clause);
  return changes;
}

void ModeChange::apply(const Change& change, bool executable, std::uint32_t& mode) {
  std::uint32_t bits = change.bits;
  if (change.execute_if_any && executable) bits |= kAnyExecute;
  for (const std::uint32_t shift : change.like_shift) bits |= (mode >> shift & 7) * 0111;
  bits &= change.who;
  switch (change.operation) {
    case '+':
      mode |= bits;
      break;
    case '-':
      mode &= ~bits;
      break;
    default:
      // A copy of another class ("g=u") is about read, write and execute: set-id bits stay.
      mode &= ~(change.like_shift.empty() ? change.who : change.who & 0777);
      mode |= bits;
  }
}

std::uint32_t ModeChange::apply(std::uint32_t mode, bool is_directory) const {
  if (absolute_) return *absolute_;
  const bool executable = is_directory || (mode & kAnyExecute) != 0;
  for (const Change& change : changes_) apply(change, executable, mode);
  return mode & 07777;
}

}  // namespace imagebuild
