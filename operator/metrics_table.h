// Every metric of the operator, said once: they are created from this table, and docs/reference/metrics.md is checked
// against it.
#pragma once

#include <string_view>

namespace imagebuild::controller {

enum class MetricType { kCounter, kGauge, kHistogram };

struct MetricSpec {
  std::string_view name;
  MetricType type;
  std::string_view labels;  // Separated by commas, in the order of the documentation.
  std::string_view help;
};

// The upper bounds of a histogram's buckets, in its unit; empty for other metrics.
struct Buckets {
  const double* begin_;
  const double* end_;
  const double* begin() const { return begin_; }
  const double* end() const { return end_; }
};

}  // namespace imagebuild::controller
