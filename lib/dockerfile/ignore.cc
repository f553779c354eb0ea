#include "dockerfile/ignore.h"

#include <utility>

#include "base/file.h"

namespace imagebuild::dockerfile {

namespace {

constexpr std::uint64_t kMaxFileBytes = 1U << 20;
constexpr std::size_t kMaxPatterns = 10'000;

// Go's strings.TrimSpace for ASCII.
std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Go's path.Clean: no doubled slashes, no ".", no "name/..", no slash at the end; "." when nothing is left.
std::string clean(std::string_view path) {
  const bool rooted = !path.empty() && path.front() == '/';
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!rooted) {
      parts.push_back(part);
    }
  }
  std::string result = rooted ? "/" : "";
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) result += '/';
    result += parts[i];
  }
  return result.empty() ? "." : result;
}

bool names_nothing_inside(std::string_view pattern) {
  return pattern.empty() || pattern == "." || pattern == "/" || pattern == ".." || pattern.substr(0, 3) == "../";
}

}  // namespace

Status IgnoreRules::add(std::string_view written) {
  const bool exception = written.front() == '!';
  if (exception) written = trim(written.substr(1));
  if (written.empty()) return Error{ErrorCode::kInvalidInput, "'!' must be followed by the pattern to keep"};
  std::string pattern = clean(written);
  if (pattern.size() > 1 && pattern.front() == '/') pattern.erase(0, 1);
  ASSIGN_OR_RETURN(Glob glob, Glob::parse(pattern, Glob::Syntax::kIgnore));
  if (names_nothing_inside(pattern)) return ok();
  if (rules_.size() == kMaxPatterns) {
    return Error{ErrorCode::kLimit, "more than " + std::to_string(kMaxPatterns) + " patterns"};
  }
  rules_.push_back(Rule{std::move(glob), exception});
  return ok();
}

Result<IgnoreRules> IgnoreRules::parse(std::string_view text) {
  if (text.size() > kMaxFileBytes) {
    return Error{ErrorCode::kLimit, "the file is larger than " + std::to_string(kMaxFileBytes) + " bytes"};
  }
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  IgnoreRules result;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (!line.empty() && line.front() == '#') continue;
    const std::string_view written = trim(line);
    if (!written.empty()) RETURN_IF_ERROR(result.add(written).in("line " + std::to_string(number)));
  }
  return result;
}

Result<IgnoreRules> IgnoreRules::from_patterns(std::span<const std::string> patterns) {
  IgnoreRules result;
  for (const std::string& pattern : patterns) {
    const std::string_view written = trim(pattern);
    if (!written.empty()) RETURN_IF_ERROR(result.add(written));
  }
  return result;
}

// Read from the last rule to the first: the first that matches is the last that counts.
bool IgnoreRules::excludes(std::string_view relative_path) const {
  if (relative_path.empty() || relative_path == ".") return false;
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->pattern.matches_or_parent(relative_path)) return !rule->exception;
  }
  return false;
}

// Only an exception behind the last rule that excludes the folder can bring something below it back.
bool IgnoreRules::may_contain_included(std::string_view relative_directory) const {
  if (relative_directory.empty() || relative_directory == ".") return true;
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->pattern.matches_or_parent(relative_directory)) return rule->exception;
    if (rule->exception && rule->pattern.may_match_below(relative_directory)) return true;
  }
  return true;
}

Result<IgnoreFile> read_ignore_file(const std::filesystem::path& context, const std::filesystem::path& dockerfile,
                                    const ReadOptionalFile& read) {
  std::vector<std::filesystem::path> candidates;
  if (!dockerfile.empty()) candidates.emplace_back(dockerfile.string() + ".dockerignore");
  candidates.push_back(context / ".dockerignore");
  for (const std::filesystem::path& path : candidates) {
    ASSIGN_OR_RETURN(const std::optional<std::string> text, read(path));
    if (!text) continue;
    ASSIGN_OR_RETURN(IgnoreRules rules, IgnoreRules::parse(*text).in(path.string()));
    return IgnoreFile{std::move(rules), path};
  }
  return IgnoreFile{};
}

Result<IgnoreFile> read_ignore_file(const std::filesystem::path& context, const std::filesystem::path& dockerfile) {
  const auto read = [](const std::filesystem::path& path) -> Result<std::optional<std::string>> {
    Result<std::string> text = read_file(path, kMaxFileBytes);
    if (text.ok()) return std::optional<std::string>(std::move(text).value());
    if (text.error().code == ErrorCode::kNotFound) return std::optional<std::string>();
    return text.error();
  };
  return read_ignore_file(context, dockerfile, read);
}

}  // namespace imagebuild::dockerfile
