#include "cli/cache_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace imagebuild::cli {
namespace {

using Kind = CacheSpec::Kind;
using testing::HasSubstr;

CacheSpec repository(const std::string& name) {
  return {Kind::kRegistry, {}, *oci::Reference::parse(name)};
}

CacheSpec folder(const std::string& path) {
  return {Kind::kFolder, path, std::nullopt};
}

TEST(CacheSpecTest, ReadsRepositories) {
  EXPECT_EQ(*parse_cache_from("type=registry,ref=localhost:5000/team/cache"), repository("localhost:5000/team/cache"));
  EXPECT_EQ(*parse_cache_from("localhost:5000/team/cache"), repository("localhost:5000/team/cache"));
  EXPECT_EQ(*parse_cache_to("ref=registry.corp/cache,type=registry,mode=max,ignore-error=true"),
            repository("registry.corp/cache"));
}

TEST(CacheSpecTest, ReadsFolders) {
  EXPECT_EQ(*parse_cache_from("type=local,src=a/b"), folder("a/b"));
  EXPECT_EQ(*parse_cache_to("type=local,dest=/a=b,mode=max"), folder("/a=b"));
}

struct WrongCache {
  const char* name;
  const char* text;
  const char* message;
};

class WrongCacheTest : public testing::TestWithParam<WrongCache> {};

TEST_P(WrongCacheTest, SaysWhatIsWrong) {
  const auto cache = parse_cache_to(GetParam().text);
  ASSERT_FALSE(cache.ok());
  EXPECT_THAT(cache.error().message, HasSubstr("--cache-to"));
  EXPECT_THAT(cache.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, WrongCacheTest,
    testing::ValuesIn(std::vector<WrongCache>{
        {"Nothing", "", "expected type=registry,ref=HOST/REPOSITORY or type=local"},
        {"NoType", "ref=a/b", "has no type=; it can be type=registry"},
        {"UnknownType", "type=registri,ref=a/b", "unknown type 'registri'; did you mean 'registry'?"},
        {"UnknownKey", "type=registry,reff=a/b", "unknown key 'reff'; did you mean 'ref'?"},
        {"NoRef", "type=registry", "type=registry needs ref=HOST/REPOSITORY"},
        {"WrongRef", "type=registry,ref=host/UPPER", "UPPER"},
        {"AnImage", "type=registry,ref=host/app:cache", "leave out ':cache'"},
        {"AFolderForARegistry", "type=registry,ref=a/b,dest=c", "type=registry has no folder"},
        {"NoFolder", "type=local", "type=local needs dest=FOLDER"},
        {"TheOtherSidesFolder", "type=local,src=a", "is dest=FOLDER here, not src="},
        {"ARefForAFolder", "type=local,dest=a,ref=b", "takes no ref="},
        {"GitHub", "type=gha,scope=main", "type=gha is not supported; it can be type=registry"},
        {"Bucket", "region=x,type=s3,bucket=y", "type=s3 is not supported"},
        {"Azure", "type=azblob,name=x", "type=azblob is not supported"},
        {"Inline", "type=inline", "type=inline is not supported"},
        {"Min", "type=registry,ref=a/b,mode=min", "mode=min is not supported: the results of all stages are kept"},
        {"UnknownMode", "type=registry,ref=a/b,mode=all", "unknown mode 'all'; it can be max"},
        {"Strict", "type=registry,ref=a/b,ignore-error=false", "never the end of a build"},
        {"NoBoolean", "type=registry,ref=a/b,ignore-error=yes", "unknown value 'yes'"},
        {"Compression", "type=registry,ref=a/b,compression=zstd", "compression= is not supported"},
        {"MediaTypes", "type=registry,ref=a/b,oci-mediatypes=true", "oci-mediatypes= is not supported"},
    }),
    [](const auto& row) { return std::string(row.param.name); });

TEST(CacheSpecTest, NamesTheOtherOptionToo) {
  EXPECT_THAT(parse_cache_from("type=local,dest=a").error().message,
              HasSubstr("--cache-from: the folder of type=local is src=FOLDER here, not dest="));
}

}  // namespace
}  // namespace imagebuild::cli
