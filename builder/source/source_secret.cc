#include "builder/source/source_secret.h"

#include "base/file.h"

namespace imagebuild::builder {

namespace {
constexpr std::uint64_t kMaxBytes = 1U << 20;  // Kubernetes takes no larger Secret.
}  // namespace

bool SourceSecret::has(const char* key) const {
  std::error_code error;
  return std::filesystem::is_regular_file(file(key), error);
}

Result<std::string> SourceSecret::text(const char* key) const {
  Result<std::string> value = read_file(file(key), kMaxBytes);
  if (value.ok()) return value;
  return Error{ErrorCode::kInvalidInput,
               "the key '" + std::string(key) + "' of Secret '" + name_ + "' cannot be read: " + value.error().message};
}

Result<std::string> SourceSecret::line(const char* key) const {
  ASSIGN_OR_RETURN(std::string value, text(key));
  while (value.ends_with('\n') || value.ends_with('\r')) value.pop_back();
  if (value.find_first_of(std::string_view("\n\r\0", 3)) == std::string::npos) return value;
  return Error{ErrorCode::kInvalidInput,
               "the key '" + std::string(key) + "' of Secret '" + name_ + "' must have one line"};
}

Result<WebCredential> web_credential(const SourceSecret& secret) {
  WebCredential credential;
  if (secret.has("username")) {
    ASSIGN_OR_RETURN(credential.username, secret.line("username"));
  }
  const bool has_password = secret.has("password");
  if (has_password || secret.has("token")) {
    ASSIGN_OR_RETURN(credential.password, secret.line(has_password ? "password" : "token"));
  }
  const bool complete = !credential.password.empty() && (!has_password || !credential.username.empty());
  if (complete) return credential;
  return Error{ErrorCode::kInvalidInput,
               "Secret '" + secret.name() + "' must have the keys username and password, or token"};
}

}  // namespace imagebuild::builder
