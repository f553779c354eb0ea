#include "cli/base_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "archive/tar_writer.h"
#include "archive/tree_index.h"
#include "base/file.h"
#include "cli/overlay.h"
#include "oci/layer.h"

namespace imagebuild::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// An image in memory that counts how often its layers are opened.
class MemoryImage final : public oci::ImageSource {
 public:
  using Files = std::vector<std::pair<std::string, std::string>>;

  void add_layer(const Files& files) {
    StringSink tar;
    archive::TarWriter writer(tar);
    for (const auto& [path, content] : files) {
      archive::Node node;
      node.path = path;
      node.mode = path.ends_with('/') ? 0755 : 0644;
      if (path.ends_with('/')) {
        node.path.pop_back();
        node.type = archive::NodeType::kDirectory;
      }
      node.size_bytes = content.size();
      StringSource source(content);
      ASSERT_TRUE(writer.add(node, &source).ok());
    }
    ASSERT_TRUE(writer.finish().ok());
    StringSink blob;
    oci::LayerWriter layer(blob, archive::Compression::kGzip, 1);
    ASSERT_TRUE(layer.write(as_bytes(tar.text())).ok());
    const auto done = layer.finish();
    ASSERT_TRUE(done.ok());
    image.config.diff_ids.push_back(done->diff_id);
    image.manifest.layers.push_back(done->blob);
    blobs.push_back(blob.text());
  }

  Result<oci::ResolvedImage> resolve(const oci::Platform&) override { return image; }
  Result<std::unique_ptr<ByteSource>> open_blob(const oci::Descriptor& blob) override {
    ++opened;
    for (std::size_t i = 0; i < blobs.size(); ++i) {
      if (image.manifest.layers[i].digest == blob.digest) {
        return oci::verified(std::make_unique<StringSource>(blobs[i]), blob.digest, blob.size_bytes);
      }
    }
    return Error{ErrorCode::kNotFound, "no such blob"};
  }

  oci::ResolvedImage image{.descriptor = oci::Descriptor{"", oci::Digest::of(""), 0, {}, {}},
                           .manifest = oci::Manifest{"", oci::Descriptor{"", oci::Digest::of(""), 0, {}, {}}, {}, {}},
                           .manifest_json = "",
                           .config = {},
                           .config_json = ""};
  std::vector<std::string> blobs;
  std::atomic<int> opened = 0;
};

struct BaseImagesTest : testing::Test {
  TempDir folder = std::move(*TempDir::create("imagebuild-base-test-"));
  Store store = std::move(*Store::open(folder.path() / "store"));
  MemoryImage source;

  Result<BaseImageFiles> fetch(bool unpack) {
    FetchRequest request;
    request.image = &source.image;
    request.unpack = unpack;
    return fetch_base_image(store, source, request, {});
  }
  void expect_nothing_half_done() {
    EXPECT_TRUE(fs::is_empty(store.folder() / "tmp"));
    EXPECT_TRUE(fs::is_empty(store.folder() / "locks"));
  }
};

TEST_F(BaseImagesTest, MakesAnIndexWithoutUnpacking) {
  source.add_layer({{"etc/", ""}, {"etc/passwd", "root:x:0:0::/:/bin/sh\n"}, {"gone", "x"}});
  source.add_layer({{".wh.gone", ""}, {"new", "y"}});
  const auto files = fetch(false);
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_TRUE(files->layers.empty());
  EXPECT_TRUE(fs::is_empty(store.folder() / "layers"));
  const auto index = archive::TreeIndex::load(files->index);
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->find("gone"), nullptr);
  EXPECT_NE(index->find("new"), nullptr);
  EXPECT_EQ(index->find("etc/passwd")->content, "root:x:0:0::/:/bin/sh\n");
  EXPECT_EQ(source.opened, 2);
  ASSERT_TRUE(fetch(false).ok());
  EXPECT_EQ(source.opened, 2) << "what the store has is fetched again";
  expect_nothing_half_done();
}

TEST_F(BaseImagesTest, LeavesNothingOfALayerThatIsNotWhatWasPromised) {
  source.add_layer({{"a", "x"}});
  source.add_layer({{"b", "y"}});
  source.image.config.diff_ids[1] = oci::Digest::of("something else");
  const auto files = fetch(false);
  ASSERT_FALSE(files.ok());
  EXPECT_EQ(files.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(files.error().message, HasSubstr("layer sha256:"));
  EXPECT_TRUE(fs::is_empty(store.folder() / "indexes"));
  expect_nothing_half_done();
}

TEST_F(BaseImagesTest, AnImageWithoutLayersNeedsNothing) {
  const auto files = fetch(true);
  ASSERT_TRUE(files.ok());
  EXPECT_TRUE(files->layers.empty());
  EXPECT_TRUE(files->index.empty());
}

// Unpacking mounts overlays, in a mount namespace of the test's own.
struct UnpackTest : BaseImagesTest {
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "unpacking layers needs root";
    ASSERT_TRUE(enter_own_mount_namespace().ok());
  }
  // The image's tree, as a container would see it.
  Result<Mount> mounted(const BaseImageFiles& files) {
    fs::create_directory(folder.path() / "view");
    return mount_overlay(OverlayFolder{folder.path() / "view"}, files.layers);
  }
};

TEST_F(UnpackTest, StacksLayersWithWhiteouts) {
  source.add_layer({{"etc/", ""}, {"etc/a", "1"}, {"etc/b", "1"}, {"full/", ""}, {"full/old", "1"}, {"gone", "x"}});
  source.add_layer({{".wh.gone", ""}, {"etc/a", "22"}, {"full/", ""}, {"full/.wh..wh..opq", ""}, {"full/new", "2"}});
  source.add_layer({{"gone/", ""}, {"gone/back", "3"}});
  const auto files = fetch(true);
  ASSERT_TRUE(files.ok()) << files.error().message;
  ASSERT_EQ(files->layers.size(), 3U);
  {
    const auto view = mounted(*files);
    ASSERT_TRUE(view.ok()) << view.error().message;
    const fs::path root = view->target();
    EXPECT_EQ(*read_file(root / "etc/a", 10), "22");
    EXPECT_EQ(*read_file(root / "etc/b", 10), "1");
    EXPECT_FALSE(fs::exists(root / "full/old"));
    EXPECT_EQ(*read_file(root / "full/new", 10), "2");
    EXPECT_EQ(*read_file(root / "gone/back", 10), "3");
  }
  EXPECT_EQ(source.opened, 3);
  ASSERT_TRUE(fetch(true).ok());
  EXPECT_EQ(source.opened, 3) << "unpacked layers are fetched again";
  expect_nothing_half_done();
}

TEST_F(UnpackTest, SharesTheLayersThatTwoImagesHaveInCommon) {
  source.add_layer({{"a", "1"}});
  ASSERT_TRUE(fetch(true).ok());
  source.add_layer({{"b", "2"}});
  const auto files = fetch(true);
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_EQ(std::distance(fs::directory_iterator(store.folder() / "layers"), fs::directory_iterator()), 2);
  const auto view = mounted(*files);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(*read_file(view->target() / "a", 10), "1");
}

TEST_F(UnpackTest, ABrokenUpperLayerKeepsTheOnesBelow) {
  source.add_layer({{"a", "1"}});
  source.add_layer({{"b", "2"}});
  source.blobs[1][30] = static_cast<char>(source.blobs[1][30] ^ 1);
  const auto files = fetch(true);
  ASSERT_FALSE(files.ok());
  EXPECT_EQ(files.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(std::distance(fs::directory_iterator(store.folder() / "layers"), fs::directory_iterator()), 1);
  expect_nothing_half_done();
}

TEST_F(UnpackTest, TakesOverWhatAKilledProcessHadHalfUnpacked) {
  source.add_layer({{"a", "1"}});
  const oci::Digest chain = chain_ids(source.image.config.diff_ids).back();
  fs::create_directories(store.unpacking(chain) / "upper" / "garbage");
  const auto files = fetch(true);
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_FALSE(fs::exists(files->layers[0] / "garbage"));
  expect_nothing_half_done();
}

TEST_F(UnpackTest, TheRootFolderKeepsTheAttributesOfTheLayersBelow) {
  source.add_layer({{"a", "1"}});
  const auto files = fetch(true);
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(::chmod(files->layers[0].c_str(), 01777), 0);
  const auto view = mounted(*files);
  ASSERT_TRUE(view.ok());
  struct stat root {};
  ASSERT_EQ(::stat(view->target().c_str(), &root), 0);
  EXPECT_EQ(root.st_mode & 07777U, 01777U);
}

TEST_F(UnpackTest, MountsAnEmptyRootForScratchAndManyLayers) {
  const auto empty = mounted(BaseImageFiles{});
  ASSERT_TRUE(empty.ok()) << empty.error().message;
  EXPECT_TRUE(fs::is_empty(empty->target()));
  BaseImageFiles many;
  for (int i = 0; i < 200; ++i) {
    many.layers.push_back(folder.path() / ("a-folder-with-a-long-name-that-would-fill-the-page" + std::to_string(i)));
    fs::create_directory(many.layers.back());
    ASSERT_TRUE(write_file_atomically(many.layers.back() / std::to_string(i), "").ok());
  }
  fs::create_directory(folder.path() / "many");
  const auto mount = mount_overlay(OverlayFolder{folder.path() / "many"}, many.layers);
  ASSERT_TRUE(mount.ok()) << mount.error().message;
  EXPECT_TRUE(fs::exists(mount->target() / "0"));
  EXPECT_TRUE(fs::exists(mount->target() / "199"));
}

}  // namespace
}  // namespace imagebuild::cli
