#include "kube/api_error.h"

namespace imagebuild::kube {
namespace {

constexpr std::size_t kMaxForeignBytes = 500;

ErrorCode code_of(int status, std::string_view reason, std::string_view message) {
  switch (status) {
    case 400:
    case 422:
      return ErrorCode::kInvalidInput;
    case 401:
      return ErrorCode::kDenied;
    case 403:
      return message.find("exceeded quota") != message.npos ? ErrorCode::kExhausted : ErrorCode::kDenied;
    case 404:
      return ErrorCode::kNotFound;
    case 405:
    case 406:
    case 415:
      return ErrorCode::kUnsupported;
    case 409:
      return reason == "AlreadyExists" ? ErrorCode::kInvalidInput : ErrorCode::kUnavailable;
    case 413:
      return ErrorCode::kLimit;
    default:
      return status >= 500 || status == 410 || status == 429 || status == 408 ? ErrorCode::kUnavailable
                                                                              : ErrorCode::kInternal;
  }
}

std::vector<Cause> causes_of(const Json& status_object) {
  std::vector<Cause> causes;
  const Json& list = at(status_object, {"details", "causes"});
  if (!list.is_array()) return causes;
  for (const Json& item : list) {
    causes.push_back({text_at(item, {"field"}), text_at(item, {"reason"}), text_at(item, {"message"})});
  }
  return causes;
}

// One line, without the final full stop.
std::string one_line(std::string_view text) {
  std::string line(text.substr(0, kMaxForeignBytes));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == '.')) line.pop_back();
  return line;
}

}  // namespace

bool ApiError::is_namespace_terminating() const {
  for (const Cause& cause : causes) {
    if (cause.reason == "NamespaceTerminating") return true;
  }
  return false;
}

ApiError error_from_status(const Json& status_object, std::string_view doing) {
  ApiError error;
  error.status = static_cast<int>(number_at(status_object, {"code"}, 500));
  error.reason = text_at(status_object, {"reason"});
  error.causes = causes_of(status_object);
  const std::string message = text_at(status_object, {"message"});
  error.code = code_of(error.status, error.reason, message);
  const long long seconds = number_at(status_object, {"details", "retryAfterSeconds"}, 0);
  if (seconds > 0 && seconds < 24 * 60 * 60) error.retry_after = std::chrono::seconds(seconds);
  error.message = "cannot " + std::string(doing) + ": " +
                  (message.empty() ? "the API server answered " + std::to_string(error.status) : one_line(message));
  return error;
}

ApiError error_from_answer(int status, std::string_view body, std::string_view doing) {
  const Json parsed = Json::parse(body, nullptr, false);
  if (text_at(parsed, {"kind"}) == "Status") {
    Json status_object = parsed;
    status_object["code"] = status;  // What the wire said counts.
    return error_from_status(status_object, doing);
  }
  ApiError error;
  error.status = status;
  error.code = code_of(status, "", body);
  error.message = "cannot " + std::string(doing) + ": the API server answered " + std::to_string(status);
  if (const std::string text = one_line(body); !text.empty()) error.message += " (" + text + ")";
  return error;
}

}  // namespace imagebuild::kube
