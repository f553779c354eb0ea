#include "kube/json_text.h"

namespace imagebuild::kube {
namespace {

// How deep the list, its items and one of them lie in the answer.
constexpr int kListDepth = 1, kItemsDepth = 2, kItemDepth = 3;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string_view without_end_space(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool ends_in_items(std::string_view text) {
  text = without_end_space(text);
  if (!text.ends_with(':')) return false;
  text.remove_suffix(1);
  return without_end_space(text).ends_with("\"items\"");
}

// Walks over JSON text. Every function is safe on any text.
class Walk {
 public:
  explicit Walk(std::string_view text) : text_(text) {}

  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  // The content of a string, as it is written.
  std::optional<std::string_view> string() {
    if (!take('"')) return {};
    const std::size_t begin = at_;
    if (!to_string_end()) return {};
    return text_.substr(begin, at_ - 1 - begin);
  }
  std::optional<std::string_view> value() {
    skip_space();
    const std::size_t begin = at_;
    int depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        if (!to_string_end()) return {};
        --at_;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
        break;
      } else if (c == '}' || c == ']') {
        --depth;
      }
    }
    if (depth != 0 || at_ == begin) return {};
    return without_end_space(text_.substr(begin, at_ - begin));
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  // Behind the quote that ends the string.
  bool to_string_end() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '"') {
        ++at_;
        return true;
      }
    }
    return false;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

bool for_each_member(std::string_view text,
                     const std::function<void(std::string_view name, std::string_view value)>& member) {
  Walk walk(text);
  if (!walk.take('{')) return false;
  if (walk.take('}')) return true;
  do {
    const auto name = walk.string();
    if (!name || !walk.take(':')) return false;
    const auto value = walk.value();
    if (!value) return false;
    member(*name, *value);
  } while (walk.take(','));
  return walk.take('}');
}

std::optional<std::string_view> plain_text(std::string_view value) {
  if (value.size() < 2 || !value.starts_with('"') || !value.ends_with('"')) return {};
  value = value.substr(1, value.size() - 2);
  if (value.find_first_of("\\\"") != value.npos) return {};
  return value;
}

void ListText::open(std::string_view piece, std::size_t at, std::size_t& kept) {
  ++depth_;
  if (in_items_) {
    if (depth_ == kItemDepth) kept = at;
    return;
  }
  if (depth_ != kItemsDepth || piece[at] != '[') return;
  rest_.append(piece.substr(kept, at - kept));
  kept = at;
  if (!ends_in_items(rest_)) return;
  in_items_ = true;
  rest_ += '[';
}

void ListText::close(std::string_view piece, std::size_t at, std::size_t& kept) {
  --depth_;
  if (!in_items_) return;
  if (depth_ == kItemsDepth) {
    object_.append(piece.substr(kept, at + 1 - kept));
    item_(object_);
    object_.clear();
  } else if (depth_ == kListDepth) {
    in_items_ = false;
    kept = at;
  }
}

Status ListText::take(std::string_view piece) {
  std::size_t kept = 0;  // What comes before is in rest_ or object_, or is not wanted.
  for (std::size_t at = 0; at < piece.size(); ++at) {
    const char c = piece[at];
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      open(piece, at, kept);
    } else if (c == '}' || c == ']') {
      if (depth_ == 0) return Error{ErrorCode::kCorrupt, "the answer is no JSON"};
      close(piece, at, kept);
    }
  }
  if (!in_items_) rest_.append(piece.substr(kept));
  if (in_items_ && depth_ >= kItemDepth) object_.append(piece.substr(kept));
  if (object_.size() > kMaxItemBytes || rest_.size() > kMaxRestBytes) {
    return Error{ErrorCode::kLimit, "an object in the answer is larger than 16 MiB"};
  }
  return ok();
}

Result<std::string> ListText::finish() {
  if (depth_ != 0 || rest_.empty()) return Error{ErrorCode::kUnavailable, "the answer ended in the middle"};
  return std::move(rest_);
}

}  // namespace imagebuild::kube
