#include "operator/log.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/timestamp.h"

namespace imagebuild::op {

namespace {

constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};

std::string as_json(const std::string& time, std::string_view level, std::string_view message,
                    std::initializer_list<LogField> fields) {
  nlohmann::ordered_json line = {{"time", time}, {"level", level}, {"message", message}};
  for (const LogField& field : fields) line[std::string(field.name)] = field.value;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string as_text(const std::string& time, std::string_view level, std::string_view message,
                    std::initializer_list<LogField> fields) {
  std::string line = time + " " + std::string(level) + ": " + std::string(message);
  for (const LogField& field : fields) line += " " + std::string(field.name) + "=" + field.value;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return line;
}

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

void Log::debug(std::string_view message, std::initializer_list<LogField> fields) const {
  write(LogLevel::kDebug, message, fields);
}
void Log::info(std::string_view message, std::initializer_list<LogField> fields) const {
  write(LogLevel::kInfo, message, fields);
}
void Log::warning(std::string_view message, std::initializer_list<LogField> fields) const {
  write(LogLevel::kWarning, message, fields);
}
void Log::error(std::string_view message, std::initializer_list<LogField> fields) const {
  write(LogLevel::kError, message, fields);
}

void Log::write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) const {
  if (level < options_.least) return;
  const std::string time = micro_time_text(options_.now());
  const std::string_view name = kNames[static_cast<std::size_t>(level)];
  const std::string line =
      (options_.json ? as_json(time, name, message, fields) : as_text(time, name, message, fields)) + "\n";
  const std::lock_guard lock(mutex_);
  [[maybe_unused]] const ssize_t written = ::write(options_.fd, line.data(), line.size());
}

}  // namespace imagebuild::op
