// The operator's log: one line an event on stderr, as JSON for machines or as text for people.
#pragma once

#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace imagebuild::op {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
std::optional<LogLevel> parse_log_level(std::string_view name);

struct LogField {
  std::string_view name;
  std::string value;
};

// For any thread.
class Log {
 public:
  struct Options {
    bool json = true;
    LogLevel least = LogLevel::kInfo;
    int fd = 2;
    Clock now = system_clock_now;
  };
  explicit Log(Options options) : options_(std::move(options)) {}

  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) const;
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) const;
  void warning(std::string_view message, std::initializer_list<LogField> fields = {}) const;
  void error(std::string_view message, std::initializer_list<LogField> fields = {}) const;

 private:
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) const;

  const Options options_;
  mutable std::mutex mutex_;
};

}  // namespace imagebuild::op
