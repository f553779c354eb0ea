#include "dockerfile/remote_source.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "dockerfile/booleans.h"

namespace imagebuild::dockerfile {

namespace {

constexpr std::size_t kMaxBytes = 16 * 1024;
constexpr const char* kUnnamed = "__unnamed__";

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Error broken(std::string_view text, std::string_view why) {
  return Error{ErrorCode::kInvalidInput, "the address '" + std::string(text) + "' " + std::string(why)};
}

// "%2F" → "/", and '+' → ' ' in a query; nothing when a '%' has no two digits behind it or a control character comes
// out.
std::optional<std::string> decode(std::string_view text, bool query) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (query && c == '+') {
      c = ' ';
    }
    if (is_control(c)) return std::nullopt;
    result += c;
  }
  return result;
}

// Clean and relative; ".." stops at the top, as in a root.
std::string clean_folder(const std::string& folder) {
  std::string clean = (std::filesystem::path("/") / ("./" + folder)).lexically_normal().string();
  while (clean.ends_with('/')) clean.pop_back();
  clean.erase(0, clean.find_first_not_of('/'));
  return clean;
}

// The text cut into what git or a server is asked, and what only we read.
struct Parts {
  std::string_view scheme;  // Empty: user@host:path.
  std::string_view address;
  std::string_view query;
  std::string_view fragment;
  std::string_view path;  // Part of address, encoded.
};

// "user@host:path…", nothing else. Without a user it would be a path with a colon.
bool is_scp_address(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos || at == 0) return false;
  const std::size_t colon = text.find(':', at);
  if (colon == std::string_view::npos || colon == at + 1) return false;
  return std::ranges::all_of(text.substr(0, at), [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; }) &&
         std::ranges::all_of(text.substr(at + 1, colon - at - 1),
                             [](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; });
}

Parts split(std::string_view text, std::size_t scheme_end) {
  Parts parts;
  const std::size_t hash = text.find('#');
  if (hash != std::string_view::npos) parts.fragment = text.substr(hash + 1);
  parts.address = text.substr(0, hash);
  const std::size_t mark = parts.address.find('?');
  if (mark != std::string_view::npos) parts.query = parts.address.substr(mark + 1);
  parts.address = parts.address.substr(0, mark);
  if (scheme_end == std::string_view::npos) {
    parts.path = parts.address.substr(parts.address.find(':') + 1);
  } else {
    parts.scheme = text.substr(0, scheme_end);
    const std::size_t slash = parts.address.find('/', scheme_end + 3);
    if (slash != std::string_view::npos) parts.path = parts.address.substr(slash);
  }
  return parts;
}

using Query = std::map<std::string, std::string>;

Result<Query> parse_query(std::string_view text, std::string_view query) {
  Query values;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::optional<std::string> key = decode(pair.substr(0, equals), true);
    const std::optional<std::string> value =
        decode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
    if (!key || !value) return broken(text, "has a query that is not encoded well");
    if (!values.emplace(*key, *value).second) return broken(text, "says '" + *key + "' twice");
  }
  return values;
}

// What a text says in two ways must be the same.
Status agree(std::string_view text, const std::string& name, const std::string& value, std::string& there) {
  if (!there.empty() && there != value) {
    return broken(text, "says two things of '" + name + "': '" + there + "' and '" + value + "'");
  }
  there = value;
  return ok();
}

std::string with_prefix(const std::string& name, std::string_view prefix) {
  return name.starts_with(prefix) ? name : std::string(prefix) + name;
}

Status apply_query(std::string_view text, const Query& query, RemoteUrl& remote) {
  if (query.contains("tag") && query.contains("branch")) return broken(text, "names both a tag and a branch");
  for (const auto& [key, value] : query) {
    if (key == "keep-git-dir" || key == "submodules") {
      const std::optional<bool> yes = value.empty() ? true : parse_boolean(value);
      if (!yes) return broken(text, "must say true or false as '" + key + "', not '" + value + "'");
      (key == "submodules" ? remote.submodules : remote.keep_git_dir) = *yes;
      continue;
    }
    if (value.empty()) return broken(text, "gives '" + key + "' no value");
    if (key == "ref") {
      RETURN_IF_ERROR(agree(text, key, value, remote.ref));
    } else if (key == "subdir") {
      RETURN_IF_ERROR(agree(text, key, value, remote.folder));
    } else if (key == "checksum" || key == "commit") {
      RETURN_IF_ERROR(agree(text, key, value, remote.checksum));
    } else if (key != "tag" && key != "branch") {
      return broken(text, "has the unknown query '" + key +
                              "'; known are ref, branch, tag, subdir, checksum, keep-git-dir and submodules");
    }
  }
  // After `ref`, which may name the same in full.
  if (const auto tag = query.find("tag"); tag != query.end()) {
    RETURN_IF_ERROR(agree(text, "ref", with_prefix(tag->second, "refs/tags/"), remote.ref));
  }
  if (const auto branch = query.find("branch"); branch != query.end()) {
    RETURN_IF_ERROR(agree(text, "ref", with_prefix(branch->second, "refs/heads/"), remote.ref));
  }
  if (remote.ref.empty()) remote.ref = remote.checksum;
  return ok();
}

Result<std::optional<RemoteUrl>> parse_git(std::string_view text, const Parts& parts, const std::string& scheme) {
  RemoteUrl remote;
  remote.kind = RemoteUrl::Kind::kGit;
  if (parts.path.empty() || parts.path == "/") return broken(text, "names no repository");
  remote.url =
      scheme.empty() ? std::string(parts.address) : scheme + std::string(parts.address.substr(parts.scheme.size()));
  const std::optional<std::string> fragment = decode(parts.fragment, false);
  if (!fragment) return broken(text, "has something behind '#' that is not encoded well");
  const std::size_t colon = fragment->find(':');
  remote.ref = fragment->substr(0, colon);
  if (colon != std::string::npos) remote.folder = fragment->substr(colon + 1);
  ASSIGN_OR_RETURN(const Query query, parse_query(text, parts.query));
  RETURN_IF_ERROR(apply_query(text, query, remote));
  if (remote.ref.starts_with('-')) return broken(text, "names a revision that begins with '-'");
  remote.folder = clean_folder(remote.folder);
  return std::optional(std::move(remote));
}

std::string file_name(const std::string& path) {
  std::string_view name = path;
  while (name.ends_with('/')) name.remove_suffix(1);
  name.remove_prefix(std::min(name.rfind('/') + 1, name.size()));
  return name.empty() || name == "." || name == ".." ? kUnnamed : std::string(name);
}

}  // namespace

Result<std::optional<RemoteUrl>> parse_remote(std::string_view text) {
  const std::size_t scheme_end = text.find("://");
  const bool has_scheme = scheme_end != std::string_view::npos && scheme_end > 0 &&
                          std::ranges::all_of(text.substr(0, scheme_end), is_alphanumeric);
  if (!has_scheme && !is_scp_address(text)) return std::optional<RemoteUrl>();
  if (text.size() > kMaxBytes) return Error{ErrorCode::kLimit, "an address is longer than 16 KiB"};
  if (std::ranges::any_of(text, [](char c) { return is_control(c) || c == ' '; })) {
    return broken(text, "has a blank or a control character in it; write a blank as %20");
  }
  const Parts parts = split(text, has_scheme ? scheme_end : std::string_view::npos);
  std::string scheme(parts.scheme);
  std::ranges::transform(scheme, scheme.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (scheme.empty() || scheme == "ssh" || scheme == "git") return parse_git(text, parts, scheme);
  if (scheme != "http" && scheme != "https") {
    return Error{ErrorCode::kUnsupported, "'" + std::string(text) + "' has the scheme '" + scheme +
                                              "'; only http, https, ssh and git work here"};
  }
  const std::size_t host = scheme_end + 3;
  if (host >= parts.address.size() || parts.address[host] == '/') return broken(text, "has no host");
  const std::optional<std::string> path = decode(parts.path, false);
  if (!path) return broken(text, "has a path that is not encoded well");
  if (path->ends_with(".git")) return parse_git(text, parts, scheme);
  RemoteUrl remote;
  remote.url = std::string(text.substr(0, text.find('#')));
  remote.file_name = file_name(*path);
  return std::optional(std::move(remote));
}

}  // namespace imagebuild::dockerfile
