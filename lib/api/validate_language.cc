#include "api/validate_language.h"

#include <arpa/inet.h>

#include <algorithm>
#include <map>
#include <set>

#include "api/problem_list.h"
#include "api/validate_source.h"
#include "api/validate_values.h"
#include "oci/platform.h"
#include "oci/reference.h"

namespace imagebuild::api {

namespace {

constexpr std::size_t kMaxHostname = 253;
constexpr double kMaxShmBytes = 0x1p50;  // Far more than any node has, and exact as a number of bytes.

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// As in a Dockerfile's FROM: a stage's name or an image's.
bool is_context_name(const std::string& name) {
  const auto allowed = [](char c) {
    return is_alnum(c) || c == '.' || c == '_' || c == '-' || c == ':' || c == '/' || c == '@';
  };
  return !name.empty() && name.size() <= 256 && is_alnum(name.front()) && std::ranges::all_of(name, allowed);
}

bool is_ssh_id(const std::string& id) {
  return id.size() <= 128 && key_mistake(id).empty() && (is_alnum(id.front()) || id.front() == '_');
}

bool is_address(const std::string& text) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 || inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

class LanguageChecks : ProblemList {
 public:
  explicit LanguageChecks(const ImageBuildSpec& spec) : spec_(spec) {}

  std::vector<Problem> run() {
    platforms();
    contexts();
    ssh();
    if (spec_.cache_mounts.claim) {
      check("spec.cacheMounts.persistentVolumeClaim.claimName", name_mistake(spec_.cache_mounts.claim->claim_name));
    }
    extra_hosts();
    ulimits();
    shm_size();
    return take();
  }

 private:
  void platforms() {
    std::map<std::string, std::string> seen;  // By what it means, as it is written.
    for (std::size_t i = 0; i < spec_.platforms.size(); ++i) {
      const std::string field = entry("spec.platforms", std::to_string(i));
      const std::string& text = spec_.platforms[i];
      const Result<oci::Platform> platform = oci::Platform::parse(text);
      if (!platform.ok()) {
        problem(field, platform.error().message);
      } else if (platform->os() != "linux") {
        problem(field, "'" + text + "' is not for linux; only Linux images can be built");
      } else if (const auto [known, is_new] = seen.emplace(platform->str(), text); !is_new) {
        problem(field, "'" + text + "' is there twice" + (known->second == text ? "" : ", as '" + known->second + "'"));
      }
    }
  }

  void contexts() {
    std::set<std::string> seen;
    for (const BuildContext& context : spec_.contexts) {
      const std::string field = entry("spec.contexts", context.name);
      if (!is_context_name(context.name)) {
        problem(field + ".name", "must be a name that the Dockerfile can use in FROM or --from");
      } else if (context.name == "scratch" || context.name == "context") {
        problem(field + ".name", "'" + context.name + "' has a meaning of its own in Dockerfiles; take another name");
      }
      if (!seen.insert(context.name).second) problem(field, "is there twice");
      const int kinds = kinds_of(context.files) + !context.image.empty();
      if (kinds != 1) {
        problem(field, "must have exactly one of image, git, http, inline, configMapRef and persistentVolumeClaim; " +
                           std::to_string(kinds) + " are set");
      }
      if (!context.image.empty()) {
        const Result<oci::Reference> reference = oci::Reference::parse(context.image);
        if (!reference.ok()) problem(field + ".image", reference.error().message);
        if (!context.files.sub_path.empty()) problem(field + ".subPath", "must not be set together with image");
      }
      add(source_problems(context.files, field));
    }
  }

  void ssh() {
    std::set<std::string> seen;
    for (const BuildSsh& own : spec_.ssh) {
      const std::string id = own.id.empty() ? kDefaultSshId : own.id;
      const std::string field = entry("spec.ssh", id);
      if (!is_ssh_id(id)) {
        problem(field + ".id",
                "must consist of letters, digits, '_', '.' and '-', beginning with a letter, digit or '_'");
      }
      if (!seen.insert(id).second) problem(field, "is there twice");
      check(field + ".secretKeyRef.name", name_mistake(own.key.name));
      check(field + ".secretKeyRef.key", key_mistake(own.key.key));
    }
  }

  void extra_hosts() {
    std::set<std::string> seen;
    for (const ExtraHost& host : spec_.extra_hosts) {
      const std::string field = entry("spec.extraHosts", host.ip);
      if (!is_address(host.ip)) problem(field + ".ip", "must be an IPv4 or IPv6 address");
      if (!seen.insert(host.ip).second) problem(field, "is there twice; put all its hostnames into one entry");
      if (host.hostnames.empty()) problem(field + ".hostnames", "must have at least one name");
      for (std::size_t i = 0; i < host.hostnames.size(); ++i) {
        const std::string& name = host.hostnames[i];
        const std::string at = field + "." + entry("hostnames", std::to_string(i));
        if (name.size() > kMaxHostname) {
          problem(at, "must not be longer than 253 characters");
        } else {
          check(at, name_mistake(name));
        }
      }
    }
  }

  void ulimits() {
    std::set<std::string> seen;
    for (const RunLimit& limit : spec_.ulimits) {
      const std::string field = entry("spec.ulimits", limit.name);
      if (std::ranges::find(kRunLimitNames, limit.name) == std::end(kRunLimitNames)) {
        std::string known;
        for (const char* name : kRunLimitNames) known.append(known.empty() ? "" : ", ").append(name);
        problem(field + ".name", "must be one of " + known);
      }
      if (!seen.insert(limit.name).second) problem(field, "is there twice");
      const std::int64_t hard = limit.hard.value_or(limit.soft);
      if (limit.soft < -1) problem(field + ".soft", "must not be negative, but for -1: unlimited");
      if (hard < -1) problem(field + ".hard", "must not be negative, but for -1: unlimited");
      if (hard != -1 && (limit.soft == -1 || limit.soft > hard)) problem(field + ".soft", "must not be more than hard");
    }
  }

  void shm_size() {
    const std::string& text = spec_.shm_size.text;
    if (text.empty()) return;
    const std::optional<double> size = parse_quantity(text);
    if (!size) return problem("spec.shmSize", "'" + text + "' is not a quantity such as 64Mi or 2Gi");
    if (*size < 1) problem("spec.shmSize", "must be at least one byte");
    if (*size > kMaxShmBytes) problem("spec.shmSize", "must not be more than 1Pi");
  }

  const ImageBuildSpec& spec_;
};

}  // namespace

std::vector<Problem> language_problems(const ImageBuildSpec& spec) {
  return LanguageChecks(spec).run();
}

}  // namespace imagebuild::api
