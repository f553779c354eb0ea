#include "api/validate.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <set>
#include <string_view>

#include "api/problem_list.h"
#include "api/validate_cache.h"
#include "api/validate_language.h"
#include "api/validate_source.h"
#include "api/validate_values.h"
#include "oci/reference.h"

namespace imagebuild::api {

namespace {

constexpr std::size_t kMaxListed = 3;                        // Problems that a condition's message spells out.
constexpr std::chrono::milliseconds kShortestTimeout{1000};  // Pods need some time in any case.

class Validator : ProblemList {
 public:
  explicit Validator(const ImageBuildSpec& spec) : spec_(spec) {}

  std::vector<Problem> run() {
    source();
    dockerfile();
    build_args();
    secrets();
    add(language_problems(spec_));
    add(cache_problems(spec_.cache));
    output();
    unique("spec.imagePullSecrets", spec_.image_pull_secrets, [](const SecretRef& ref) { return ref.name; });
    for (const SecretRef& ref : spec_.image_pull_secrets)
      name("spec.imagePullSecrets[" + ref.name + "].name", ref.name);
    stages();
    artifacts();
    limits();
    return take();
  }

 private:
  void name(const std::string& field, const std::string& value) { check(field, name_mistake(value)); }
  void optional_name(const std::string& field, const std::string& value) {
    if (!value.empty()) name(field, value);
  }
  void secret(const std::string& field, const std::optional<SecretRef>& ref) {
    if (ref) name(field + ".name", ref->name);
  }
  void key_ref(const std::string& field, const KeyRef& ref) {
    name(field + ".name", ref.name);
    check(field + ".key", key_mistake(ref.key));
  }
  template <class T, class Name>
  void unique(const std::string& field, const std::vector<T>& list, Name name_of) {
    std::set<std::string> seen;
    for (const T& element : list) {
      const std::string own = name_of(element);
      if (!seen.insert(own).second) problem(entry(field, own), "is there twice");
    }
  }

  void source() {
    const Source& source = spec_.source;
    const int kinds = kinds_of(source);
    if (kinds != 1) {
      problem("spec.source",
              "must have exactly one of git, http, inline, configMapRef, persistentVolumeClaim and oci; " +
                  std::to_string(kinds) + " are set");
    }
    add(source_problems(source, "spec.source"));
  }

  void dockerfile() {
    if (!spec_.dockerfile.empty() && !spec_.dockerfile_inline.empty()) {
      problem("spec.dockerfileInline", "must not be set together with dockerfile");
    }
    if (!spec_.dockerfile.empty()) check("spec.dockerfile", path_mistake(spec_.dockerfile));
    if (!spec_.target.empty()) stage_name("spec.target", spec_.target);
  }

  void build_args() {
    unique("spec.buildArgs", spec_.build_args, [](const BuildArg& arg) { return arg.name; });
    for (const BuildArg& arg : spec_.build_args) {
      const std::string field = "spec.buildArgs[" + arg.name + "]";
      if (!is_variable(arg.name)) {
        problem(field + ".name", "must be a variable's name: letters, digits and '_', not beginning with a digit");
      }
      if (arg.value.has_value() == arg.value_from.has_value()) {
        problem(field, "must have exactly one of value and valueFrom");
      }
      if (!arg.value_from) continue;
      if (arg.value_from->config_map_key) {
        key_ref(field + ".valueFrom.configMapKeyRef", *arg.value_from->config_map_key);
      } else {
        problem(field + ".valueFrom", "must have configMapKeyRef");
      }
    }
  }

  void secrets() {
    unique("spec.secrets", spec_.secrets, [](const BuildSecret& own) { return own.id; });
    for (const BuildSecret& own : spec_.secrets) {
      if (own.id.empty() || own.id.front() == '.' || own.id.front() == '-' || !key_mistake(own.id).empty()) {
        problem("spec.secrets[" + own.id + "].id",
                "must consist of letters, digits, '_', '.' and '-', beginning with a letter, digit or '_'");
      }
      key_ref("spec.secrets[" + own.id + "].secretKeyRef", own.key);
    }
  }

  void output() {
    const Output& output = spec_.output;
    const Result<oci::Reference> reference = oci::Reference::parse(output.image);
    if (output.image.empty()) {
      problem("spec.output.image", "must name a repository, such as registry.example/team/app:1.0");
    } else if (!reference.ok()) {
      problem("spec.output.image", reference.error().message);
    } else if (reference->digest()) {
      problem("spec.output.image", "must not have a digest: it is not known before the image is built");
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < output.additional_tags.size(); ++i) {
      const std::string field = "spec.output.additionalTags[" + std::to_string(i) + "]";
      const std::string& tag = output.additional_tags[i];
      const Status status = oci::Reference::check_tag(tag);
      if (!status.ok()) {
        problem(field, status.error().message);
      } else if (!seen.insert(tag).second) {
        problem(field, "'" + tag + "' is there twice");
      } else if (reference.ok() && reference->tag() == tag) {
        problem(field, "'" + tag + "' is the tag of image already");
      }
    }
    secret("spec.output.pushSecretRef", output.push_secret);
    if (output.labels.contains("")) problem("spec.output.labels", "must not have an empty key");
    if (output.annotations.contains("")) problem("spec.output.annotations", "must not have an empty key");
  }

  void stage_name(const std::string& field, const std::string& name) {
    const bool fine = !name.empty() && name.size() <= 128 && key_mistake(name).empty() && is_alnum(name.front());
    if (!fine) problem(field, "must be a stage's name or index: letters, digits, '_', '.' and '-'");
  }

  void stages() {
    // Stage names are compared without case, as in a Dockerfile.
    unique("spec.stages", spec_.stages, [](const StageSettings& stage) { return lower(stage.name); });
    for (const StageSettings& stage : spec_.stages) {
      const std::string field = "spec.stages[" + stage.name + "]";
      stage_name(field + ".name", stage.name);
      pod(field, stage.pod);
      // What the stage says and what it inherits must fit together too.
      if (empty()) requests_within_limits(field, settings_for(spec_, stage.name).resources);
    }
    pod("spec.stageDefaults", spec_.stage_defaults);
    if (empty()) requests_within_limits("spec.stageDefaults", spec_.stage_defaults.resources);
  }

  void pod(const std::string& field, const PodSettings& pod) {
    for (const auto& [what, list] :
         {std::pair{"requests", &pod.resources.requests}, std::pair{"limits", &pod.resources.limits}}) {
      for (const auto& [resource, quantity] : *list) {
        const std::string at = below(field, {"resources", what, resource});
        const std::optional<double> value = parse_quantity(quantity.text);
        if (!value) problem(at, "'" + quantity.text + "' is not a quantity such as 500m or 2Gi");
        if (value && *value < 0) problem(at, "must not be negative");
      }
    }
    for (const auto& [key, value] : pod.node_selector) {
      if (key.empty()) problem(field + ".nodeSelector", "must not have an empty key");
      if (value.size() > 63) problem(below(field, {"nodeSelector", key}), "must not be longer than 63 characters");
    }
    for (std::size_t i = 0; i < pod.tolerations.size(); ++i) {
      toleration(field + ".tolerations[" + std::to_string(i) + "]", pod.tolerations[i]);
    }
    optional_name(field + ".runtimeClassName", pod.runtime_class_name);
    optional_name(field + ".priorityClassName", pod.priority_class_name);
    optional_name(field + ".serviceAccountName", pod.service_account_name);
  }

  void toleration(const std::string& field, const Toleration& own) {
    if (!own.op.empty() && own.op != "Exists" && own.op != "Equal") {
      problem(field + ".operator", "must be Exists or Equal");
    }
    if (own.op == "Exists" && !own.value.empty()) problem(field + ".value", "must be empty for the operator Exists");
    if (own.key.empty() && own.op != "Exists") problem(field + ".operator", "must be Exists when there is no key");
    if (own.seconds && own.effect != "NoExecute") {
      problem(field + ".effect", "must be NoExecute when tolerationSeconds is set");
    }
  }

  void requests_within_limits(const std::string& field, const ResourceNeeds& needs) {
    for (const auto& [resource, request] : needs.requests) {
      const auto limit = needs.limits.find(resource);
      if (limit == needs.limits.end()) continue;
      const auto wanted = parse_quantity(request.text), most = parse_quantity(limit->second.text);
      if (wanted && most && *wanted > *most) {
        problem(below(field, {"resources", "requests", resource}),
                "must not be more than the limit " + limit->second.text);
      }
    }
  }

  void artifacts() {
    const Artifacts& artifacts = spec_.artifacts;
    const std::string field = "spec.artifacts";
    if (artifacts.transport == Transport::kRegistry && artifacts.repository.empty()) {
      problem(field + ".repository", "must be set for the transport Registry");
    }
    if (artifacts.transport == Transport::kRegistry && uses_cache(spec_.cache)) {
      problem("spec.cache",
              "needs the transport Volume: with Registry, prepare and publish do not see what stages made");
    }
    if (!artifacts.repository.empty()) check(field + ".repository", repository_mistake(artifacts.repository));
    optional_name(field + ".volume.storageClassName", artifacts.volume.storage_class_name);
    if (!artifacts.volume.size.text.empty()) {
      const std::optional<double> size = parse_quantity(artifacts.volume.size.text);
      if (!size) problem(field + ".volume.size", "'" + artifacts.volume.size.text + "' is not a quantity such as 10Gi");
      if (size && *size <= 0) problem(field + ".volume.size", "must be more than nothing");
    }
    const auto& modes = artifacts.volume.access_modes;
    for (std::size_t i = 0; i < modes.size(); ++i) {
      const std::string at = field + ".volume.accessModes[" + std::to_string(i) + "]";
      if (modes[i] == "ReadWriteOncePod") {
        problem(at, "ReadWriteOncePod lets only one pod mount the claim, and a build has several");
      } else if (modes[i] != "ReadWriteOnce" && modes[i] != "ReadWriteMany") {
        problem(at, "must be ReadWriteOnce or ReadWriteMany");
      }
    }
  }

  void limits() {
    const auto timeout = duration("spec.timeout", spec_.timeout);
    const auto stage_timeout = duration("spec.stageTimeout", spec_.stage_timeout);
    if (timeout && stage_timeout && *stage_timeout > *timeout) {
      problem("spec.stageTimeout", "must not be longer than timeout (" + spec_.timeout + ")");
    }
    const std::int64_t retries = spec_.retries.value_or(kDefaultRetries);
    if (retries < 0 || retries > 10) problem("spec.retries", "must be from 0 to 10");
    if (spec_.ttl_seconds_after_finished.value_or(0) < 0) {
      problem("spec.ttlSecondsAfterFinished", "must not be negative");
    }
  }

  std::optional<std::chrono::milliseconds> duration(const std::string& field, const std::string& text) {
    if (text.empty()) return {};
    const auto value = parse_duration(text);
    if (!value) {
      problem(field, "'" + text + "' is not a duration such as 30m or 1h30m");
    } else if (*value < kShortestTimeout) {
      problem(field, "must be at least 1s");
    }
    return value;
  }

  // "field.one.two".
  static std::string below(std::string field, std::initializer_list<std::string_view> members) {
    for (const std::string_view member : members) field.append(".").append(member);
    return field;
  }
  static bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
  static bool is_variable(const std::string& name) {
    return !name.empty() && !(name.front() >= '0' && name.front() <= '9') &&
           std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '_'; });
  }
  static std::string lower(std::string text) {
    for (char& c : text) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
  }

  const ImageBuildSpec& spec_;
};

}  // namespace

std::vector<Problem> validate(const ImageBuildSpec& spec) {
  return Validator(spec).run();
}

std::string problems_text(const std::vector<Problem>& problems) {
  std::string text;
  for (std::size_t i = 0; i < std::min(problems.size(), kMaxListed); ++i) {
    text += (i == 0 ? "" : "; ") + problems[i].field + " " + problems[i].message;
  }
  if (problems.size() > kMaxListed) text += "; and " + std::to_string(problems.size() - kMaxListed) + " more";
  return text;
}

}  // namespace imagebuild::api
