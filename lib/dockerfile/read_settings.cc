// The instructions that set values: FROM, ENV, LABEL, ARG, EXPOSE, VOLUME, USER, WORKDIR, STOPSIGNAL, MAINTAINER.
#include <algorithm>

#include "dockerfile/flag_reader.h"
#include "dockerfile/instruction_reader.h"
#include "dockerfile/json_array.h"
#include "dockerfile/values.h"

namespace imagebuild::dockerfile {

namespace {

struct Pair {
  std::string key;
  std::string value;
};
Pair cut(std::string_view text) {
  const std::size_t equals = text.find('=');
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

// Where a byte of a word stands. A word does not hold the continuations it was written with, so the answer comes from
// the piece of the line that holds it.
class Locator {
 public:
  explicit Locator(const Piece& piece) : piece_(piece) {}
  // The words come in their order in the piece.
  Position inside(const Word& word, std::size_t offset) {
    while (next_ < piece_.size() && piece_.at(next_) != word.at) ++next_;
    return piece_.at(next_ + offset);
  }

 private:
  Piece piece_;
  std::size_t next_ = 0;
};

bool is_stage_name(std::string_view name) {
  if (name.empty() || name[0] < 'a' || name[0] > 'z') return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == std::string_view::npos;
}

std::optional<std::vector<KeyValue>> read_legacy_pair(const RawInstruction& raw, Findings& findings) {
  const Piece& arguments = raw.line.arguments;
  const auto words = split_at_blanks(arguments);
  if (words.size() < 2) {
    findings.error(words.front().at, raw.keyword + " needs a value: " + raw.keyword + " " + words.front().text + "=…");
    return std::nullopt;
  }
  const Piece value = arguments.from(words.front().text.size()).trimmed();
  return std::vector<KeyValue>{{words.front(), value.word()}};
}

}  // namespace

std::optional<Command> read_from(const RawInstruction& raw, Findings& findings) {
  From from;
  FlagReader flags(raw.keyword, raw.line.flags, findings.errors);
  from.platform = flags.text("platform");
  flags.finish();
  const auto words = split_at_blanks(raw.line.arguments);
  if (words.empty()) {
    findings.error(raw.line.keyword.at(), "FROM needs an image: FROM image [AS name]");
    return std::nullopt;
  }
  from.image = words[0];
  if (words.size() == 1) return from;
  if (upper(words[1].text) != "AS" || words.size() != 3) {
    const std::size_t wrong = upper(words[1].text) != "AS" || words.size() < 3 ? 1 : 3;
    findings.error(words[wrong].at, "FROM takes an image, or an image, AS and a name: FROM image [AS name]");
    return std::nullopt;
  }
  if (!is_stage_name(lower(words[2].text))) {
    findings.error(words[2].at, "'" + words[2].text +
                                    "' cannot name a stage: a name begins with a letter and has only letters, digits, "
                                    "'-', '_' and '.'");
    return std::nullopt;
  }
  from.as = words[1];
  from.name = words[2];
  return from;
}

std::optional<Command> read_env_or_label(const RawInstruction& raw, Findings& findings) {
  FlagReader(raw.keyword, raw.line.flags, findings.errors).finish();
  const auto words = split_words(raw.line.arguments, raw.escape);
  if (words.empty()) {
    findings.error(raw.line.keyword.at(), raw.keyword + " needs at least one name=value");
    return std::nullopt;
  }
  std::vector<KeyValue> pairs;
  const bool legacy = words.front().text.find('=') == std::string::npos;
  if (legacy) {
    auto pair = read_legacy_pair(raw, findings);
    if (!pair) return std::nullopt;
    pairs = std::move(*pair);
  }
  Locator locator(raw.line.arguments);
  for (const Word& word : words) {
    if (legacy || findings.full()) break;
    if (word.text.find('=') == std::string::npos) {
      findings.error(word.at, "'" + word.text + "' has no '='; " + raw.keyword +
                                  " takes name=value, with quotes around a value that has blanks");
      continue;
    }
    Pair pair = cut(word.text);
    if (pair.key.empty() && !findings.full())
      findings.error(word.at, "the name before '=' is missing; write name=value without blanks around the '='");
    const Position value_at = locator.inside(word, pair.key.size() + 1);
    pairs.push_back({Word{std::move(pair.key), word.at}, Word{std::move(pair.value), value_at}});
  }
  if (raw.keyword == "ENV") return Env{std::move(pairs), legacy};
  return Label{std::move(pairs), legacy};
}

std::optional<Command> read_arg(const RawInstruction& raw, Findings& findings) {
  FlagReader(raw.keyword, raw.line.flags, findings.errors).finish();
  const auto words = split_words(raw.line.arguments, raw.escape);
  if (words.empty()) {
    findings.error(raw.line.keyword.at(), "ARG needs at least one name: ARG name[=default]");
    return std::nullopt;
  }
  Arg arg;
  Locator locator(raw.line.arguments);
  for (const Word& word : words) {
    if (word.text.find('=') == std::string::npos) {
      arg.declarations.push_back({word, std::nullopt});
      continue;
    }
    Pair pair = cut(word.text);
    if (pair.key.empty() && !findings.full())
      findings.error(word.at, "the name before '=' is missing; write name=value without blanks around the '='");
    const Position value_at = locator.inside(word, pair.key.size() + 1);
    arg.declarations.push_back({Word{std::move(pair.key), word.at}, Word{std::move(pair.value), value_at}});
  }
  return arg;
}

std::optional<Command> read_expose(const RawInstruction& raw, Findings& findings) {
  FlagReader(raw.keyword, raw.line.flags, findings.errors).finish();
  Expose expose{split_at_blanks(raw.line.arguments)};
  if (expose.ports.empty()) findings.error(raw.line.keyword.at(), "EXPOSE needs at least one port");
  for (const Word& port : expose.ports) {
    if (!is_literal(port.text) || findings.full()) continue;
    if (const auto range = parse_port_range(port.text); !range.ok()) findings.error(port.at, range.error().message);
  }
  return expose;
}

std::optional<Command> read_volume(const RawInstruction& raw, Findings& findings) {
  FlagReader(raw.keyword, raw.line.flags, findings.errors).finish();
  JsonArray array = parse_json_array(raw.line.arguments);
  if (array.kind == JsonArray::Kind::kNotStrings) {
    findings.error(array.bad, "a JSON array behind VOLUME may hold strings only");
    return std::nullopt;
  }
  Volume volume;
  volume.paths = array.kind == JsonArray::Kind::kStrings ? std::move(array.words) : split_at_blanks(raw.line.arguments);
  if (volume.paths.empty()) findings.error(raw.line.keyword.at(), "VOLUME needs at least one path");
  for (Word& path : volume.paths) {
    path.text = std::string(trim_blanks(path.text));
    if (path.text.empty() && !findings.full()) findings.error(path.at, "the path of a VOLUME cannot be empty");
  }
  return volume;
}

std::optional<Command> read_single(const RawInstruction& raw, Findings& findings) {
  FlagReader(raw.keyword, raw.line.flags, findings.errors).finish();
  const Word word = raw.line.arguments.word();
  if (word.text.empty()) {
    const std::string what = raw.keyword == "USER"         ? "a user"
                             : raw.keyword == "WORKDIR"    ? "a path"
                             : raw.keyword == "STOPSIGNAL" ? "a signal"
                                                           : "a name";
    findings.error(raw.line.keyword.at(), raw.keyword + " needs " + what);
    return std::nullopt;
  }
  if (raw.keyword == "USER") return User{word};
  if (raw.keyword == "WORKDIR") return Workdir{word};
  if (raw.keyword == "MAINTAINER") return Maintainer{word};
  if (is_literal(word.text)) {
    if (const Status status = check_signal(word.text); !status.ok()) findings.error(word.at, status.error().message);
  }
  return StopSignal{word};
}

}  // namespace imagebuild::dockerfile
