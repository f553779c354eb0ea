// Typed reads from untrusted JSON, for the parsers of this room only. null counts as absent, as in Docker's programs.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/digest.h"

namespace imagebuild::oci {

using Json = nlohmann::json;

// Text that must be one JSON object of at most `max_bytes` (kLimit); what it is goes into the message: "the manifest".
Result<Json> parse_json_object(std::string_view text, std::string_view what, std::uint64_t max_bytes);

// Deterministic text: sorted keys, no white space; bytes that are not UTF-8 become U+FFFD, as Go's encoder does.
std::string json_text(const Json& value);

// One object and where it is ("layers[2]"), so that a message can name the member that is wrong.
class JsonFields {
 public:
  // `object` must outlive this; kCorrupt if it is not an object.
  static Result<JsonFields> of(const Json& object, std::string where);

  // The member, or nullptr where it is absent or null.
  const Json* find(const char* name) const;

  // Absent members give the empty value. A wrong type, or text with a NUL byte, is kCorrupt.
  Result<std::string> text(const char* name) const;
  Result<bool> flag(const char* name) const;
  Result<std::int64_t> number(const char* name) const;
  Result<std::vector<std::string>> texts(const char* name) const;
  Result<std::map<std::string, std::string>> text_map(const char* name) const;
  // The keys of an object whose values say nothing: {"80/tcp": {}}. Sorted.
  Result<std::vector<std::string>> keys(const char* name) const;

  // Absent is kCorrupt, too; a digest of another algorithm is kUnsupported.
  Result<Digest> digest(const char* name) const;

  // kCorrupt: "layers[2].size must be …".
  Error wrong(const char* name, std::string_view must) const;
  std::string path(const char* name) const { return where_.empty() ? name : where_ + "." + name; }

 private:
  JsonFields(const Json& object, std::string where) : object_(&object), where_(std::move(where)) {}
  const Json* object_;
  std::string where_;
};

// A digest in a JSON string at `where`; see JsonFields::digest().
Result<Digest> json_digest(const Json& value, const std::string& where);

}  // namespace imagebuild::oci
