#include "dockerfile/mount.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "dockerfile/booleans.h"
#include "dockerfile/lines.h"

namespace imagebuild::dockerfile {

namespace {

constexpr std::array<std::string_view, 5> kTypeNames = {"bind", "cache", "tmpfs", "secret", "ssh"};
constexpr std::array<std::string_view, 3> kSharingNames = {"shared", "private", "locked"};

// Other names of options, and the one we use.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"src", "source"}, {"dst", "target"}, {"destination", "target"}, {"ro", "readonly"}, {"rw", "readwrite"}};

struct Field {
  std::string text;
  std::size_t offset;  // In the flag's value.
};

// One record of CSV as Go's encoding/csv reads it; the error's offset is where the quoting is wrong.
Result<std::vector<Field>> split_fields(std::string_view text, std::size_t& error_offset) {
  std::vector<Field> fields;
  std::size_t at = 0;
  while (true) {
    Field field{{}, at};
    if (at < text.size() && text[at] == '"') {
      ++at;
      while (true) {
        if (at == text.size()) {
          error_offset = field.offset;
          return Error{ErrorCode::kInvalidInput, "the quote of this mount option is not closed"};
        }
        if (text[at] != '"') {
          field.text += text[at++];
        } else if (text.substr(at, 2) == "\"\"") {
          field.text += '"';
          at += 2;
        } else {
          ++at;
          break;
        }
      }
      if (at < text.size() && text[at] != ',') {
        error_offset = at;
        return Error{ErrorCode::kInvalidInput, "a comma has to follow a quoted mount option"};
      }
    } else {
      const std::size_t end = std::min(text.find(',', at), text.size());
      field.text = text.substr(at, end - at);
      if (const std::size_t quote = field.text.find('"'); quote != std::string::npos) {
        error_offset = at + quote;
        return Error{ErrorCode::kInvalidInput, "a quote inside a mount option; put the quotes around the whole option"};
      }
      at = end;
    }
    fields.push_back(std::move(field));
    if (at == text.size()) return fields;
    ++at;  // The comma.
  }
}

template <std::size_t N>
std::optional<std::size_t> index_of(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<std::size_t>(found - names.begin());
}

template <std::size_t N>
std::string list_of(const std::array<std::string_view, N>& names) {
  std::string list;
  for (const std::string_view name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

template <std::size_t N>
std::vector<std::string> strings(const std::array<std::string_view, N>& names) {
  return std::vector<std::string>(names.begin(), names.end());
}

std::optional<std::uint32_t> number(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "64m", "1.5GiB", "1000": binary units as in go-units' RAMInBytes.
std::optional<std::uint64_t> size_in_bytes(std::string_view text) {
  double value = 0;
  double scale = 1;
  std::size_t at = 0;
  const auto digit = [&] { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
  if (!digit()) return std::nullopt;
  for (; digit(); ++at) value = value * 10 + (text[at] - '0');
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digit()) return std::nullopt;
    for (; digit(); ++at) value += (text[at] - '0') * (scale /= 10);
  }
  if (at < text.size() && text[at] == ' ') ++at;
  std::string unit = lower(text.substr(at));
  if (!unit.empty() && unit.back() == 'b') unit.pop_back();
  if (!unit.empty() && unit.back() == 'i') unit.pop_back();
  constexpr std::string_view kPrefixes = "kmgtp";
  if (unit.size() > 1) return std::nullopt;
  if (!unit.empty()) {
    const std::size_t power = kPrefixes.find(unit[0]);
    if (power == std::string_view::npos) return std::nullopt;
    value *= std::pow(1024.0, static_cast<double>(power + 1));
  }
  if (value >= 9.2e18) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

// What expansion would change.
bool needs_expansion(std::string_view value) {
  return value.find_first_of("$\\`'\"") != std::string_view::npos;
}

// Whether the value decides a typed field, so that nothing can be said about the mount before it is expanded.
bool decides(std::string_view key) {
  constexpr std::string_view kKeys[] = {"type",    "readonly", "readwrite", "required", "size",
                                        "sharing", "mode",     "uid",       "gid"};
  return std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys);
}

// Fills the typed fields of a mount from its options.
class Typer {
 public:
  // `final`: values are expanded, and everything is checked.
  Typer(Mount& mount, bool final, std::vector<Diagnostic>& errors) : mount_(mount), final_(final), errors_(errors) {}

  void run() {
    mount_.needs_expansion = false;
    for (const MountOption& option : mount_.options) {
      if (option.key == "type") type(option);
    }
    for (const MountOption& option : mount_.options) {
      if (errors_.size() < kMaxErrors) apply(option);
    }
    if (!read_only_given_) mount_.read_only = mount_.type != MountType::kCache && mount_.type != MountType::kTmpfs;
    if (!mount_.needs_expansion) check_whole();
  }

 private:
  void error(Position at, std::string message) {
    errors_.push_back({ErrorCode::kInvalidInput, at, std::move(message)});
  }

  bool deferred(const MountOption& option) {
    if (final_ || !option.value || !decides(option.key) || !needs_expansion(option.value->text)) return false;
    mount_.needs_expansion = true;
    return true;
  }

  void type(const MountOption& option) {
    if (deferred(option) || !option.value) {
      type_known_ = false;
      return;
    }
    const auto index = index_of(kTypeNames, lower(option.value->text));
    if (index) {
      mount_.type = static_cast<MountType>(*index);
      return;
    }
    type_known_ = false;
    std::string hint = did_you_mean(option.value->text, strings(kTypeNames));
    if (hint.empty()) hint = "; the types are " + list_of(kTypeNames);
    error(option.value->at, "unknown mount type '" + option.value->text + "'" + hint);
  }

  void boolean(const MountOption& option, bool& field, bool when_true) {
    if (deferred(option)) return;
    const auto yes = option.value ? parse_boolean(option.value->text) : std::optional<bool>(true);
    if (!yes) return bad_value(option, "true or false");
    field = *yes ? when_true : !when_true;
  }

  void bad_value(const MountOption& option, std::string_view wanted) {
    error(option.value->at, "the mount option " + option.key + " has to be " + std::string(wanted) + ", not '" +
                                option.value->text + "'");
  }

  void integer(const MountOption& option, std::optional<std::uint32_t>& field, int base, std::string_view wanted) {
    if (deferred(option)) return;
    field = number(option.value->text, base);
    if (!field) bad_value(option, wanted);
  }

  void apply(const MountOption& option) {
    const std::string& key = option.key;
    if (key == "readonly" || key == "readwrite") {
      read_only_given_ = true;
      boolean(option, mount_.read_only, key == "readonly");
    } else if (key == "required") {
      boolean(option, mount_.required, true);
    } else if (!option.value) {
      if (key != "type") error(option.at, "the mount option " + key + " needs a value: " + key + "=…");
    } else if (key == "from") {
      from(option);
    } else if (key == "source") {
      mount_.source = option.value;
    } else if (key == "target") {
      mount_.target = option.value;
    } else if (key == "id") {
      mount_.id = option.value;
    } else if (key == "env") {
      mount_.env = option.value;
    } else if (key == "sharing") {
      sharing(option);
    } else if (key == "size") {
      if (deferred(option)) return;
      mount_.size_bytes = size_in_bytes(option.value->text);
      if (!mount_.size_bytes) bad_value(option, "a size like 64m");
    } else if (key == "mode") {
      integer(option, mount_.mode, 8, "an octal number like 0400");
    } else if (key == "uid") {
      integer(option, mount_.uid, 10, "a number");
    } else if (key == "gid") {
      integer(option, mount_.gid, 10, "a number");
    }
  }

  void from(const MountOption& option) {
    const std::string& name = option.value->text;
    const std::size_t dollar = name.find('$');
    if (dollar != std::string::npos && dollar + 1 < name.size()) {
      error(option.value->at, "the mount option from takes no variables; name a stage with FROM … AS and use its name");
      return;
    }
    if (!name.empty()) mount_.from = Word{name, option.at};
  }

  void sharing(const MountOption& option) {
    if (deferred(option)) return;
    const auto index = index_of(kSharingNames, lower(option.value->text));
    if (!index) return bad_value(option, "one of " + list_of(kSharingNames));
    mount_.sharing = static_cast<CacheSharing>(*index);
  }

  // Rules that span options; they need every value.
  void check_whole() {
    if (!type_known_) return;
    const MountType type = mount_.type;
    const bool secret_or_ssh = type == MountType::kSecret || type == MountType::kSsh;
    for (const MountOption& option : mount_.options) {
      const std::string& key = option.key;
      const bool allowed = key == "required"                               ? secret_or_ssh
                           : key == "size"                                 ? type == MountType::kTmpfs
                           : key == "sharing"                              ? type == MountType::kCache
                           : key == "env"                                  ? type == MountType::kSecret
                           : key == "mode" || key == "uid" || key == "gid" ? secret_or_ssh || type == MountType::kCache
                           : key == "from" ? type == MountType::kBind || type == MountType::kCache
                           : key == "source"
                               ? type == MountType::kBind || type == MountType::kCache || type == MountType::kSecret
                               : true;
      if (!allowed && errors_.size() < kMaxErrors)
        error(option.at, "a " + std::string(name_of(type)) + " mount has no option " + key);
    }
    if (type == MountType::kSecret) check_secret();
  }

  void check_secret() {
    if (!mount_.source && !mount_.target && !mount_.id) {
      error(mount_.spec.at, "a secret mount needs an id or a target: --mount=type=secret,id=…");
    }
    if (mount_.source && mount_.id) {
      error(mount_.spec.at, "a secret mount has either id or source, not both: they mean the same");
    }
  }

  Mount& mount_;
  bool final_;
  std::vector<Diagnostic>& errors_;
  bool type_known_ = true;
  bool read_only_given_ = false;
};

std::string long_name(std::string_view key) {
  for (const auto& [other, name] : kOtherNames) {
    if (key == other) return std::string(name);
  }
  return std::string(key);
}

constexpr std::array<std::string_view, 19> kKeys = {
    "type", "from", "source", "target", "readonly",    "id", "sharing", "required",  "size", "mode",
    "uid",  "gid",  "src",    "dst",    "destination", "ro", "rw",      "readwrite", "env"};

}  // namespace

std::string_view name_of(MountType type) {
  return kTypeNames[static_cast<std::size_t>(type)];
}
std::string_view name_of(CacheSharing sharing) {
  return kSharingNames[static_cast<std::size_t>(sharing)];
}

std::optional<Mount> parse_mount(const Word& spec, const std::function<Position(std::size_t)>& locate,
                                 std::vector<Diagnostic>& errors) {
  const std::size_t errors_before = errors.size();
  Mount mount;
  mount.spec = spec;
  std::size_t error_offset = 0;
  const auto fields = split_fields(spec.text, error_offset);
  if (!fields.ok()) {
    errors.push_back({fields.error().code, locate(error_offset), fields.error().message});
    return std::nullopt;
  }
  for (const Field& field : *fields) {
    if (errors.size() >= kMaxErrors) break;
    const std::size_t equals = field.text.find('=');
    const std::string key = lower(std::string_view(field.text).substr(0, equals));
    // Inside a quoted field the value stands one byte further right.
    const std::size_t quote = field.offset < spec.text.size() && spec.text[field.offset] == '"' ? 1 : 0;
    MountOption option{long_name(key), locate(field.offset + quote), std::nullopt};
    if (equals != std::string::npos) {
      option.value = Word{field.text.substr(equals + 1), locate(field.offset + quote + equals + 1)};
    }
    if (!index_of(kKeys, key)) {
      const std::string what = key.empty() ? "an empty mount option" : "unknown mount option '" + key + "'";
      errors.push_back({ErrorCode::kInvalidInput, option.at, what + did_you_mean(key, strings(kKeys))});
      continue;
    }
    mount.options.push_back(std::move(option));
  }
  Typer(mount, false, errors).run();
  if (errors.size() > errors_before) return std::nullopt;
  return mount;
}

Result<Mount> resolve(std::string_view file, const Mount& mount, const ExpandWord& expand) {
  Mount result;
  result.spec = mount.spec;
  result.options = mount.options;
  for (MountOption& option : result.options) {
    if (!option.value || option.key == "from") continue;
    auto text = expand(*option.value);
    if (!text.ok()) return located_error(file, option.value->at, text.error().message, text.error().code);
    option.value->text = std::move(*text);
  }
  std::vector<Diagnostic> errors;
  Typer(result, true, errors).run();
  if (!errors.empty()) return located_error(file, errors.front());
  return result;
}

}  // namespace imagebuild::dockerfile
