#include "dockerfile/expand.h"

#include <utility>

#include "base/utf8.h"
#include "dockerfile/shell_pattern.h"

namespace imagebuild::dockerfile {

namespace {

bool is_digit(char32_t c) {
  return c >= U'0' && c <= U'9';
}

bool is_space(char32_t c) {
  if (c < 0x80) return c == U' ' || (c >= U'\t' && c <= U'\r');
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

// Whether a variable's name goes on with `c`. Outside of ASCII, BuildKit takes every letter; here it is everything but
// the blocks of punctuation, symbols, arrows and emoji.
bool is_name_rune(char32_t c) {
  if (c < 0x80) return c == U'_' || is_digit(c) || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  if (c == 0xD7 || c == 0xF7 || c == kReplacementRune) return false;
  const bool symbols = (c >= 0x2000 && c <= 0x2BFF) || (c >= 0x2E00 && c <= 0x2E7F) || (c >= 0x3000 && c <= 0x3004) ||
                       (c >= 0x3007 && c <= 0x3030) || (c >= 0xE000 && c <= 0xF8FF) || (c >= 0xFE00 && c <= 0xFE6F) ||
                       (c >= 0xFF00 && c <= 0xFF20) || (c >= 0xFF3B && c <= 0xFF40) || (c >= 0xFF5B && c <= 0xFF65) ||
                       (c >= 0x1F000 && c <= 0x1FAFF);
  return !symbols;
}

bool is_special_parameter(char32_t c) {
  return c < 0x80 && std::string_view("@*#?-$!").find(static_cast<char>(c)) != std::string_view::npos;
}

// Gathers the words of a text: white space that is not quoted or escaped ends one.
class WordList {
 public:
  void add_quoted(std::string_view text) { word_.append(text); }
  void add_unquoted(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
      const Rune rune = decode_rune(text, at);
      if (is_space(rune.value)) {
        end_word();
      } else {
        word_.append(text.substr(at, rune.width));
      }
      at += rune.width;
    }
  }
  std::vector<std::string> take() {
    end_word();
    return std::move(words_);
  }

 private:
  void end_word() {
    if (!word_.empty()) words_.push_back(std::exchange(word_, {}));
  }
  std::string word_;
  std::vector<std::string> words_;
};

// Reads one word from left to right; each member function takes what it is named after and leaves at_ behind it.
class Expander {
 public:
  Expander(std::string_view word, const ExpandOptions& options, const VariableLookup& lookup)
      : word_(word), options_(options), lookup_(lookup), keep_escapes_(options.keep_escapes) {}

  Result<Expanded> run() {
    ASSIGN_OR_RETURN(output_.text, text_until(std::nullopt, 0, &words_));
    output_.words = words_.take();
    return std::move(output_);
  }

  std::size_t error_at() const { return error_at_; }

 private:
  bool at_end() const { return at_ >= word_.size(); }
  char peek() const { return word_[at_]; }
  std::string_view take_rune() {
    const std::size_t width = decode_rune(word_, at_).width;
    at_ += width;
    return word_.substr(at_ - width, width);
  }

  Error fail(std::size_t at, std::string message, ErrorCode code = ErrorCode::kInvalidInput) {
    error_at_ = at;
    return Error{code, std::move(message)};
  }
  Status check_size(const std::string& text) {
    if (text.size() <= kMaxExpandedBytes) return ok();
    return fail(at_, "the value grows beyond " + std::to_string(kMaxExpandedBytes) + " bytes", ErrorCode::kLimit);
  }

  // Text up to and with the unquoted `stop`, or to the end of the word when there is none. `opened` is the offset to
  // blame when `stop` is missing.
  Result<std::string> text_until(std::optional<char> stop, std::size_t opened, WordList* words) {
    std::string text;
    while (!at_end()) {
      const char c = peek();
      if (stop && c == *stop) {
        ++at_;
        return text;
      }
      if (c == '$') {
        ASSIGN_OR_RETURN(const std::string value, variable());
        text.append(value);
        if (words != nullptr) words->add_unquoted(value);
      } else if ((c == '\'' || c == '"') && !options_.plain_quotes) {
        ASSIGN_OR_RETURN(const std::string value, c == '"' ? double_quotes() : single_quotes());
        text.append(value);
        if (words != nullptr) words->add_quoted(value);
      } else if (c == options_.escape) {
        escaped(text, words);
      } else {
        const std::string_view rune = take_rune();
        text.append(rune);
        if (words != nullptr) words->add_unquoted(rune);
      }
      RETURN_IF_ERROR(check_size(text));
    }
    if (!stop) return text;
    return fail(opened, std::string("missing '") + *stop + "' in a substitution");
  }

  // An escape character outside of quotes and the character behind it. The last one of a word means nothing.
  void escaped(std::string& text, WordList* words) {
    const std::size_t begin = keep_escapes_ ? at_ : at_ + 1;
    ++at_;
    take_rune();
    const std::string_view kept = word_.substr(begin, at_ - begin);
    text.append(kept);
    if (words != nullptr) words->add_quoted(kept);
  }

  Result<std::string> single_quotes() {
    const std::size_t opened = at_;
    const std::size_t closing = word_.find('\'', opened + 1);
    if (closing == std::string_view::npos) return fail(opened, "this single quote is never closed");
    at_ = closing + 1;
    if (options_.keep_quotes) return std::string(word_.substr(opened, at_ - opened));
    return std::string(word_.substr(opened + 1, closing - opened - 1));
  }

  // Variables expand; the escape character escapes only `"`, `$` and itself, and stays before anything else.
  Result<std::string> double_quotes() {
    const std::size_t opened = at_++;
    std::string text;
    if (options_.keep_quotes) text.push_back('"');
    while (!at_end()) {
      const char c = peek();
      if (c == '"') {
        ++at_;
        if (options_.keep_quotes) text.push_back('"');
        return text;
      }
      if (c == '$') {
        ASSIGN_OR_RETURN(const std::string value, variable());
        text.append(value);
        RETURN_IF_ERROR(check_size(text));
        continue;
      }
      if (c == options_.escape) {
        ++at_;
        if (keep_escapes_) text.push_back(c);
        if (at_end()) break;
        const bool means_it = peek() == '"' || peek() == '$' || peek() == options_.escape;
        text.push_back(means_it ? word_[at_++] : c);
        continue;
      }
      text.append(take_rune());
    }
    return fail(opened, "this double quote is never closed");
  }

  std::optional<std::string> look_up(const std::string& name) {
    std::optional<std::string> value = lookup_ ? lookup_(name) : std::nullopt;
    (value ? output_.matched : output_.unmatched).insert(name);
    return value;
  }

  // A variable's name, a number, or one special parameter; empty when there is none of them.
  std::string name() {
    const std::size_t begin = at_;
    if (!at_end() && is_digit(static_cast<unsigned char>(peek()))) {
      while (!at_end() && is_digit(static_cast<unsigned char>(peek()))) ++at_;
    } else if (!at_end() && is_special_parameter(static_cast<unsigned char>(peek()))) {
      ++at_;
    } else {
      while (!at_end()) {
        const Rune rune = decode_rune(word_, at_);
        if (!is_name_rune(rune.value)) break;
        at_ += rune.width;
      }
    }
    return std::string(word_.substr(begin, at_ - begin));
  }

  // `$name` or `${…}`.
  Result<std::string> variable() {
    const std::size_t dollar = at_++;
    if (!at_end() && peek() == '{') {
      if (++depth_ > kMaxExpansionDepth) return fail(dollar, "substitutions are nested too deeply", ErrorCode::kLimit);
      Result<std::string> value = braces(dollar);
      --depth_;
      return value;
    }
    const std::string variable_name = name();
    if (variable_name.empty()) return std::string("$");
    const std::optional<std::string> value = look_up(variable_name);
    if (!value && options_.keep_unset) return "$" + variable_name;
    return value.value_or(std::string());
  }

  Result<std::string> braces(std::size_t dollar) {
    ++at_;
    const std::string variable_name = name();
    if (at_end()) return fail(dollar, "missing '}' in a substitution");
    if (variable_name.empty()) return fail(dollar, "bad substitution: '${' must be followed by a variable's name");
    const char first = word_[at_++];
    if (first == '}') {
      const std::optional<std::string> value = look_up(variable_name);
      if (!value && options_.keep_unset) return "${" + variable_name + "}";
      return value.value_or(std::string());
    }
    if (first == '/') return substitution(dollar, variable_name);
    const bool colon = first == ':';
    if (colon && at_end()) return fail(dollar, "missing '}' in a substitution");
    const char modifier = colon ? word_[at_++] : first;
    if (std::string_view("-+?#%").find(modifier) == std::string_view::npos) {
      const std::string written = colon && modifier != '}' ? std::string(":") + modifier : std::string(1, first);
      return fail(dollar, "bad substitution: '" + written + "' is not supported behind the name '" + variable_name +
                              "'; use :- :+ :? # % or /");
    }
    return modified(dollar, variable_name, modifier, colon);
  }

  // Reads with escapes kept, as patterns need them.
  Result<std::string> pattern_until(char stop, std::size_t opened) {
    const bool before = std::exchange(keep_escapes_, true);
    Result<std::string> text = text_until(stop, opened, nullptr);
    keep_escapes_ = before;
    return text;
  }

  // What follows `${name-` and its like.
  Result<std::string> modified(std::size_t dollar, const std::string& variable_name, char modifier, bool colon) {
    const bool is_trim = modifier == '#' || modifier == '%';
    const bool before = std::exchange(keep_escapes_, is_trim);
    Result<std::string> read = text_until('}', dollar, nullptr);
    keep_escapes_ = before;
    if (!read.ok()) return read;
    const std::string argument = std::move(read).value();

    const std::optional<std::string> value = look_up(variable_name);
    if (!value && options_.keep_unset) {
      return "${" + variable_name + (colon ? ":" : "") + modifier + argument + "}";
    }
    const bool has_value = value && !(colon && value->empty());
    if (modifier == '-') return has_value ? *value : argument;
    if (modifier == '+') return has_value ? argument : std::string();
    if (modifier == '?') {
      if (has_value) return *value;
      const std::string complaint = value ? "must not be empty" : "must be set";
      return fail(dollar, variable_name + (argument.empty() ? " " + complaint : ": " + argument));
    }
    return trimmed(dollar, value.value_or(std::string()), modifier, argument);
  }

  // A doubled modifier, which is the first character of the argument, takes the longest match.
  Result<std::string> trimmed(std::size_t dollar, const std::string& value, char modifier, std::string_view argument) {
    const bool longest = !argument.empty() && argument.front() == modifier;
    if (longest) argument.remove_prefix(1);
    const Result<ShellPattern> pattern = ShellPattern::parse(argument);
    if (!pattern.ok()) return fail(dollar, pattern.error().message);
    return modifier == '#' ? pattern->trim_prefix(value, longest) : pattern->trim_suffix(value, longest);
  }

  // What follows `${name/`.
  Result<std::string> substitution(std::size_t dollar, const std::string& variable_name) {
    const bool all = !at_end() && peek() == '/';
    if (all) ++at_;
    ASSIGN_OR_RETURN(const std::string wanted, pattern_until('/', dollar));
    ASSIGN_OR_RETURN(const std::string replacement, pattern_until('}', dollar));
    const std::optional<std::string> value = look_up(variable_name);
    if (!value && options_.keep_unset) {
      return "${" + variable_name + (all ? "//" : "/") + wanted + "/" + replacement + "}";
    }
    const Result<ShellPattern> pattern = ShellPattern::parse(wanted);
    if (!pattern.ok()) return fail(dollar, pattern.error().message);
    Result<std::string> result = pattern->replace(value.value_or(std::string()), replacement, all, kMaxExpandedBytes);
    if (!result.ok()) return fail(dollar, result.error().message, result.error().code);
    return result;
  }

  std::string_view word_;
  const ExpandOptions& options_;
  const VariableLookup& lookup_;
  bool keep_escapes_;
  std::size_t at_ = 0;
  std::size_t error_at_ = 0;
  int depth_ = 0;
  WordList words_;
  Expanded output_;
};

}  // namespace

Result<Expanded> expand(std::string_view word, const ExpandOptions& options, const VariableLookup& lookup,
                        std::size_t* error_offset) {
  Expander expander(word, options, lookup);
  Result<Expanded> result = expander.run();
  if (!result.ok() && error_offset != nullptr) *error_offset = expander.error_at();
  return result;
}

}  // namespace imagebuild::dockerfile
