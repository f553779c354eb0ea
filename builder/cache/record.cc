#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "builder/cache/store.h"

namespace imagebuild::builder {

namespace {

using nlohmann::json;

constexpr int kVersion = 1;

Error broken(const std::string& what) {
  return Error{ErrorCode::kCorrupt, "a record of the cache " + what};
}

// Written in one way only.
bool stays_inside(const std::string& path) {
  const std::filesystem::path it(path);
  return it.is_relative() && it.has_filename() && it != "." && it.lexically_normal() == it && *it.begin() != ".." &&
         path.find('\0') == std::string::npos && path.find("//") == std::string::npos;
}

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<CachedFile> read_file_entry(const json& entry) {
  if (!entry.is_object()) return broken("names a file that is no object");
  CachedFile file{text_at(entry, "path"), text_at(entry, "digest"), 0};
  if (!stays_inside(file.path)) return broken("names the file '" + file.path + "'");
  if (!oci::Digest::parse(file.digest).ok()) return broken("has the broken digest '" + file.digest + "'");
  const auto size = entry.find("size");
  if (size == entry.end() || !size->is_number_unsigned()) return broken("names a file without a size");
  file.size_bytes = size->get<std::uint64_t>();
  return file;
}

}  // namespace

std::string CacheRecord::json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const CachedFile& file : files) {
    list.push_back({{"path", file.path}, {"digest", file.digest}, {"size", file.size_bytes}});
  }
  nlohmann::json document{{"version", kVersion}, {"title", title}, {"content", content}, {"files", list}};
  if (!outline.empty()) document["outline"] = outline;
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<CacheRecord> CacheRecord::parse(std::string_view text) {
  const nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) return broken("is not a JSON object");
  const auto version = document.find("version");
  if (version == document.end() || *version != kVersion) return broken("has another version than this program reads");
  CacheRecord record{text_at(document, "title"), text_at(document, "content"), {}, text_at(document, "outline")};
  if (!record.outline.empty() && !oci::Digest::parse("sha256:" + record.outline).ok()) {
    return broken("has the broken outline '" + record.outline + "'");
  }
  if (record.content.size() > kMaxContentBytes) return broken("is too long");
  const auto list = document.find("files");
  if (list == document.end() || !list->is_array()) return broken("has no list of files");
  for (const nlohmann::json& entry : *list) {
    ASSIGN_OR_RETURN(CachedFile file, read_file_entry(entry));
    record.files.push_back(std::move(file));
  }
  if (std::ranges::adjacent_find(record.files, std::greater_equal(), &CachedFile::path) != record.files.end()) {
    return broken("names a file twice or out of order");
  }
  return record;
}

}  // namespace imagebuild::builder
