#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "operator/metrics.h"
#include "operator/metrics_table.h"

namespace imagebuild::op {
namespace {

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

std::string page() {
  const auto top = std::filesystem::path(IMAGEBUILD_TEST_DATA) / "../../../..";
  std::ifstream file(top / "docs/reference/metrics.md");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string table() {
  std::string text = "| metric | type | labels | meaning |\n|---|---|---|---|\n";
  for (const MetricSpec& spec : kMetrics) {
    const char* type = spec.type == MetricType::kCounter ? "counter"
                       : spec.type == MetricType::kGauge ? "gauge"
                                                         : "histogram";
    std::string labels(spec.labels);
    labels = labels.empty() ? "" : "`" + replaced(labels, ",", "`, `") + "`";
    const std::string help = replaced(std::string(spec.help), "<error>", "`<error>`");
    text += "| `" + std::string(spec.name) + "` | " + type + " | " + labels + " | " + help + " |\n";
  }
  return text;
}

// Every word of the text that is called like a metric.
std::vector<std::string> metric_words(const std::string& text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_";
  std::vector<std::string> words;
  for (std::size_t at = text.find_first_of(kLetters); at != std::string::npos; at = text.find_first_of(kLetters, at)) {
    const std::string word = text.substr(at, text.find_first_not_of(kLetters, at) - at);
    at += word.size();
    for (const char* family :
         {"imagebuild_", "workqueue_", "controller_runtime_", "rest_client_", "leader_election_", "process_"}) {
      if (word.starts_with(family) && word != family) words.push_back(word);
    }
  }
  return words;
}

// A failure prints the table to put there.
TEST(MetricsPage, DescribesEveryMetric) {
  const std::string text = page(), begin = "<!-- metrics -->\n";
  const auto from = text.find(begin);
  ASSERT_NE(from, std::string::npos);
  EXPECT_EQ(text.substr(from + begin.size(), text.find("<!-- end -->") - from - begin.size()), table());
}

TEST(MetricsPage, QueriesOnlyWhatExists) {
  std::set<std::string> known;
  for (const MetricSpec& spec : kMetrics) {
    const std::string name(spec.name);
    known.insert(name);
    if (spec.type == MetricType::kHistogram) known.insert({name + "_bucket", name + "_sum", name + "_count"});
  }
  const std::string text = page();
  const std::vector<std::string> found = metric_words(text);
  for (const std::string& word : found) EXPECT_TRUE(known.contains(word)) << word << " is no metric of the operator";
  EXPECT_GT(found.size(), 30U);
}

// promtool, of Debian's package prometheus, knows the format and how metrics should be called.
TEST(MetricsText, IsWhatPromtoolCallsGood) {
  if (std::system("command -v promtool >/dev/null") != 0) {
    ASSERT_EQ(std::getenv("CI"), nullptr) << "CI lacks promtool";
    GTEST_SKIP() << "promtool is not installed";
  }
  Metrics metrics({.version = "1.2.3", .workers = 4, .lease_name = "imagebuild-operator"});
  metrics.build_finished("team", BuildResult::kFailed, "StepFailed", Metrics::Seconds(1));
  FILE* promtool = ::popen("promtool check metrics", "w");
  ASSERT_NE(promtool, nullptr);
  const std::string text = metrics.text();
  EXPECT_EQ(std::fwrite(text.data(), 1, text.size(), promtool), text.size());
  EXPECT_EQ(WEXITSTATUS(::pclose(promtool)), 0);
}

}  // namespace
}  // namespace imagebuild::op
