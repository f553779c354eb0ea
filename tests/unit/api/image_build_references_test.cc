#include "api/image_build_references.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace imagebuild::api {
namespace {

TEST(References, AreWhateverTheSpecNamesEachOnce) {
  using enum Reference::Kind;
  ImageBuildSpec spec;
  spec.source.git = GitSource{.url = "https://git.example/a", .secret = SecretRef{"git"}};
  spec.build_args = {{"A", {}, ValueFrom{KeyRef{"args", "a"}}}, {"B", "1", {}}};
  spec.secrets = {{"token", {"tokens", "npm"}}};
  spec.output.push_secret = SecretRef{"push"};
  spec.image_pull_secrets = {{"pull"}, {"push"}};
  spec.artifacts.volume.storage_class_name = "fast";
  EXPECT_THAT(references(spec),
              testing::ElementsAre(Reference{kSecret, "git", ""}, Reference{kSecret, "pull", ".dockerconfigjson"},
                                   Reference{kSecret, "push", ".dockerconfigjson"}, Reference{kSecret, "tokens", "npm"},
                                   Reference{kConfigMap, "args", "a"}, Reference{kStorageClass, "fast", ""}));
}

TEST(References, NameTheSourcesOfFilesButNoUnusedStorageClass) {
  using enum Reference::Kind;
  ImageBuildSpec spec;
  spec.source.config_map = ConfigMapRef{"ctx"};
  spec.source.claim = ClaimSource{"src"};
  spec.artifacts = {.transport = Transport::kRegistry, .volume = {.storage_class_name = "fast"}, .repository = "r/c"};
  EXPECT_THAT(references(spec), testing::ElementsAre(Reference{kConfigMap, "ctx", ""}, Reference{kClaim, "src", ""}));
}

TEST(References, NameWhatContextsKeysAndCachesNeed) {
  using enum Reference::Kind;
  ImageBuildSpec spec;
  spec.artifacts.transport = Transport::kRegistry;
  spec.contexts.resize(4);
  spec.contexts[0].image = "registry.example/base:1";
  spec.contexts[1].files.git = GitSource{.url = "https://git.example/a", .secret = SecretRef{"git"}};
  spec.contexts[2].files.config_map = ConfigMapRef{"ctx"};
  spec.contexts[3].files.claim = ClaimSource{"assets"};
  spec.ssh = {{"", {"keys", "id_ed25519"}}};
  spec.cache_mounts.claim = ClaimSource{"caches"};
  EXPECT_THAT(references(spec),
              testing::ElementsAre(Reference{kSecret, "git", ""}, Reference{kSecret, "keys", "id_ed25519"},
                                   Reference{kConfigMap, "ctx", ""}, Reference{kClaim, "assets", ""},
                                   Reference{kClaim, "caches", ""}));
}

TEST(References, NameWhatTheCacheNeedsUnlessItIsDisabled) {
  using enum Reference::Kind;
  ImageBuildSpec spec;
  spec.artifacts.transport = Transport::kRegistry;
  spec.cache.claim = ClaimSource{"results"};
  EXPECT_THAT(references(spec), testing::ElementsAre(Reference{kClaim, "results", ""}));
  spec.cache = {.registry = CacheRegistry{"registry.example/cache", SecretRef{"login"}}};
  EXPECT_THAT(references(spec), testing::ElementsAre(Reference{kSecret, "login", ".dockerconfigjson"}));
  spec.cache.disabled = true;
  EXPECT_THAT(references(spec), testing::IsEmpty());
}

}  // namespace
}  // namespace imagebuild::api
