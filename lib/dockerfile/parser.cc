#include "dockerfile/parser.h"

#include <algorithm>
#include <utility>

#include "dockerfile/file_reader.h"

namespace imagebuild::dockerfile {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view without_byte_order_mark(std::string_view text) {
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) text.remove_prefix(kByteOrderMark.size());
  return text;
}

// Sorts instructions into the global ARGs and the stages.
class Sorter {
 public:
  Sorter(Dockerfile& dockerfile, Findings& findings) : dockerfile_(dockerfile), findings_(findings) {}

  void add(FileReader::Item item) {
    const bool is_from = item.keyword == "FROM";
    if (is_from) seen_from_ = true;
    if (!seen_from_ && item.instruction && item.keyword != "ARG") {
      if (!complained_) findings_.error(item.at, item.keyword + " stands before the first FROM; only ARG may");
      complained_ = true;
      return;
    }
    if (!item.instruction) return;
    if (is_from) return add_stage(std::move(*item.instruction));
    if (!seen_from_) {
      dockerfile_.global_args.push_back(std::move(*item.instruction));
    } else if (!dockerfile_.stages.empty()) {  // Else its FROM is wrong, which is known already.
      dockerfile_.stages.back().steps.push_back(std::move(*item.instruction));
    }
  }

  void finish(bool any_instruction) {
    if (!any_instruction && findings_.errors.empty()) {
      findings_.error({0, 0}, "the file has no instructions; a Dockerfile begins with FROM");
    } else if (!seen_from_ && !complained_ && findings_.errors.empty()) {
      findings_.error({0, 0}, "the file has no FROM, so there is nothing to build");
    }
  }

 private:
  void add_stage(Instruction instruction) {
    Stage stage;
    stage.index = static_cast<int>(dockerfile_.stages.size());
    const auto& from = std::get<From>(instruction.command);
    if (from.name) stage.name = lower(from.name->text);
    stage.instruction = std::move(instruction);
    dockerfile_.stages.push_back(std::move(stage));
  }

  Dockerfile& dockerfile_;
  Findings& findings_;
  bool seen_from_ = false;
  bool complained_ = false;
};

void sort(std::vector<Diagnostic>& diagnostics) {
  std::stable_sort(diagnostics.begin(), diagnostics.end(),
                   [](const Diagnostic& a, const Diagnostic& b) { return a.at < b.at; });
}

// True when a bound is exceeded, which is then an error.
bool beyond_limits(const Dockerfile& dockerfile, std::size_t instructions, Position at, Findings& findings) {
  const bool stages = dockerfile.stages.size() > kMaxStages;
  if (!stages && instructions <= kMaxInstructions) return false;
  findings.errors.push_back({ErrorCode::kLimit, at,
                             stages ? "the file has more than " + std::to_string(kMaxStages) + " stages"
                                    : "the file has more than " + std::to_string(kMaxInstructions) + " instructions"});
  return true;
}

}  // namespace

ParseReport parse_all(std::string_view text, std::string_view file) {
  ParseReport report;
  report.dockerfile.file = file;
  text = without_byte_order_mark(text);
  if (auto wrong = check_text(text)) {
    report.errors.push_back(std::move(*wrong));
    return report;
  }
  report.dockerfile.source = text;
  Findings findings;
  FileReader reader(report.dockerfile.source, report.dockerfile.directives, findings);
  Sorter sorter(report.dockerfile, findings);
  std::size_t instructions = 0;
  while (auto item = reader.next()) {
    const Position at = item->at;
    sorter.add(std::move(*item));
    if (beyond_limits(report.dockerfile, ++instructions, at, findings)) break;
    if (findings.errors.size() >= kMaxErrors) break;
  }
  sorter.finish(instructions > 0);
  report.errors = std::move(findings.errors);
  report.warnings = std::move(findings.warnings);
  report.dockerfile.empty_continuations = std::move(findings.empty_continuations);
  sort(report.errors);
  sort(report.warnings);
  return report;
}

Result<Dockerfile> parse(std::string_view text, std::string_view file) {
  ParseReport report = parse_all(text, file);
  if (!report.errors.empty()) return located_error(file, report.errors.front());
  return std::move(report.dockerfile);
}

Result<Instruction> parse_trigger(std::string_view text, std::string_view origin) {
  if (const auto wrong = check_text(text)) return located_error(origin, *wrong);
  Findings findings;
  Directives directives;
  FileReader reader(text, directives, findings);
  auto item = reader.next();
  std::optional<FileReader::Item> second;
  if (item) second = reader.next();
  if (!findings.errors.empty()) return located_error(origin, findings.errors.front());
  if (!item) return located_error(origin, {0, 0}, "an ONBUILD trigger without an instruction");
  if (second) return located_error(origin, second->at, "an ONBUILD trigger may hold one instruction only");
  if (item->keyword == "FROM" || item->keyword == "ONBUILD" || item->keyword == "MAINTAINER") {
    return located_error(origin, item->at, "an ONBUILD trigger cannot be " + item->keyword);
  }
  return std::move(*item->instruction);
}

}  // namespace imagebuild::dockerfile
