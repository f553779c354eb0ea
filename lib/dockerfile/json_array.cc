#include "dockerfile/json_array.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace imagebuild::dockerfile {

namespace {

constexpr int kMaxDepth = 1000;

void append_utf8(std::string& text, std::uint32_t code) {
  const auto add = [&text](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0U | (code >> 6U));
    add(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    add(0xE0U | (code >> 12U));
    add(0x80U | ((code >> 6U) & 0x3FU));
    add(0x80U | (code & 0x3FU));
  } else {
    add(0xF0U | (code >> 18U));
    add(0x80U | ((code >> 12U) & 0x3FU));
    add(0x80U | ((code >> 6U) & 0x3FU));
    add(0x80U | (code & 0x3FU));
  }
}

// A checking reader of RFC 8259 that keeps strings only.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::size_t offset() const { return at_; }
  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }

  void skip_space() {
    while (!at_end() && (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n')) ++at_;
  }

  bool take(char c) {
    skip_space();
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::optional<std::string> string() {
    if (!take('"')) return std::nullopt;
    std::string result;
    while (!at_end()) {
      const char c = text_[at_++];
      if (c == '"') return result;
      if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
      if (c != '\\') {
        result += c;
      } else if (!escape(result)) {
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

  // Passes over one value of any kind; false when it is not JSON.
  bool skip_value(int depth) {
    skip_space();
    if (depth > kMaxDepth) return false;
    switch (peek()) {
      case '"':
        return string().has_value();
      case '[':
        return skip_list('[', ']', depth);
      case '{':
        return skip_list('{', '}', depth);
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

 private:
  bool escape(std::string& result) {
    if (at_end()) return false;
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    const char c = text_[at_++];
    if (const std::size_t i = kFrom.find(c); i != std::string_view::npos) {
      result += kTo[i];
      return true;
    }
    if (c != 'u') return false;
    auto code = hex4();
    if (!code) return false;
    if (*code >= 0xD800 && *code < 0xDC00 && text_.substr(at_, 2) == "\\u") {
      const std::size_t back = at_;
      at_ += 2;
      const auto low = hex4();
      if (!low) return false;
      if (*low >= 0xDC00 && *low < 0xE000) {
        code = 0x10000 + ((*code - 0xD800) << 10U) + (*low - 0xDC00);
      } else {
        at_ = back;
      }
    }
    if (*code >= 0xD800 && *code < 0xE000) code = 0xFFFD;  // Half of a pair, as Go's decoder does.
    append_utf8(result, *code);
    return true;
  }

  std::optional<std::uint32_t> hex4() {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = peek();
      std::uint32_t digit = 0;
      if (c >= '0' && c <= '9') {
        digit = static_cast<std::uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        digit = static_cast<std::uint32_t>(c - 'a') + 10;
      } else if (c >= 'A' && c <= 'F') {
        digit = static_cast<std::uint32_t>(c - 'A') + 10;
      } else {
        return std::nullopt;
      }
      code = code * 16 + digit;
      ++at_;
    }
    return code;
  }

  bool word(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  bool digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > begin;
  }

  bool number() {
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
    } else if (!digits()) {
      return false;
    }
    if (peek() == '.') {
      ++at_;
      if (!digits()) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits()) return false;
    }
    return true;
  }

  bool skip_list(char open, char close, int depth) {
    if (!take(open)) return false;
    if (take(close)) return true;
    do {
      if (open == '{' && !(string() && take(':'))) return false;
      if (!skip_value(depth + 1)) return false;
    } while (take(','));
    return take(close);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

JsonArray parse_json_array(const Piece& piece) {
  JsonArray result;
  Reader reader(piece.view());
  const JsonArray not_json;
  std::optional<std::size_t> bad;
  if (!reader.take('[')) return not_json;
  if (!reader.take(']')) {
    do {
      reader.skip_space();
      const std::size_t begin = reader.offset();
      if (reader.peek() == '"') {
        auto text = reader.string();
        if (!text) return not_json;
        result.words.push_back(Word{std::move(*text), piece.at(begin)});
      } else {
        if (!reader.skip_value(0)) return not_json;
        if (!bad) bad = begin;
      }
    } while (reader.take(','));
    if (!reader.take(']')) return not_json;
  }
  reader.skip_space();
  if (!reader.at_end()) return not_json;
  if (bad) return JsonArray{JsonArray::Kind::kNotStrings, {}, piece.at(*bad)};
  result.kind = JsonArray::Kind::kStrings;
  return result;
}

}  // namespace imagebuild::dockerfile
