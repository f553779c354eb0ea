#include "registry/refusal.h"

#include <nlohmann/json.hpp>

#include "http/retry.h"

namespace imagebuild::registry {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxBodyBytes = 64 * 1024;
constexpr std::size_t kMaxDetailBytes = 300;

// The first error of the body, or an object that has no members.
json first_error(std::string_view body) {
  const json root = json::parse(body, nullptr, false);
  if (!root.is_object()) return json::object();
  const auto errors = root.find("errors");
  if (errors == root.end() || !errors->is_array() || errors->empty() || !errors->front().is_object()) {
    return json::object();
  }
  return errors->front();
}

std::string text_member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string cleaned(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  }
  if (text.size() > kMaxDetailBytes) {
    text.resize(kMaxDetailBytes);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80U) != 0) text.pop_back();
    text += "…";
  }
  while (text.ends_with('.') || text.ends_with(' ')) text.pop_back();
  return text;
}

ErrorCode code_for(int status, const std::string& registry_code) {
  if (registry_code == "DIGEST_INVALID") return ErrorCode::kCorrupt;
  if (status == 401 || status == 403) return ErrorCode::kDenied;
  if (status == 404) return ErrorCode::kNotFound;
  if (status == 405 || status == 501) return ErrorCode::kUnsupported;
  if (status == 413) return ErrorCode::kLimit;
  if (status >= 500 || http::is_transient(status)) return ErrorCode::kUnavailable;
  return ErrorCode::kInvalidInput;
}

}  // namespace

std::string error_detail(std::string_view body) {
  const json error = first_error(body);
  std::string text = text_member(error, "message");
  if (text.empty()) text = text_member(error, "code");
  return cleaned(std::move(text));
}

Error refusal(Authorizer& authorizer, const Target& target, const Doing& doing, http::Response& response) {
  const auto body = response.body ? read_all(*response.body, kMaxBodyBytes) : Result<std::string>(std::string());
  const std::string text = body.ok() ? *body : std::string();
  const std::string detail = error_detail(text);
  const std::string because = detail.empty() ? "" : ": " + detail;
  const std::string status = " (" + std::to_string(response.status) + ")";
  const std::string registry = "registry " + target.endpoint.name;
  const ErrorCode code = code_for(response.status, text_member(first_error(text), "code"));
  switch (code) {
    case ErrorCode::kDenied:
      return {code, registry + " refused " + doing.what + because + "; " + authorizer.advice(target)};
    case ErrorCode::kNotFound:
      return {code, doing.not_found};
    case ErrorCode::kUnavailable:
      if (response.status == 429) return {code, registry + " limits how often it may be asked" + status + because};
      return {code, registry + " failed during " + doing.what + status + because};
    default:
      return {code, registry + " did not accept " + doing.what + status + because};
  }
}

}  // namespace imagebuild::registry
