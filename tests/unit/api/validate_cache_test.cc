#include "api/validate_cache.h"

#include <gtest/gtest.h>

#include "unit/api/problem_of.h"

namespace imagebuild::api {
namespace {

struct Row {
  const char* name;
  CacheSettings cache;
  const char* field;    // Of the only problem; empty: there is none.
  const char* message;  // A part of it.
};

class ValidateCache : public testing::TestWithParam<Row> {};

TEST_P(ValidateCache, NamesTheFieldAndTheMistake) {
  ImageBuildSpec spec = good_spec();
  spec.cache = GetParam().cache;
  expect_problem(spec, GetParam().field, testing::HasSubstr(GetParam().message));
}

CacheSettings claim(const char* max_size = "", const char* ttl = "") {
  return {.claim = ClaimSource{"cache"}, .registry = {}, .max_size = {max_size}, .ttl = ttl};
}
CacheSettings registry(const char* repository, const char* max_size = "", const char* ttl = "") {
  return {.claim = {}, .registry = CacheRegistry{.repository = repository}, .max_size = {max_size}, .ttl = ttl};
}
CacheSettings disabled(CacheSettings cache) {
  cache.disabled = true;
  return cache;
}
CacheSettings both() {
  CacheSettings cache = claim();
  cache.registry = CacheRegistry{.repository = "registry.example/cache"};
  return cache;
}
CacheSettings with_secret(const char* name) {
  CacheSettings cache = registry("registry.example/cache");
  cache.registry->secret = SecretRef{name};
  return cache;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, ValidateCache,
    testing::Values(
        Row{"TakesNone", {}, "", ""}, Row{"TakesAClaim", claim("20Gi", "168h"), "", ""},
        Row{"TakesARepository", registry("registry.example:5000/team/cache"), "", ""},
        Row{"TakesDisabledBesideAll", disabled(claim("20Gi", "168h")), "", ""},
        Row{"TakesDisabledAlone", disabled({}), "", ""}, Row{"WantsOnePlace", both(), "spec.cache", "at most one"},
        Row{"WantsTheClaimsName", {.claim = ClaimSource{"a b"}}, "spec.cache.persistentVolumeClaim.claimName", ""},
        Row{"WantsARepository", registry(""), "spec.cache.registry.repository", "must name a repository"},
        Row{"WantsNoTag", registry("registry.example/cache:1"), "spec.cache.registry.repository", "no tag"},
        Row{"WantsTheSecretsName", with_secret(""), "spec.cache.registry.secretRef.name", ""},
        Row{"SizesOfARegistryAreItsOwn", registry("registry.example/cache", "1Gi"), "spec.cache.maxSize",
            "its own retention"},
        Row{"AgesOfARegistryAreItsOwn", registry("registry.example/cache", "", "1h"), "spec.cache.ttl",
            "its own retention"},
        Row{"ASizeNeedsAClaim", {.max_size = {"1Gi"}}, "spec.cache.maxSize", "set persistentVolumeClaim"},
        Row{"WantsAQuantity", claim("much"), "spec.cache.maxSize", "is not a quantity"},
        Row{"WantsMoreThanNothing", claim("0"), "spec.cache.maxSize", "more than nothing"},
        Row{"WantsADuration", claim("", "7d"), "spec.cache.ttl", "is not a duration"},
        Row{"WantsASecond", claim("", "10ms"), "spec.cache.ttl", "at least 1s"}),
    [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

TEST(ValidateCacheTransport, AnyPlaceNeedsTheTransportVolume) {
  ImageBuildSpec spec = good_spec();
  spec.artifacts = {.transport = Transport::kRegistry, .volume = {}, .repository = "registry.example/artifacts"};
  spec.cache = claim();
  const std::vector<Problem> problems = validate(spec);
  ASSERT_EQ(problems.size(), 1U) << problems_text(problems);
  EXPECT_EQ(problems[0].field, "spec.cache");
  spec.cache.disabled = true;
  EXPECT_TRUE(validate(spec).empty());
}

TEST(CacheOrDefault, TheSpecGoesBeforeTheOperator) {
  const CacheSettings of_operator = registry("registry.example/cache");
  ImageBuildSpec spec;
  EXPECT_EQ(cache_or_default(spec, of_operator), of_operator);
  EXPECT_EQ(cache_or_default(spec, {}), CacheSettings{});
  spec.cache = claim("1Gi");
  EXPECT_EQ(cache_or_default(spec, of_operator), spec.cache);
  spec.cache = disabled({});
  EXPECT_FALSE(uses_cache(cache_or_default(spec, of_operator)));
  spec.cache = {};
  spec.artifacts.transport = Transport::kRegistry;
  EXPECT_FALSE(uses_cache(cache_or_default(spec, of_operator)));
}

}  // namespace
}  // namespace imagebuild::api
