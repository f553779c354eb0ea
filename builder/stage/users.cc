#include "builder/stage/users.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "base/nearest.h"

namespace imagebuild::builder {
namespace {

constexpr std::uint64_t kMaxFileBytes = 8U << 20;

struct PasswdLine {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home;
};
struct GroupLine {
  std::string name;
  std::uint32_t gid = 0;
  std::vector<std::string> members;
};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// A user or group number; the largest is the system's word for "none".
std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (value == std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return value;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

Result<std::vector<PasswdLine>> read_passwd(const TreeView& root) {
  std::vector<PasswdLine> lines;
  ASSIGN_OR_RETURN(const std::optional<std::string> text, root.read_small("etc/passwd", kMaxFileBytes));
  if (!text) return lines;
  for (const std::string_view line : split(*text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 4 || fields[0].empty() || fields[0].starts_with('#')) continue;
    const auto uid = number(fields[2]);
    const auto gid = number(fields[3]);
    if (!uid || !gid) continue;
    lines.push_back({std::string(fields[0]), *uid, *gid, fields.size() > 5 ? std::string(fields[5]) : std::string()});
  }
  return lines;
}

Result<std::vector<GroupLine>> read_group(const TreeView& root) {
  std::vector<GroupLine> lines;
  ASSIGN_OR_RETURN(const std::optional<std::string> text, root.read_small("etc/group", kMaxFileBytes));
  if (!text) return lines;
  for (const std::string_view line : split(*text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 3 || fields[0].empty() || fields[0].starts_with('#')) continue;
    const auto gid = number(fields[2]);
    if (!gid) continue;
    GroupLine group{std::string(fields[0]), *gid, {}};
    if (fields.size() > 3) {
      for (const std::string_view member : split(fields[3], ',')) group.members.emplace_back(member);
    }
    lines.push_back(std::move(group));
  }
  return lines;
}

template <class Line>
Error unknown(std::string_view kind, std::string_view name, const char* file, const std::vector<Line>& lines) {
  std::vector<std::string> names;
  for (const Line& line : lines) names.push_back(line.name);
  std::string message = "unknown " + std::string(kind) + " '" + std::string(name) + "': ";
  message += names.empty() ? std::string("the stage has no ") + file + ", so use a number"
                           : std::string("the stage's ") + file + " has no such name";
  if (const auto near = nearest(name, names)) message += "; did you mean '" + *near + "'?";
  return Error{ErrorCode::kNotFound, message};
}

struct Names {
  std::string_view user;
  std::optional<std::string_view> group;
};

Result<Names> parse_names(std::string_view text) {
  const auto parts = split(text, ':');
  if (parts.size() > 2 || (parts.size() == 2 && parts[1].empty())) {
    return Error{ErrorCode::kInvalidInput, "'" + std::string(text) + "' is not of the form user or user:group"};
  }
  Names names{parts[0], std::nullopt};
  if (parts.size() == 2) names.group = parts[1];
  return names;
}

Result<std::uint32_t> resolve_group(const TreeView& root, std::string_view group) {
  if (is_number(group)) {
    if (const auto gid = number(group)) return *gid;
    return Error{ErrorCode::kInvalidInput, "the group number " + std::string(group) + " is too large"};
  }
  ASSIGN_OR_RETURN(const std::vector<GroupLine> lines, read_group(root));
  for (const GroupLine& line : lines) {
    if (line.name == group) return line.gid;
  }
  return unknown("group", group, "/etc/group", lines);
}

// The line of a name or, where no line has it as its name, of a number.
const PasswdLine* find_account(const std::vector<PasswdLine>& lines, std::string_view user) {
  for (const PasswdLine& line : lines) {
    if (line.name == user) return &line;
  }
  const auto uid = number(user);
  for (const PasswdLine& line : lines) {
    if (uid && line.uid == *uid) return &line;
  }
  return nullptr;
}

}  // namespace

Result<Account> resolve_user(const TreeView& root, std::string_view user) {
  ASSIGN_OR_RETURN(const Names names, parse_names(user));
  ASSIGN_OR_RETURN(const std::vector<PasswdLine> passwd, read_passwd(root));
  const std::string_view wanted = names.user.empty() ? std::string_view("0") : names.user;
  const PasswdLine* line = find_account(passwd, wanted);
  Account account;
  if (line != nullptr) {
    account.uid = line->uid;
    account.gid = line->gid;
    if (!line->home.empty()) account.home = line->home;
  } else if (const auto uid = number(wanted)) {
    account.uid = *uid;
  } else if (is_number(wanted)) {
    return Error{ErrorCode::kInvalidInput, "the user number " + std::string(wanted) + " is too large"};
  } else {
    return unknown("user", wanted, "/etc/passwd", passwd);
  }
  if (names.group) {
    ASSIGN_OR_RETURN(account.gid, resolve_group(root, *names.group));
  }
  // The own group is listed too: a set-group-ID program could drop it otherwise (CVE-2022-36109).
  account.groups = {account.gid};
  if (names.group || line == nullptr) return account;
  ASSIGN_OR_RETURN(const std::vector<GroupLine> groups, read_group(root));
  for (const GroupLine& group : groups) {
    const bool member = std::find(group.members.begin(), group.members.end(), line->name) != group.members.end();
    if (member) account.groups.push_back(group.gid);
  }
  std::sort(account.groups.begin(), account.groups.end());
  account.groups.erase(std::unique(account.groups.begin(), account.groups.end()), account.groups.end());
  return account;
}

Result<Owner> resolve_owner(const TreeView& root, std::string_view text) {
  ASSIGN_OR_RETURN(const Names names, parse_names(text));
  Owner owner;
  if (is_number(names.user)) {
    const auto uid = number(names.user);
    if (!uid) return Error{ErrorCode::kInvalidInput, "the user number " + std::string(names.user) + " is too large"};
    owner = {*uid, *uid};
  } else if (!names.user.empty()) {
    ASSIGN_OR_RETURN(const std::vector<PasswdLine> passwd, read_passwd(root));
    const PasswdLine* line = find_account(passwd, names.user);
    if (line == nullptr) return unknown("user", names.user, "/etc/passwd", passwd);
    owner = {line->uid, line->gid};
  }
  if (names.group) {
    ASSIGN_OR_RETURN(owner.gid, resolve_group(root, *names.group));
  }
  return owner;
}

}  // namespace imagebuild::builder
