// A layer on disk, and what is noted of it for the checks of its image.
#include "builder/stage/layer_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/volume.h"
#include "archive/tree_index.h"
#include "base/file.h"
#include "lint/image/image.h"

namespace imagebuild::builder {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LayerFile : public ::testing::Test {
 protected:
  void add(const std::string& path, std::string content) {
    LayerEntry entry;
    entry.node.path = path;
    entry.node.mode = 0644;
    entry.node.size_bytes = content.size();
    if (!content.empty()) {
      entry.open = [content = std::move(content)]() -> Result<std::unique_ptr<ByteSource>> {
        return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(content));
      };
    }
    entries_[path] = std::move(entry);
  }
  Result<api::LayerReport> write() { return write_layer(entries_, 3, {folder_.path(), compression_, 1}, {}); }
  Result<archive::TreeIndex> index() { return archive::TreeIndex::load(folder_.path() / api::volume::layer_index(3)); }

  TempDir folder_ = *TempDir::create("layer-");
  archive::Compression compression_ = archive::Compression::kNone;
  LayerEntries entries_;
};

TEST_F(LayerFile, HasItsIndexBesideIt) {
  add("a", "content");
  add(".wh.b", "");
  ASSERT_TRUE(write().ok());
  const auto read = index();
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->nodes().size(), 2U);
  EXPECT_EQ(read->find("a")->size_bytes, 7U);
  EXPECT_THAT(read->find("a")->xattrs, IsEmpty());
  EXPECT_NE(read->find(".wh.b"), nullptr);
}

TEST_F(LayerFile, HasTheFingerprintsOfLargeFilesInItsIndexOnly) {
  const std::string large(lint::kFingerprintFromBytes + 5, 'x');
  std::string other = large;
  other.back() = 'y';
  add("a", large);
  add("b", large);
  add("c", other);
  const auto report = write();
  ASSERT_TRUE(report.ok());
  const auto read = index();
  ASSERT_TRUE(read.ok());
  const auto fingerprint = [&](const char* path) { return read->find(path)->xattrs.at(lint::kFingerprint); };
  EXPECT_EQ(fingerprint("a"), fingerprint("b"));
  EXPECT_NE(fingerprint("a"), fingerprint("c"));
  const auto tar = read_file(folder_.path() / report->file, 16U << 20);
  ASSERT_TRUE(tar.ok());
  EXPECT_EQ(tar->find(lint::kFingerprint), std::string::npos);
}

TEST_F(LayerFile, NamesFilesThatBeginAsPrivateKeys) {
  const std::string end = " PRIVATE KEY-----\nMIIB\n";
  add("openssh", "-----BEGIN OPENSSH" + end);
  add("plain", "-----BEGIN PRIVATE KEY-----\n");
  add("windows", "-----BEGIN RSA PRIVATE KEY-----\r\n");
  add("described", "Bag Attributes\n    friendlyName: x\n-----BEGIN ENCRYPTED" + end);
  add("pgp", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n");
  add("public", "-----BEGIN PUBLIC KEY-----\n");
  add("certificate", "-----BEGIN CERTIFICATE-----\nMII\n");
  add("program", "std::string begin = \"-----BEGIN RSA PRIVATE KEY-----\";\n");
  add("far", std::string(2000, '\n') + "-----BEGIN RSA" + end);
  add("large", "-----BEGIN RSA" + end + std::string(100'000, 'x'));
  const auto report = write();
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->private_keys, ElementsAre("described", "openssh", "pgp", "plain", "windows"));
}

TEST_F(LayerFile, NamesOnlySoManyPrivateKeys) {
  for (int i = 0; i < 30; ++i) add("k" + std::to_string(i), "-----BEGIN PRIVATE KEY-----\n");
  const auto report = write();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->private_keys.size(), api::kMaxPrivateKeys);
}

TEST_F(LayerFile, IsTheLayerAlsoWhereItsIndexCannotBeWritten) {
  add("a", "content");
  std::filesystem::create_directories(folder_.path() / api::volume::layer_index(3) / "in the way");
  const auto report = write();
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / report->file));
}

}  // namespace
}  // namespace imagebuild::builder
