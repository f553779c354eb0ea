#include "builder/stage/limits.h"

#include <sys/resource.h>

#include <string>

namespace imagebuild::builder {
namespace {

struct Name {
  std::string_view name;
  int resource;
};

constexpr Name kNames[] = {{"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
                           {"data", RLIMIT_DATA},         {"fsize", RLIMIT_FSIZE},
                           {"locks", RLIMIT_LOCKS},       {"memlock", RLIMIT_MEMLOCK},
                           {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
                           {"nofile", RLIMIT_NOFILE},     {"nproc", RLIMIT_NPROC},
                           {"rss", RLIMIT_RSS},           {"rtprio", RLIMIT_RTPRIO},
                           {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
                           {"stack", RLIMIT_STACK}};

std::uint64_t value_of(std::int64_t limit) {
  return limit < 0 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(limit);  // RLIM_INFINITY
}

}  // namespace

Result<ChildLimit> child_limit(const api::Ulimit& limit) {
  for (const Name& known : kNames) {
    if (known.name != limit.name) continue;
    const ChildLimit out{known.resource, value_of(limit.soft), value_of(limit.hard)};
    if (out.soft <= out.hard) return out;
    return Error{ErrorCode::kInvalidInput, "the ulimit " + limit.name + " has a soft limit above its hard one"};
  }
  return Error{ErrorCode::kInvalidInput, "there is no ulimit '" + limit.name + "'"};
}

std::string_view limit_name(int resource) {
  for (const Name& known : kNames) {
    if (known.resource == resource) return known.name;
  }
  return "?";
}

}  // namespace imagebuild::builder
