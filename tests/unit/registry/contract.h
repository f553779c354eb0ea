// What Client does against every registry that follows the OCI distribution specification, as a list of named cases:
// each takes a client and a registry's host, and uses repositories of its own.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "oci/manifest.h"
#include "registry/client.h"
#include "registry/copy.h"

namespace imagebuild::registry {

struct ContractCase {
  std::string name;
  std::function<void(Client& client, const std::string& host)> check;
};

namespace contract {

inline oci::Reference reference(const std::string& host, const std::string& name) {
  return *oci::Reference::parse(host + "/" + name);
}

// Text of that size that does not repeat, and differs for each `seed`.
inline std::string some_bytes(std::size_t size, const std::string& seed) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += seed + std::to_string(i) + "\n";
  text.resize(size);
  return text;
}

inline oci::Descriptor describe(const std::string& bytes,
                                std::string_view media_type = oci::media_type::kOciLayerGzip) {
  return {.media_type = std::string(media_type),
          .digest = oci::Digest::of(bytes),
          .size_bytes = bytes.size(),
          .platform = {},
          .annotations = {}};
}

inline BlobOpener opener_of(const std::string& bytes) {
  return [bytes](std::uint64_t offset) -> Result<std::unique_ptr<ByteSource>> {
    return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(bytes.substr(offset)));
  };
}

inline Result<BlobOutcome> push(Client& client, const oci::Reference& to, const std::string& bytes,
                                const std::optional<oci::Reference>& mount_from = {}) {
  return client.push_blob(to, describe(bytes), opener_of(bytes), mount_from);
}

// The blob's bytes, or "error CODE: message".
inline std::string pull(Client& client, const oci::Reference& from, const oci::Descriptor& blob) {
  auto source = client.blob(from, blob);
  auto text = source.ok() ? read_all(**source, 1U << 30) : Result<std::string>(source.error());
  if (text.ok()) return std::move(text).value();
  return "error " + std::to_string(static_cast<int>(text.error().code)) + ": " + text.error().message;
}

inline std::string message_of(const auto& result) {
  return result.ok() ? "no error" : result.error().message;
}

// Pushes an image of one layer; returns the manifest's bytes.
inline std::string push_image(Client& client, const oci::Reference& to, const std::string& seed) {
  const std::string layer = some_bytes(500, seed);
  const std::string config =
      R"({"architecture":"amd64","os":"linux","author":")" + seed + R"(","rootfs":{"type":"layers","diff_ids":[]}})";
  for (const std::string& bytes : {layer, config}) {
    const auto pushed = push(client, to, bytes);
    EXPECT_TRUE(pushed.ok()) << message_of(pushed);
  }
  const oci::Manifest manifest{.media_type = std::string(oci::media_type::kOciManifest),
                               .config = describe(config, oci::media_type::kOciConfig),
                               .layers = {describe(layer)},
                               .annotations = {}};
  const std::string bytes = manifest.json();
  const auto digest = client.push_manifest(to, oci::media_type::kOciManifest, bytes);
  EXPECT_TRUE(digest.ok()) << message_of(digest);
  if (digest.ok()) {
    EXPECT_EQ(*digest, oci::Digest::of(bytes));
  }
  return bytes;
}

inline void pushes_blobs_of_every_size_and_pulls_them_back(Client& client, const std::string& host) {
  const auto to = reference(host, "contract/sizes");
  // Around the chunks of 1000 bytes that the second client of each suite sends.
  for (const std::size_t size : {1U, 999U, 1000U, 1001U, 2000U, 2500U, 100'000U}) {
    const std::string bytes = some_bytes(size, "sizes");
    const auto pushed = push(client, to, bytes);
    ASSERT_TRUE(pushed.ok()) << size << ": " << message_of(pushed);
    EXPECT_EQ(*pushed, BlobOutcome::kUploaded) << size;
    EXPECT_EQ(pull(client, to, describe(bytes)), bytes) << size;
  }
}

inline void sends_blobs_while_they_grow(Client& client, const std::string& host) {
  const auto to = reference(host, "contract/growing");
  const std::string bytes = some_bytes(2500, "growing");
  const BlobGrowth grow = [&](std::uint64_t wanted_bytes) -> Result<BlobSoFar> {
    if (wanted_bytes <= bytes.size()) return BlobSoFar{wanted_bytes, std::nullopt};
    return BlobSoFar{bytes.size(), describe(bytes)};
  };
  const Status pushed = client.push_growing_blob(to, grow, opener_of(bytes));
  if (!pushed.ok()) {
    EXPECT_EQ(pushed.error().code, ErrorCode::kUnsupported) << message_of(pushed);  // No chunks.
    return;
  }
  EXPECT_EQ(pull(client, to, describe(bytes)), bytes);
}

inline void says_whether_a_blob_is_there(Client& client, const std::string& host) {
  const auto to = reference(host, "contract/exists");
  const std::string bytes = some_bytes(3000, "exists");
  const auto before = client.has_blob(to, oci::Digest::of(bytes));
  ASSERT_TRUE(before.ok()) << message_of(before);
  EXPECT_FALSE(*before);
  ASSERT_TRUE(push(client, to, bytes).ok());
  const auto after = client.has_blob(to, oci::Digest::of(bytes));
  ASSERT_TRUE(after.ok()) << message_of(after);
  EXPECT_TRUE(*after);
  // Each repository for itself.
  const auto elsewhere = client.has_blob(reference(host, "contract/exists-not"), oci::Digest::of(bytes));
  ASSERT_TRUE(elsewhere.ok()) << message_of(elsewhere);
  EXPECT_FALSE(*elsewhere);
}

inline void sends_no_blob_twice(Client& client, const std::string& host) {
  const auto to = reference(host, "contract/twice");
  const std::string bytes = some_bytes(3000, "twice");
  ASSERT_TRUE(push(client, to, bytes).ok());
  const BlobOpener never = [](std::uint64_t) -> Result<std::unique_ptr<ByteSource>> {
    return Error{ErrorCode::kInternal, "nobody should have asked for the bytes"};
  };
  const auto again = client.push_blob(to, describe(bytes), never);
  ASSERT_TRUE(again.ok()) << message_of(again);
  EXPECT_EQ(*again, BlobOutcome::kExisted);
}

inline void mounts_blobs_of_other_repositories(Client& client, const std::string& host) {
  const auto from = reference(host, "contract/mount-from"), to = reference(host, "contract/mount-to");
  const std::string bytes = some_bytes(3000, "mount");
  ASSERT_TRUE(push(client, from, bytes).ok());
  const auto mounted = push(client, to, bytes, from);
  ASSERT_TRUE(mounted.ok()) << message_of(mounted);
  EXPECT_EQ(*mounted, BlobOutcome::kMounted);
  EXPECT_EQ(pull(client, to, describe(bytes)), bytes);
}

inline void uploads_what_cannot_be_mounted(Client& client, const std::string& host) {
  const auto from = reference(host, "contract/nothing-here"), to = reference(host, "contract/mount-refused");
  const std::string bytes = some_bytes(3000, "unmountable");
  const auto adopted = client.adopt_blob(to, describe(bytes), from);
  ASSERT_TRUE(adopted.ok()) << message_of(adopted);
  EXPECT_FALSE(adopted->has_value());
  const auto pushed = push(client, to, bytes, from);
  ASSERT_TRUE(pushed.ok()) << message_of(pushed);
  EXPECT_EQ(*pushed, BlobOutcome::kUploaded);
  EXPECT_EQ(pull(client, to, describe(bytes)), bytes);
}

inline void pushes_and_pulls_manifests_by_tag(Client& client, const std::string& host) {
  const auto to = reference(host, "contract/tagged:v1");
  const std::string bytes = push_image(client, to, "tagged");
  const auto pulled = client.manifest(to);
  ASSERT_TRUE(pulled.ok()) << message_of(pulled);
  EXPECT_EQ(pulled->bytes, bytes);
  EXPECT_EQ(pulled->descriptor.media_type, oci::media_type::kOciManifest);
  EXPECT_EQ(pulled->descriptor.digest, oci::Digest::of(bytes));
  EXPECT_EQ(pulled->descriptor.size_bytes, bytes.size());
  const auto resolved = client.resolve(to);
  ASSERT_TRUE(resolved.ok()) << message_of(resolved);
  EXPECT_EQ(resolved->digest, pulled->descriptor.digest);
  EXPECT_EQ(resolved->media_type, pulled->descriptor.media_type);
  EXPECT_EQ(resolved->size_bytes, bytes.size());
}

inline void pushes_and_pulls_manifests_by_digest(Client& client, const std::string& host) {
  const auto name = reference(host, "contract/pinned");
  const std::string bytes = push_image(client, name, "pinned");
  const auto pinned = reference(host, "contract/pinned@" + oci::Digest::of(bytes).str());
  const auto pushed = client.push_manifest(pinned, oci::media_type::kOciManifest, bytes);
  ASSERT_TRUE(pushed.ok()) << message_of(pushed);
  const auto pulled = client.manifest(pinned);
  ASSERT_TRUE(pulled.ok()) << message_of(pulled);
  EXPECT_EQ(pulled->bytes, bytes);
}

inline void moves_tags(Client& client, const std::string& host) {
  const auto to = reference(host, "contract/moved:latest");
  push_image(client, to, "old");
  const std::string bytes = push_image(client, to, "new");
  const auto pulled = client.manifest(to);
  ASSERT_TRUE(pulled.ok()) << message_of(pulled);
  EXPECT_EQ(pulled->bytes, bytes);
}

inline void reads_small_blobs_whole(Client& client, const std::string& host) {
  const auto to = reference(host, "contract/text");
  const std::string bytes = some_bytes(300, "text");
  ASSERT_TRUE(push(client, to, bytes).ok());
  const auto text = client.blob_text(to, describe(bytes));
  ASSERT_TRUE(text.ok()) << message_of(text);
  EXPECT_EQ(*text, bytes);
  const auto limited = client.blob_text(to, describe(bytes), 299);
  ASSERT_FALSE(limited.ok());
  EXPECT_EQ(limited.error().code, ErrorCode::kLimit);
}

inline void says_not_found(Client& client, const std::string& host) {
  const auto known = reference(host, "contract/known:v1"), tag = reference(host, "contract/known:missing");
  push_image(client, known, "known");
  for (const auto& missing : {tag, reference(host, "contract/never-pushed:v1")}) {
    const auto pulled = client.manifest(missing);
    ASSERT_FALSE(pulled.ok());
    EXPECT_EQ(pulled.error().code, ErrorCode::kNotFound);
    EXPECT_EQ(pulled.error().message, "there is no image '" + missing.familiar() + "' in registry " + host);
    const auto resolved = client.resolve(missing);
    ASSERT_FALSE(resolved.ok());
    EXPECT_EQ(resolved.error().code, ErrorCode::kNotFound);
  }
  const oci::Descriptor blob = describe("nobody pushed this");
  const auto pulled = client.blob(known, blob);
  ASSERT_FALSE(pulled.ok());
  EXPECT_EQ(pulled.error().code, ErrorCode::kNotFound);
  EXPECT_NE(pulled.error().message.find(blob.digest.str()), std::string::npos) << pulled.error().message;
}

inline void refuses_blobs_of_another_digest(Client& client, const std::string& host) {
  const auto to = reference(host, "contract/wrong-blob");
  const std::string bytes = some_bytes(2500, "right"), other = some_bytes(2500, "wrong");
  const auto pushed = client.push_blob(to, describe(bytes), opener_of(other));
  ASSERT_FALSE(pushed.ok());
  EXPECT_EQ(pushed.error().code, ErrorCode::kCorrupt) << pushed.error().message;
  for (const std::string& text : {bytes, other}) {
    const auto there = client.has_blob(to, oci::Digest::of(text));
    ASSERT_TRUE(there.ok()) << message_of(there);
    EXPECT_FALSE(*there);
  }
}

inline void refuses_manifests_of_another_digest(Client& client, const std::string& host) {
  const auto to = reference(host, "contract/wrong-manifest@" + oci::Digest::of("something else").str());
  const auto pushed = client.push_manifest(to, oci::media_type::kOciManifest, "{}");
  ASSERT_FALSE(pushed.ok());
  EXPECT_EQ(pushed.error().code, ErrorCode::kInvalidInput);
}

inline void copies_blobs_between_repositories(Client& client, const std::string& host) {
  const auto from = reference(host, "contract/copy-from"), to = reference(host, "contract/copy-to");
  const std::string bytes = some_bytes(5000, "copy");
  ASSERT_TRUE(push(client, from, bytes).ok());
  const auto first = copy_blob(client, from, to, describe(bytes));
  ASSERT_TRUE(first.ok()) << message_of(first);
  EXPECT_EQ(*first, BlobOutcome::kMounted);
  EXPECT_EQ(pull(client, to, describe(bytes)), bytes);
  const auto second = copy_blob(client, from, to, describe(bytes));
  ASSERT_TRUE(second.ok()) << message_of(second);
  EXPECT_EQ(*second, BlobOutcome::kExisted);
}

inline void lists_the_tags_of_a_repository(Client& client, const std::string& host) {
  for (const char* tag : {"v2", "v1", "latest"})
    push_image(client, reference(host, "contract/tags:" + std::string(tag)), tag);
  const auto tags = client.tags(reference(host, "contract/tags"));
  ASSERT_TRUE(tags.ok()) << message_of(tags);
  EXPECT_EQ(*tags, (std::vector<std::string>{"latest", "v1", "v2"}));
  const auto none = client.tags(reference(host, "contract/without-tags"));
  ASSERT_TRUE(none.ok()) << message_of(none);
  EXPECT_TRUE(none->empty());
}

inline void removes_manifests_with_their_tags(Client& client, const std::string& host) {
  const auto repository = reference(host, "contract/removed");
  const std::string bytes = push_image(client, reference(host, "contract/removed:old"), "removed");
  push_image(client, reference(host, "contract/removed:kept"), "kept");
  for (const char* which : {"there", "gone already"}) {
    const auto removed = client.remove_manifest(repository, oci::Digest::of(bytes));
    ASSERT_TRUE(removed.ok()) << which << ": " << message_of(removed);
  }
  const auto tags = client.tags(repository);
  ASSERT_TRUE(tags.ok()) << message_of(tags);
  EXPECT_EQ(*tags, std::vector<std::string>{"kept"});
  const auto pulled = client.manifest(reference(host, "contract/removed:old"));
  ASSERT_FALSE(pulled.ok());
  EXPECT_EQ(pulled.error().code, ErrorCode::kNotFound);
}

}  // namespace contract

inline std::vector<ContractCase> client_contract() {
  using namespace contract;
  return {
      {"PushesBlobsOfEverySizeAndPullsThemBack", pushes_blobs_of_every_size_and_pulls_them_back},
      {"SendsBlobsWhileTheyGrow", sends_blobs_while_they_grow},
      {"SaysWhetherABlobIsThere", says_whether_a_blob_is_there},
      {"SendsNoBlobTwice", sends_no_blob_twice},
      {"MountsBlobsOfOtherRepositories", mounts_blobs_of_other_repositories},
      {"UploadsWhatCannotBeMounted", uploads_what_cannot_be_mounted},
      {"PushesAndPullsManifestsByTag", pushes_and_pulls_manifests_by_tag},
      {"PushesAndPullsManifestsByDigest", pushes_and_pulls_manifests_by_digest},
      {"MovesTags", moves_tags},
      {"ReadsSmallBlobsWhole", reads_small_blobs_whole},
      {"SaysNotFound", says_not_found},
      {"RefusesBlobsOfAnotherDigest", refuses_blobs_of_another_digest},
      {"RefusesManifestsOfAnotherDigest", refuses_manifests_of_another_digest},
      {"CopiesBlobsBetweenRepositories", copies_blobs_between_repositories},
      {"ListsTheTagsOfARepository", lists_the_tags_of_a_repository},
      {"RemovesManifestsWithTheirTags", removes_manifests_with_their_tags},
  };
}

}  // namespace imagebuild::registry
