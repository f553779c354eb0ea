#include "cli/lint_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "cli/terminal_text.h"
#include "dockerfile/location.h"
#include "lint/rules.h"

namespace imagebuild::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kJsonVersion = 1;

// Where a rule is explained, from the top of imagebuild's documentation; empty when it is nowhere.
std::string page_of(const std::string& rule) {
  if (rule == kDockerfileError) return "docs/reference/dockerfile.md";
  const lint::Rule* const known = lint::find_rule(rule);
  return known == nullptr ? "" : known->page();
}

std::string summary_of(const std::string& rule) {
  if (rule == kDockerfileError) return "The Dockerfile can be built";
  const lint::Rule* const known = lint::find_rule(rule);
  return known == nullptr ? rule : std::string(known->summary);
}

const char* level_of(const LintFinding& finding) {
  return finding.is_error ? "error" : "warning";
}

// The column in characters, which SARIF counts; ours count bytes.
int character_column(std::string_view source, const api::SourceLine& at) {
  for (int line = 1; line < at.line && !source.empty(); ++line) {
    source.remove_prefix(std::min(source.find('\n'), source.size() - 1) + 1);
  }
  source = source.substr(0, std::min(source.find('\n'), static_cast<std::size_t>(std::max(at.column, 1)) - 1));
  int column = 1;
  for (const char c : source) column += (static_cast<unsigned char>(c) & 0xC0U) == 0x80U ? 0 : 1;
  return column;
}

// A path as a URI reference (RFC 3986): everything but unreserved characters and slashes is escaped.
std::string uri_of(std::string_view path) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string uri = path.starts_with('/') ? "file://" : "";
  for (const char c : path) {
    if (kPlain.find(c) != std::string_view::npos) {
      uri += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    uri += '%';
    uri += kDigits[byte >> 4U];
    uri += kDigits[byte & 0x0FU];
  }
  return uri;
}

Json sarif_result(const LintReport& report, const LintFinding& finding) {
  Json place = {{"artifactLocation", {{"uri", uri_of(report.file)}}}};
  if (finding.warning.at.line > 0) {
    place["region"] = {{"startLine", finding.warning.at.line},
                       {"startColumn", character_column(report.source, finding.warning.at)}};
  }
  Json result = {{"ruleId", finding.warning.rule},
                 {"level", level_of(finding)},
                 {"message", {{"text", finding.warning.message}}},
                 {"locations", Json::array({{{"physicalLocation", std::move(place)}}})}};
  if (finding.warning.rule.empty()) result.erase("ruleId");
  return result;
}

Json sarif_rules(const LintReport& report) {
  std::set<std::string> names;
  for (const LintFinding& finding : report.findings) {
    if (!finding.warning.rule.empty()) names.insert(finding.warning.rule);
  }
  Json rules = Json::array();
  for (const std::string& name : names) {
    Json rule = {{"id", name}, {"shortDescription", {{"text", summary_of(name)}}}};
    const lint::Rule* const known = lint::find_rule(name);
    if (known != nullptr && !known->uri().empty()) rule["helpUri"] = known->uri();
    rule["help"] = {{"text", "see " + page_of(name)}};
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string lint_text(const LintReport& report) {
  std::string text;
  for (const LintFinding& finding : report.findings) {
    const api::Warning& warning = finding.warning;
    const std::string name = warning.rule.empty() ? "" : warning.rule + ": ";
    if (!text.empty()) text += "\n";
    text += dockerfile::render(
        printable(report.file), report.source,
        dockerfile::Diagnostic{
            ErrorCode::kInvalidInput, {warning.at.line, warning.at.column}, name + printable(warning.message)});
    if (const std::string page = page_of(warning.rule); !page.empty()) text += "  see " + page + "\n";
  }
  return text;
}

std::string lint_json(const LintReport& report) {
  Json findings = Json::array();
  for (const LintFinding& finding : report.findings) {
    const api::Warning& warning = finding.warning;
    Json json = {{"rule", warning.rule}, {"level", level_of(finding)}, {"message", warning.message}};
    if (warning.at.line > 0) {
      json["line"] = warning.at.line;
      json["column"] = warning.at.column;
    }
    if (const std::string page = page_of(warning.rule); !page.empty()) json["page"] = page;
    findings.push_back(std::move(json));
  }
  return dumped({{"version", kJsonVersion}, {"dockerfile", report.file}, {"findings", std::move(findings)}});
}

std::string lint_sarif(const LintReport& report) {
  Json results = Json::array();
  for (const LintFinding& finding : report.findings) results.push_back(sarif_result(report, finding));
  return dumped(
      {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
       {"version", "2.1.0"},
       {"runs", Json::array({{{"tool", {{"driver", {{"name", "imagebuild"}, {"rules", sarif_rules(report)}}}}},
                              {"columnKind", "unicodeCodePoints"},
                              {"results", std::move(results)}}})}});
}

}  // namespace imagebuild::cli
