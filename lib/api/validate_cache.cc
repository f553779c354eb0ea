#include "api/validate_cache.h"

#include "api/problem_list.h"
#include "api/validate_values.h"

namespace imagebuild::api {

namespace {

class CacheChecks : ProblemList {
 public:
  explicit CacheChecks(const CacheSettings& cache) : cache_(cache) {}

  std::vector<Problem> run() {
    if (cache_.claim && cache_.registry) {
      problem("spec.cache", "must have at most one of persistentVolumeClaim and registry");
    }
    if (cache_.claim) check("spec.cache.persistentVolumeClaim.claimName", name_mistake(cache_.claim->claim_name));
    if (cache_.registry) registry(*cache_.registry);
    if (!cache_.max_size.text.empty()) max_size();
    if (!cache_.ttl.empty()) ttl();
    return take();
  }

 private:
  void registry(const CacheRegistry& registry) {
    if (registry.repository.empty()) {
      problem("spec.cache.registry.repository", "must name a repository, such as registry.example/team/cache");
    } else {
      check("spec.cache.registry.repository", repository_mistake(registry.repository));
    }
    if (registry.secret) check("spec.cache.registry.secretRef.name", name_mistake(registry.secret->name));
  }

  // False where there is nothing that the limit could be a limit of.
  bool has_claim(const std::string& field) {
    if (cache_.claim || cache_.disabled) return true;
    problem(field, cache_.registry
                       ? "is for a claim; what a registry keeps, and for how long, is for its own retention to say"
                       : "is for a claim; set persistentVolumeClaim");
    return false;
  }

  void max_size() {
    if (!has_claim("spec.cache.maxSize")) return;
    const std::optional<double> size = parse_quantity(cache_.max_size.text);
    if (!size) return problem("spec.cache.maxSize", "'" + cache_.max_size.text + "' is not a quantity such as 20Gi");
    if (*size <= 0) problem("spec.cache.maxSize", "must be more than nothing");
  }

  void ttl() {
    if (!has_claim("spec.cache.ttl")) return;
    const auto time = parse_duration(cache_.ttl);
    if (!time) return problem("spec.cache.ttl", "'" + cache_.ttl + "' is not a duration such as 12h or 168h");
    if (*time < std::chrono::seconds(1)) problem("spec.cache.ttl", "must be at least 1s");
  }

  const CacheSettings& cache_;
};

}  // namespace

std::vector<Problem> cache_problems(const CacheSettings& cache) {
  return CacheChecks(cache).run();
}

}  // namespace imagebuild::api
