#include "registry/challenge.h"

#include <algorithm>
#include <optional>

namespace imagebuild::registry {
namespace {

constexpr std::size_t kMaxChallenges = 16, kMaxParameters = 32;

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string lowered(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_spaces() {
    while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  void skip_separators() {
    while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == ',')) ++at_;
  }
  std::string_view token() {
    const std::size_t begin = at_;
    while (!at_end() && is_token_char(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  // A token68 or a sloppy unquoted value: up to the next space or comma.
  std::string_view bare_value() {
    const std::size_t begin = at_;
    while (!at_end() && text_[at_] != ' ' && text_[at_] != '\t' && text_[at_] != ',') ++at_;
    return text_.substr(begin, at_ - begin);
  }
  // After the opening quote; nothing when there is no closing one.
  std::optional<std::string> quoted_rest() {
    std::string value;
    while (!at_end()) {
      const char c = text_[at_++];
      if (c == '"') return value;
      if (c == '\\' && !at_end()) {
        value += text_[at_++];
      } else {
        value += c;
      }
    }
    return {};
  }
  std::size_t position() const { return at_; }
  void go_to(std::size_t position) { at_ = position; }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

// "name = value" into the challenge; false (and nothing consumed) when something else stands here.
bool take_parameter(Cursor& cursor, Challenge& challenge) {
  const std::size_t begin = cursor.position();
  const std::string name = lowered(cursor.token());
  cursor.skip_spaces();
  if (name.empty() || !cursor.take('=')) {
    cursor.go_to(begin);
    return false;
  }
  cursor.skip_spaces();
  std::optional<std::string> value =
      cursor.take('"') ? cursor.quoted_rest() : std::optional<std::string>(cursor.bare_value());
  if (!value) {
    cursor.go_to(begin);
    return false;
  }
  if (challenge.parameters.size() < kMaxParameters) challenge.parameters.emplace(name, std::move(*value));
  return true;
}

}  // namespace

std::string Challenge::get(const std::string& name) const {
  const auto found = parameters.find(name);
  return found == parameters.end() ? std::string() : found->second;
}

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> challenges;
  Cursor cursor(header);
  cursor.skip_separators();
  while (!cursor.at_end() && challenges.size() < kMaxChallenges) {
    Challenge challenge{.scheme = lowered(cursor.token()), .parameters = {}};
    if (challenge.scheme.empty()) break;
    cursor.skip_spaces();
    if (!take_parameter(cursor, challenge)) cursor.bare_value();  // Nothing, or a token68 ("Negotiate YII=").
    cursor.skip_separators();
    while (take_parameter(cursor, challenge)) cursor.skip_separators();
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace imagebuild::registry
