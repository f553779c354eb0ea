#include "builder/source/git_failure.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace imagebuild::builder {

namespace {

struct Meaning {
  std::string_view words;  // In lower case; git's own, in the C locale.
  ErrorCode code;
  std::string_view sentence;  // HOST is replaced.
};

constexpr std::string_view kRefused = "HOST refused the credentials";
constexpr std::string_view kUnreachable = "HOST cannot be reached";
constexpr std::string_view kMissing = "there is no such repository on HOST, or it takes (other) credentials to see it";
constexpr std::string_view kUntrusted = "the certificate of HOST is not trusted";

// The first that occurs counts.
constexpr auto kMeanings = std::to_array<Meaning>({
    {"no space left on device", ErrorCode::kExhausted, "the disk is full"},
    {"disk quota exceeded", ErrorCode::kExhausted, "the disk's quota is used up"},
    {"host key verification failed", ErrorCode::kDenied,
     "the SSH key of HOST is not the one in known_hosts, or is missing there"},
    {"authentication failed", ErrorCode::kDenied, kRefused},
    {"could not read username", ErrorCode::kDenied, kRefused},
    {"could not read password", ErrorCode::kDenied, kRefused},
    {"permission denied (", ErrorCode::kDenied, kRefused},
    {"permission denied, please try again", ErrorCode::kDenied, kRefused},
    {"error in libcrypto", ErrorCode::kDenied, "the SSH key cannot be read"},
    {"invalid format", ErrorCode::kDenied, "the SSH key cannot be read"},
    {"http basic: access denied", ErrorCode::kDenied, kRefused},
    {"returned error: 401", ErrorCode::kDenied, kRefused},
    {"returned error: 403", ErrorCode::kDenied, kRefused},
    {"ssl certificate problem", ErrorCode::kDenied, kUntrusted},
    {"certificate verification failed", ErrorCode::kDenied, kUntrusted},
    {"access denied or repository not exported", ErrorCode::kNotFound, kMissing},
    {"repository not found", ErrorCode::kNotFound, kMissing},
    {"does not appear to be a git repository", ErrorCode::kNotFound, kMissing},
    {"returned error: 404", ErrorCode::kNotFound, kMissing},
    {"couldn't find remote ref", ErrorCode::kNotFound, "there is no such revision"},
    {"transport 'file' not allowed", ErrorCode::kUnsupported, "a file:// address is not allowed"},
    {"transport '", ErrorCode::kUnsupported, "only https, http, ssh and git addresses are allowed"},
    {"could not resolve host", ErrorCode::kUnavailable, "the name HOST cannot be resolved"},
    {"unable to look up", ErrorCode::kUnavailable, "the name HOST cannot be resolved"},
    {"name or service not known", ErrorCode::kUnavailable, "the name HOST cannot be resolved"},
    {"connection refused", ErrorCode::kUnavailable, kUnreachable},
    {"timed out", ErrorCode::kUnavailable, kUnreachable},
    {"failed to connect", ErrorCode::kUnavailable, kUnreachable},
    {"unable to connect", ErrorCode::kUnavailable, kUnreachable},
    {"couldn't connect", ErrorCode::kUnavailable, kUnreachable},
    {"no route to host", ErrorCode::kUnavailable, kUnreachable},
    {"network is unreachable", ErrorCode::kUnavailable, kUnreachable},
});

// Git says this of an address without a repository: "fatal: repository 'https://…' not found".
bool says_not_found(std::string_view text) {
  const std::size_t repository = text.find("repository '");
  return repository != std::string_view::npos && text.find("' not found", repository) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string with_host(std::string_view sentence, const std::string& host) {
  std::string text(sentence);
  const std::size_t at = text.find("HOST");
  if (at != std::string::npos) text.replace(at, 4, host);
  return text;
}

// The line that says most: the last with "fatal:" or "error:", else the last.
std::string telling_line(std::string_view text) {
  std::string best;
  std::string last;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\r"), text.size());
    std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    std::erase_if(line, [](unsigned char c) { return std::iscntrl(c) != 0; });
    if (line.empty()) continue;
    if (line.find("fatal:") != std::string::npos || line.find("error:") != std::string::npos) best = line;
    last = std::move(line);
  }
  constexpr std::size_t kMost = 300;
  return (best.empty() ? last : best).substr(0, kMost);
}

}  // namespace

Error git_failure(std::string_view stderr_text, const std::string& host, std::string_view hint) {
  const std::string text = lower(stderr_text);
  std::string words = telling_line(stderr_text);
  if (words.empty()) words = "git ended without saying why";
  const auto found = std::ranges::find_if(
      kMeanings, [&](const Meaning& meaning) { return text.find(meaning.words) != std::string::npos; });
  Error error{ErrorCode::kUnavailable, ""};
  if (found != kMeanings.end()) {
    error = Error{found->code, with_host(found->sentence, host)};
  } else if (says_not_found(text)) {
    error = Error{ErrorCode::kNotFound, with_host(kMissing, host)};
  } else {
    return Error{ErrorCode::kUnavailable, "git failed (" + words + ")"};
  }
  if (found != kMeanings.end() && found->sentence == kRefused && !hint.empty()) {
    error.message = host + " wants credentials: " + std::string(hint);
  }
  error.message += " (" + words + ")";
  return error;
}

}  // namespace imagebuild::builder
