// COPY and ADD.
#include <algorithm>

#include "dockerfile/flag_reader.h"
#include "dockerfile/heredoc.h"
#include "dockerfile/instruction_reader.h"
#include "dockerfile/json_array.h"
#include "dockerfile/values.h"

namespace imagebuild::dockerfile {

namespace {

// The words behind the flags, in either form.
std::optional<std::vector<Word>> read_words(const RawInstruction& raw, Findings& findings, bool& json) {
  JsonArray array = parse_json_array(raw.line.arguments);
  if (array.kind == JsonArray::Kind::kNotStrings) {
    findings.error(array.bad, "a JSON array behind " + raw.keyword + " may hold strings only");
    return std::nullopt;
  }
  json = array.kind == JsonArray::Kind::kStrings;
  if (json) return std::move(array.words);
  return split_at_blanks(raw.line.arguments);
}

// Sorts the sources into paths and inline files.
bool sort_sources(const RawInstruction& raw, std::vector<Word> words, bool json, CopySources& sources,
                  Findings& findings) {
  sources.destination = std::move(words.back());
  words.pop_back();
  if (!json && parse_heredoc_word(sources.destination.text)) {
    findings.error(sources.destination.at, raw.keyword + " cannot take a heredoc as its destination");
    return false;
  }
  auto heredoc = raw.heredocs.begin();  // Both lists are in the order of the line.
  for (Word& word : words) {
    if (heredoc != raw.heredocs.end() && heredoc->at == word.at && parse_heredoc_word(word.text)) {
      sources.files.push_back(*heredoc++);
    } else {
      sources.paths.push_back(std::move(word));
    }
  }
  if (heredoc != raw.heredocs.end()) {
    findings.error(heredoc->at, raw.keyword + " cannot take this heredoc: its name has to be one word without blanks");
    return false;
  }
  return true;
}

void check_literal_mode(const std::optional<Word>& chmod, Findings& findings) {
  if (!chmod || !is_literal(chmod->text)) return;
  if (const Status status = check_mode(chmod->text); !status.ok()) findings.error(chmod->at, status.error().message);
}

void read_common_flags(FlagReader& flags, CopySources& sources, Findings& findings) {
  sources.chown = flags.text("chown");
  sources.chmod = flags.text("chmod");
  sources.link = flags.boolean("link").value_or(false);
  for (const Flag* flag : flags.all("exclude")) sources.exclude.push_back(value_of(*flag));
  check_literal_mode(sources.chmod, findings);
}

std::optional<Word> read_from_flag(FlagReader& flags, Findings& findings) {
  auto from = flags.text_at_flag("from");
  if (!from) return from;
  const std::size_t dollar = from->text.find('$');
  if (dollar == std::string::npos || dollar + 1 == from->text.size()) return from;
  findings.error(from->at, "COPY --from takes no variables; name a stage with FROM … AS and copy from that");
  return std::nullopt;
}

}  // namespace

std::optional<Command> read_copy_or_add(const RawInstruction& raw, Findings& findings) {
  FlagReader flags(raw.keyword, raw.line.flags, findings.errors);
  Copy copy;
  Add add;
  const bool is_copy = raw.keyword == "COPY";
  CopySources& sources = is_copy ? copy.sources : add.sources;
  if (is_copy) {
    copy.from = read_from_flag(flags, findings);
    copy.parents = flags.boolean("parents").value_or(false);
  } else {
    add.checksum = flags.text("checksum");
    add.keep_git_dir = flags.boolean("keep-git-dir");
    add.unpack = flags.boolean("unpack");
  }
  read_common_flags(flags, sources, findings);
  flags.finish();

  bool json = false;
  auto words = read_words(raw, findings, json);
  if (!words) return std::nullopt;
  if (words->size() < 2) {
    const Position at = words->empty() ? raw.line.keyword.at() : words->front().at;
    findings.error(at, raw.keyword + " needs at least two arguments: what to copy, and where to");
    return std::nullopt;
  }
  if (!sort_sources(raw, std::move(*words), json, sources, findings)) return std::nullopt;
  if (is_copy) return copy;
  return add;
}

}  // namespace imagebuild::dockerfile
