// Reads the members of a JSON object with checked types: the first mistake is remembered, later reads give empty
// values.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace imagebuild::api {

class JsonReader {
 public:
  // `value` and `failure` must outlive the reader; `where` names the object in messages.
  JsonReader(const nlohmann::json& value, std::string where, std::optional<Error>& failure)
      : value_(value), where_(std::move(where)), failure_(failure) {
    if (!value_.is_object()) fail("is not an object");
  }

  bool has(const char* key) const { return value_.is_object() && value_.contains(key); }

  std::string text(const char* key) {
    const nlohmann::json* member = find(key);
    if (member == nullptr) return {};
    if (!member->is_string()) return fail_member(key, "is not a string"), std::string();
    return member->get<std::string>();
  }
  std::int64_t number(const char* key) {
    const nlohmann::json* member = find(key);
    if (member == nullptr) return 0;
    if (!member->is_number_integer()) return fail_member(key, "is not an integer"), 0;
    return member->get<std::int64_t>();
  }
  // A number that must not be negative.
  std::uint64_t size(const char* key) {
    const std::int64_t value = number(key);
    if (value < 0) return fail_member(key, "is negative"), 0;
    return static_cast<std::uint64_t>(value);
  }
  // An index into a list of `count` elements.
  int index(const char* key, std::size_t count) {
    const std::int64_t value = number(key);
    if (value < 0 || static_cast<std::uint64_t>(value) >= count) return fail_member(key, "is out of range"), 0;
    return static_cast<int>(value);
  }
  bool flag(const char* key) {
    const nlohmann::json* member = find(key);
    if (member == nullptr) return false;
    if (!member->is_boolean()) return fail_member(key, "is not true or false"), false;
    return member->get<bool>();
  }
  std::vector<std::string> texts(const char* key) {
    std::vector<std::string> result;
    each(key, [&](const nlohmann::json& element, const std::string& where) {
      if (element.is_string()) {
        result.push_back(element.get<std::string>());
      } else {
        fail_at(where, "is not a string");
      }
    });
    return result;
  }
  // Calls `visit` for each element of an array member, with a name for messages.
  void each(const char* key, const std::function<void(const nlohmann::json&, const std::string&)>& visit) {
    const nlohmann::json* member = find(key);
    if (member == nullptr) return;
    if (!member->is_array()) return fail_member(key, "is not an array");
    std::size_t i = 0;
    for (const nlohmann::json& element : *member) {
      visit(element, where_ + "." + key + "[" + std::to_string(i++) + "]");
    }
  }
  // Calls `visit` for each element of an array member that must hold objects.
  void each_object(const char* key, const std::function<void(JsonReader&)>& visit) {
    each(key, [&](const nlohmann::json& element, const std::string& where) {
      JsonReader reader(element, where, failure_);
      if (!failure_) visit(reader);
    });
  }
  // A member that is an object itself.
  JsonReader object(const char* key) {
    const nlohmann::json* member = find(key);
    static const nlohmann::json kEmpty = nlohmann::json::object();
    return JsonReader(member == nullptr ? kEmpty : *member, where_ + "." + key, failure_);
  }
  const nlohmann::json& raw() const { return value_; }
  const std::string& where() const { return where_; }

  void fail(const std::string& what) { fail_at(where_, what); }

 private:
  const nlohmann::json* find(const char* key) {
    if (failure_) return nullptr;
    if (!has(key)) {
      fail_member(key, "is missing");
      return nullptr;
    }
    return &value_[key];
  }
  void fail_member(const char* key, const std::string& what) { fail_at(where_ + "." + key, what); }
  void fail_at(const std::string& where, const std::string& what) {
    if (!failure_) failure_ = Error{ErrorCode::kCorrupt, where + " " + what};
  }

  const nlohmann::json& value_;
  std::string where_;
  std::optional<Error>& failure_;
};

}  // namespace imagebuild::api
