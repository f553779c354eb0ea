#include "oci/json_fields.h"

#include <utility>

namespace imagebuild::oci {

namespace {

bool is_text(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().find('\0') == std::string::npos;
}

Error corrupt(std::string message) {
  return Error{ErrorCode::kCorrupt, std::move(message)};
}

}  // namespace

Result<Json> parse_json_object(std::string_view text, std::string_view what, std::uint64_t max_bytes) {
  if (text.size() > max_bytes) {
    return Error{ErrorCode::kLimit, std::string(what) + " has " + std::to_string(text.size()) + " bytes; at most " +
                                        std::to_string(max_bytes) + " are read"};
  }
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) return corrupt(std::string(what) + " is not JSON");
  if (!value.is_object()) return corrupt(std::string(what) + " is not a JSON object");
  return value;
}

std::string json_text(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<JsonFields> JsonFields::of(const Json& object, std::string where) {
  if (!object.is_object()) return corrupt(where + " must be an object");
  return JsonFields(object, std::move(where));
}

const Json* JsonFields::find(const char* name) const {
  const auto found = object_->find(name);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

Error JsonFields::wrong(const char* name, std::string_view must) const {
  return corrupt(path(name) + " must be " + std::string(must));
}

Result<std::string> JsonFields::text(const char* name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::string();
  if (!is_text(*value)) return wrong(name, "a string without NUL bytes");
  return value->get_ref<const std::string&>();
}

Result<bool> JsonFields::flag(const char* name) const {
  const Json* value = find(name);
  if (value == nullptr) return false;
  if (!value->is_boolean()) return wrong(name, "true or false");
  return value->get<bool>();
}

Result<std::int64_t> JsonFields::number(const char* name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::int64_t{0};
  const bool fits = value->is_number_unsigned() ? value->get<std::uint64_t>() <= INT64_MAX : value->is_number_integer();
  if (!fits) return wrong(name, "a whole number");
  return value->get<std::int64_t>();
}

Result<std::vector<std::string>> JsonFields::texts(const char* name) const {
  const Json* value = find(name);
  std::vector<std::string> result;
  if (value == nullptr) return result;
  if (!value->is_array()) return wrong(name, "a list of strings");
  for (const Json& item : *value) {
    if (!is_text(item)) return wrong(name, "a list of strings without NUL bytes");
    result.push_back(item.get_ref<const std::string&>());
  }
  return result;
}

Result<std::map<std::string, std::string>> JsonFields::text_map(const char* name) const {
  const Json* value = find(name);
  std::map<std::string, std::string> result;
  if (value == nullptr) return result;
  if (!value->is_object()) return wrong(name, "an object of strings");
  for (const auto& [key, item] : value->items()) {
    if (!is_text(item)) return wrong(name, "an object of strings without NUL bytes");
    result.emplace(key, item.get_ref<const std::string&>());
  }
  return result;
}

Result<std::vector<std::string>> JsonFields::keys(const char* name) const {
  const Json* value = find(name);
  std::vector<std::string> result;
  if (value == nullptr) return result;
  if (!value->is_object()) return wrong(name, "an object");
  for (const auto& [key, item] : value->items()) {
    if (key.find('\0') != std::string::npos) return wrong(name, "an object whose names have no NUL bytes");
    result.push_back(key);
  }
  return result;
}

Result<Digest> json_digest(const Json& value, const std::string& where) {
  if (!value.is_string()) return corrupt(where + " must be a digest");
  const std::string& text = value.get_ref<const std::string&>();
  Result<Digest> digest = Digest::parse(text);
  if (digest.ok()) return digest;
  const bool sha512 = text.starts_with("sha512:");
  return Error{sha512 ? ErrorCode::kUnsupported : ErrorCode::kCorrupt, digest.error().message}.in(where);
}

Result<Digest> JsonFields::digest(const char* name) const {
  const Json* value = find(name);
  if (value == nullptr) return wrong(name, "a digest, but it is missing");
  return json_digest(*value, path(name));
}

}  // namespace imagebuild::oci
