// The checks of a built image, on layers made up here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lint/image/image.h"
#include "lint/image/image_checks.h"

namespace imagebuild::lint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kMega = 1'000'000;

archive::Node file(std::string path, std::uint64_t bytes, const std::string& fingerprint = "") {
  archive::Node node;
  node.path = std::move(path);
  node.mode = 0644;
  node.size_bytes = bytes;
  if (!fingerprint.empty()) node.xattrs[kFingerprint] = fingerprint;
  return node;
}

archive::Node owned(archive::Node node, std::uint32_t uid) {
  node.uid = uid;
  return node;
}

archive::Node with_mode(archive::Node node, std::uint32_t mode) {
  node.mode = mode;
  return node;
}

ImageLayer layer(int line, const std::string& script, const std::vector<archive::Node>& nodes) {
  ImageLayer made;
  made.at = {line, 1};
  made.script = script;
  for (const archive::Node& node : nodes) made.index.put(node);
  return made;
}

ImageInput image(std::vector<ImageLayer> layers) {
  ImageInput input;
  input.layers = std::move(layers);
  input.total_bytes = 480 * kMega;
  return input;
}

std::vector<std::string> found(const ImageInput& input) {
  std::vector<std::string> lines;
  for (const api::Warning& warning : check_image(input)) {
    lines.push_back(std::to_string(warning.at.line) + " " + warning.rule);
    EXPECT_FALSE(warning.message.ends_with('.')) << warning.message;
  }
  return lines;
}

std::string only_message(const ImageInput& input) {
  const std::vector<api::Warning> warnings = check_image(input);
  EXPECT_EQ(warnings.size(), 1U);
  return warnings.empty() ? "" : warnings.front().message;
}

TEST(ImageChecks, SayHowManyBytesBuildToolsTake) {
  const ImageInput input =
      image({layer(14, "apt-get update && apt-get install -y gcc make", {file("usr/bin/gcc", 412 * kMega)})});
  EXPECT_THAT(
      only_message(input),
      HasSubstr("412 MB of 480 MB come from apt-get in the final stage (line 14), which installs gcc and make"));
}

TEST(ImageChecks, LeaveToolsAloneThatAreRemovedOrNoneOrInAPlaceToWorkIn) {
  ImageInput input = image({layer(2, "apk add -t .d gcc && make && apk del .d", {file("app", kMega)}),
                            layer(3, "apt-get install -y curl", {file("usr/bin/curl", kMega)})});
  EXPECT_THAT(found(input), IsEmpty());
  input = image({layer(2, "apt-get install -y gcc", {file("usr/bin/gcc", kMega)})});
  input.stage = "dev";
  EXPECT_THAT(found(input), IsEmpty());
}

struct CacheCase {
  std::string name;
  std::string path;
  std::string part;  // Of the message; empty when nothing is found.
};
class Caches : public testing::TestWithParam<CacheCase> {};

TEST_P(Caches, AreFoundByTheirFolders) {
  const ImageInput input = image({layer(3, "x", {file(GetParam().path, 2 * kMega)})});
  if (GetParam().part.empty()) {
    EXPECT_THAT(found(input), IsEmpty());
  } else {
    EXPECT_THAT(only_message(input), HasSubstr(GetParam().part));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Caches,
    testing::Values(
        CacheCase{"AptLists", "var/lib/apt/lists/debian_main", "rm -rf /var/lib/apt/lists/*"},
        CacheCase{"AptArchives", "var/cache/apt/archives/gcc.deb", "a cache of apt in '/var/cache/apt' (line 3)"},
        CacheCase{"Dnf", "var/cache/dnf/x", "dnf clean all"},
        CacheCase{"Apk", "var/cache/apk/APKINDEX", "apk add --no-cache"},
        CacheCase{"Pip", "root/.cache/pip/http/a", "2.0 MB of 480 MB are a cache of pip in '/root/.cache/pip'"},
        CacheCase{"NpmOfAUser", "home/node/.npm/_cacache/a", "--mount=type=cache,target=/home/node/.npm"},
        CacheCase{"GoModules", "go/pkg/mod/x", "a cache of Go"},
        CacheCase{"Maven", "root/.m2/repository/a.jar", "a cache of Maven"},
        CacheCase{"NoCache", "srv/var/cache/apt/x", ""}, CacheCase{"TheFolderItself", "root/.npm", ""},
        CacheCase{"OtherHomeFolder", "home/.npm/x", ""}),
    [](const auto& test) { return test.param.name; });

TEST(ImageChecks, LeaveSmallCachesAlone) {
  EXPECT_THAT(found(image({layer(3, "x", {file("var/lib/apt/lists/a", 999'999)})})), IsEmpty());
  EXPECT_THAT(
      found(image({layer(3, "x", {file("var/lib/apt/lists/a", 500'000), file("var/lib/apt/lists/b", 500'000)})})),
      ElementsAre("3 PackageCacheInImage"));
}

TEST(ImageChecks, NameWhatALaterLineDeletesInVain) {
  const ImageInput input = image(
      {layer(3, "", {file("model.tar.gz", 210 * kMega)}), layer(5, "rm model.tar.gz", {file(".wh.model.tar.gz", 0)})});
  EXPECT_THAT(only_message(input),
              HasSubstr("line 5 deletes '/model.tar.gz' that line 3 stored, but the image keeps 210 MB of it"));
  EXPECT_THAT(found(input), ElementsAre("5 DeletedInLaterLayer"));
}

TEST(ImageChecks, CountWholeFoldersAndOpaqueOnes) {
  EXPECT_THAT(
      only_message(image({layer(3, "make", {file("src/a", kMega), file("src/b/c", 2 * kMega), file("src2", kMega)}),
                          layer(4, "rm -r src", {file(".wh.src", 0)})})),
      HasSubstr("'/src/b/c' and another file that line 3 stored, but the image keeps 3.0 MB of it"));
  EXPECT_THAT(found(image({layer(3, "make", {file("src/a", 2 * kMega)}),
                           layer(4, "x", {file("src/.wh..wh..opq", 0), file("src/n", 1)})})),
              ElementsAre("4 DeletedInLaterLayer"));
}

TEST(ImageChecks, LeaveDeletionsAloneThatCostLittleOrNothing) {
  EXPECT_THAT(found(image({layer(3, "", {file("a", 999'999)}), layer(4, "x", {file(".wh.a", 0)})})), IsEmpty());
  EXPECT_THAT(found(image({layer(4, "x", {file(".wh.of-the-base", 0)})})), IsEmpty());
  // Of a file that a line in between has replaced, only the last one is deleted.
  EXPECT_THAT(found(image({layer(3, "", {file("a", 5 * kMega, "1")}), layer(4, "", {file("a", 6 * kMega, "2")}),
                           layer(5, "x", {file(".wh.a", 0)})})),
              ElementsAre("5 DeletedInLaterLayer"));
}

TEST(ImageChecks, FindFilesStoredAgainForTheirOwnerOrMode) {
  const ImageInput chown = image(
      {layer(4, "", {file("app", 9 * kMega, "f")}), layer(7, "chown 1 /app", {owned(file("app", 9 * kMega, "f"), 1)})});
  EXPECT_THAT(only_message(chown), HasSubstr("only with another owner, so the image has 9.0 MB twice; write COPY "
                                             "--chown=… in line 4"));
  const ImageInput chmod = image({layer(4, "make", {file("app", 9 * kMega, "f")}),
                                  layer(7, "chmod +x /app", {with_mode(file("app", 9 * kMega, "f"), 0755)})});
  EXPECT_THAT(only_message(chmod), HasSubstr("only with another mode, so the image has 9.0 MB twice; do it in the RUN "
                                             "of line 4"));
  std::vector<archive::Node> small, again;
  for (int i = 0; i < 20; ++i) {
    small.push_back(file("d/" + std::to_string(i), 100'000));
    again.push_back(owned(small.back(), 7));
  }
  EXPECT_THAT(only_message(image({layer(4, "", small), layer(5, "chown -R 7 d", again)})), HasSubstr("19 more files"));
}

TEST(ImageChecks, FindEqualLargeFilesInTwoLayers) {
  const ImageInput input =
      image({layer(4, "", {file("a", 9 * kMega, "f")}), layer(6, "cp a b", {file("b", 9 * kMega, "f")})});
  EXPECT_THAT(only_message(input), HasSubstr("'/b' of line 6 has the content of '/a' of line 4"));
}

TEST(ImageChecks, LeaveFilesAloneThatDiffer) {
  EXPECT_THAT(found(image({layer(4, "", {file("a", 9 * kMega, "f")}), layer(6, "x", {file("b", 9 * kMega, "g")})})),
              IsEmpty());
  EXPECT_THAT(found(image({layer(4, "", {file("a", 9 * kMega, "f")}), layer(6, "x", {file("a", 9 * kMega, "g")})})),
              IsEmpty());
  EXPECT_THAT(found(image({layer(4, "", {file("a", 9 * kMega, "f"), file("b", 9 * kMega, "f")})})), IsEmpty());
  // Small files of one size may well differ.
  EXPECT_THAT(found(image({layer(4, "", {file("a", 900'000), file("b", 900'000)}),
                           layer(6, "x", {file("a", 900'000), file("b", 900'000)})})),
              IsEmpty());
}

TEST(ImageChecks, CallAMovedFileDeletedAndNotDoubled) {
  EXPECT_THAT(found(image({layer(4, "", {file("a", 9 * kMega, "f")}),
                           layer(6, "mv a b", {file(".wh.a", 0), file("b", 9 * kMega, "f")})})),
              ElementsAre("6 DeletedInLaterLayer"));
}

TEST(ImageChecks, NamePrivateKeysButNoExamples) {
  ImageLayer keys = layer(3, "", {});
  keys.private_keys = {"etc/deploy", "app/node_modules/x/key.pem", "src/testdata/key", "a\nb"};
  const ImageInput input = image({keys});
  EXPECT_THAT(found(input), ElementsAre("3 SecretInImage", "3 SecretInImage"));
  EXPECT_THAT(check_image(input).front().message, HasSubstr("'/etc/deploy' (line 3) is a private key"));
  EXPECT_THAT(check_image(input).back().message, HasSubstr("'/a?b'"));
}

TEST(ImageChecks, SkipWhatTheDockerfileSkips) {
  ImageInput input =
      image({layer(3, "x", {file("root/.npm/a", 2 * kMega)}), layer(9, "x", {file("root/.npm/b", 2 * kMega)})});
  EXPECT_THAT(found(input), ElementsAre("3 PackageCacheInImage", "9 PackageCacheInImage"));
  input.skipped = {{"PackageCacheInImage", 8, 9}};
  EXPECT_THAT(found(input), ElementsAre("3 PackageCacheInImage"));
  input.skipped = {{"SecretInImage"}};
  EXPECT_EQ(found(input).size(), 2U);
  for (const char* rule : {"all", "PackageCacheInImage"}) {
    input.skipped = {{rule}};
    EXPECT_THAT(found(input), IsEmpty());
  }
}

TEST(ImageChecks, SayNoShareOfAnUnknownWhole) {
  ImageInput input = image({layer(3, "x", {file("root/.npm/a", 2 * kMega)})});
  input.total_bytes = 0;
  EXPECT_THAT(only_message(input), ::testing::StartsWith("2.0 MB are a cache"));
}

TEST(SizeText, RoundsToWhatOneSays) {
  EXPECT_EQ(size_text(0), "0 bytes");
  EXPECT_EQ(size_text(1'449'000), "1.4 MB");
  EXPECT_EQ(size_text(9'960'000), "10 MB");
  EXPECT_EQ(size_text(412'300'000), "412 MB");
  EXPECT_EQ(size_text(999'600'000), "1.0 GB");
}

}  // namespace
}  // namespace imagebuild::lint
