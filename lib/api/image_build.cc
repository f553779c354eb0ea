#include "api/image_build.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "api/image_build_fields.h"
#include "base/timestamp.h"
#include "oci/digest.h"

namespace imagebuild::api {

namespace {

using nlohmann::json;

constexpr std::size_t kMaxObjectBytes = 8 * 1024 * 1024;  // etcd's objects have at most 1.5 MiB.

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// A struct whose fields are named.
struct AnyWalker;
template <class T>
concept Walkable = requires(AnyWalker& f, T& value) {
  fields::walk(f, value);
};

// The member, or null where there is none or it is null.
const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* key) {
  const json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

// Reads members where they are there; the first mistake is remembered, and what is wrong keeps its default.
class Reader {
 public:
  Reader(const json& object, std::string where, std::optional<Error>& mistake)
      : object_(object), where_(std::move(where)), mistake_(mistake) {
    if (!object_.is_object()) fail(where_, "must be an object");
  }
  template <class T>
  void operator()(const char* key, T& value) {
    if (const json* found = member(object_, key)) read(*found, where_ + "." + key, value);
  }
  template <class T>
  void always(const char* key, T& value) {
    (*this)(key, value);
  }

 private:
  void fail(const std::string& where, const std::string& what) {
    if (!mistake_) mistake_ = Error{ErrorCode::kInvalidInput, where + " " + what};
  }
  void read(const json& in, const std::string& where, std::string& value) {
    if (!in.is_string()) return fail(where, "must be a text");
    value = in.get<std::string>();
  }
  void read(const json& in, const std::string& where, bool& value) {
    if (!in.is_boolean()) return fail(where, "must be true or false");
    value = in.get<bool>();
  }
  void read(const json& in, const std::string& where, std::int64_t& value) {
    if (!in.is_number_integer()) return fail(where, "must be a whole number");
    value = in.get<std::int64_t>();
  }
  void read(const json& in, const std::string& where, WallTime& value) {
    const std::optional<WallTime> time = in.is_string() ? parse_time(in.get_ref<const std::string&>()) : std::nullopt;
    if (!time) return fail(where, "must be a time such as 2024-05-01T12:00:00Z");
    value = *time;
  }
  void read(const json& in, const std::string& where, Quantity& value) {
    if (!in.is_string() && !in.is_number()) return fail(where, "must be a quantity such as 500m or 2Gi");
    value.text = in.is_string() ? in.get<std::string>() : dump(in);
  }
  void read(const json& in, const std::string& where, RawJson& value) {
    if (!in.is_object()) return fail(where, "must be an object");
    value.text = dump(in);
  }
  template <class T>
  void read(const json& in, const std::string& where, std::optional<T>& value) {
    read(in, where, value.emplace());
  }
  template <class T>
  void read(const json& in, const std::string& where, std::vector<T>& value) {
    if (!in.is_array()) return fail(where, "must be a list");
    for (std::size_t i = 0; i < in.size(); ++i) {
      read(in[i], where + "[" + std::to_string(i) + "]", value.emplace_back());
    }
  }
  template <class T>
  void read(const json& in, const std::string& where, std::map<std::string, T>& value) {
    if (!in.is_object()) return fail(where, "must be an object");
    for (const auto& [key, element] : in.items()) {
      std::string name = where;
      read(element, name.append(".").append(key), value[key]);
    }
  }
  template <class E>
  requires std::is_enum_v<E>
  void read(const json& in, const std::string& where, E& value) {
    std::string known;
    for (const auto& [word, name] : fields::Words<E>::kAll) {
      if (in.is_string() && in.get_ref<const std::string&>() == name) {
        value = word;
        return;
      }
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    fail(where, "must be one of " + known);
  }
  template <class T>
  requires Walkable<T>
  void read(const json& in, const std::string& where, T& value) {
    Reader reader(in, where, mistake_);
    fields::walk(reader, value);
  }

  const json& object_;
  std::string where_;
  std::optional<Error>& mistake_;
};

// Writes the members that say something.
class Writer {
 public:
  template <class T>
  void operator()(const char* key, T& value) {
    json written = write(value);
    if (!written.is_null()) object_[key] = std::move(written);
  }
  template <class T>
  void always(const char* key, T& value) {
    if constexpr (std::is_enum_v<T>) {
      object_[key] = word(value);
    } else {
      object_[key] = value;
    }
  }
  json take() { return std::move(object_); }

 private:
  // Each gives null for what says nothing.
  static json write(const std::string& value) { return value.empty() ? json() : json(value); }
  static json write(bool value) { return value ? json(true) : json(); }
  static json write(std::int64_t value) { return value == 0 ? json() : json(value); }
  static json write(WallTime value) { return time_text(value); }
  static json write(const Quantity& value) { return write(value.text); }
  static json write(const RawJson& value) {
    return value.text.empty() ? json() : json::parse(value.text, nullptr, false);
  }
  template <class T>
  static json write(std::optional<T>& value) {
    if (!value) return {};
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
      return *value;
    } else {
      json written = write(*value);
      return written.is_null() ? json::object() : written;
    }
  }
  template <class T>
  static json write(std::vector<T>& value) {
    if (value.empty()) return {};
    json list = json::array();
    for (T& element : value) list.push_back(element_of(element));
    return list;
  }
  template <class T>
  static json write(std::map<std::string, T>& value) {
    if (value.empty()) return {};
    json object = json::object();
    for (auto& [key, element] : value) object[key] = element_of(element);
    return object;
  }
  template <class T>
  static json element_of(T& element) {
    if constexpr (std::is_same_v<T, std::string>) {
      return element;
    } else {
      json written = write(element);
      return written.is_null() ? json::object() : written;
    }
  }
  template <class E>
  static std::string word(E value) {
    for (const auto& [candidate, name] : fields::Words<E>::kAll) {
      if (candidate == value) return std::string(name);
    }
    return {};
  }
  template <class E>
  requires std::is_enum_v<E>
  static json write(E value) { return value == E{} ? json() : json(word(value)); }
  template <class T>
  requires Walkable<T>
  static json write(T& value) {
    Writer writer;
    fields::walk(writer, value);
    json written = writer.take();
    return written.empty() ? json() : written;
  }

  json object_ = json::object();
};

// Collects the names of all members.
class Lister {
 public:
  Lister(std::string where, std::vector<std::string>& names) : where_(std::move(where)), names_(names) {}
  template <class T>
  void operator()(const char* key, T& value) {
    list(where_ + "." + key, value);
  }
  template <class T>
  void always(const char* key, T& value) {
    list(where_ + "." + key, value);
  }

 private:
  template <class T>
  void list(const std::string& name, T& value) {
    names_.push_back(name);
    if constexpr (requires(Lister & f) { fields::walk(f, value); }) {
      Lister inner(name, names_);
      fields::walk(inner, value);
    }
  }
  template <class T>
  void list(const std::string& name, std::optional<T>&) {
    T value{};
    list(name, value);
  }
  template <class T>
  void list(const std::string& name, std::vector<T>&) {
    names_.push_back(name);
    T value{};
    list(name + "[]", value);
  }
  template <class T>
  void list(const std::string& name, std::map<std::string, T>&) {
    names_.push_back(name);
    T value{};
    list(name + "{}", value);
  }

  std::string where_;
  std::vector<std::string>& names_;
};

template <class T>
std::string written(T value) {
  Writer writer;
  fields::walk(writer, value);
  return dump(writer.take());
}

std::string digest_of_spec(json spec) {
  if (spec.is_object()) {
    for (const char* key : {"suspend", "cancel", "ttlSecondsAfterFinished"}) spec.erase(key);
  }
  return oci::Digest::of(dump(spec)).str();
}

}  // namespace

Result<ImageBuild> ImageBuild::parse(std::string_view text) {
  if (text.size() > kMaxObjectBytes) return Error{ErrorCode::kLimit, "the ImageBuild is larger than 8 MiB"};
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded() || !document.is_object()) {
    return Error{ErrorCode::kCorrupt, "the ImageBuild is not a JSON object"};
  }
  const json* metadata = member(document, "metadata");
  if (metadata == nullptr || text_of(*metadata, "name").empty()) {
    return Error{ErrorCode::kCorrupt, "the ImageBuild has no metadata.name"};
  }
  ImageBuild build;
  build.ns = text_of(*metadata, "namespace");
  build.name = text_of(*metadata, "name");
  build.uid = text_of(*metadata, "uid");
  build.resource_version = text_of(*metadata, "resourceVersion");
  build.deleting = member(*metadata, "deletionTimestamp") != nullptr;
  build.created = parse_time(text_of(*metadata, "creationTimestamp")).value_or(WallTime{});
  const json* generation = member(*metadata, "generation");
  if (generation != nullptr && generation->is_number_integer()) build.generation = generation->get<std::int64_t>();

  static const json kNothing = json::object();
  const json* spec = member(document, "spec");
  if (spec == nullptr) spec = &kNothing;
  Reader spec_reader(*spec, "spec", build.spec_error);
  fields::walk(spec_reader, build.spec);
  build.spec_digest = digest_of_spec(*spec);

  std::optional<Error> ignored;
  const json* status = member(document, "status");
  Reader status_reader(status == nullptr ? kNothing : *status, "status", ignored);
  fields::walk(status_reader, build.status);
  // Earlier operators wrote texts.
  std::erase_if(build.status.warnings, [](const WarningStatus& warning) { return warning.message.empty(); });
  return build;
}

std::string status_json(const ImageBuildStatus& status) {
  return written(status);
}

std::string spec_json(const ImageBuildSpec& spec) {
  return written(spec);
}

std::vector<std::string> image_build_fields() {
  std::vector<std::string> names;
  ImageBuildSpec spec;
  Lister spec_lister("spec", names);
  fields::walk(spec_lister, spec);
  ImageBuildStatus status;
  Lister status_lister("status", names);
  fields::walk(status_lister, status);
  std::ranges::sort(names);
  return names;
}

}  // namespace imagebuild::api
