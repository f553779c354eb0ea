// The difference of two snapshots, applied as a layer to a copy of the old tree, gives the new tree.
#include "builder/stage/snapshot.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/file.h"
#include "builder/stage/difference.h"
#include "trees.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::written;

UniqueFd open_folder(const fs::path& folder) {
  return UniqueFd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

class SnapshotTest : public ::testing::Test {
 protected:
  SnapshotTest()
      : folder_(*TempDir::create("snapshot-")), root_(folder_.path() / "root"), copy_(folder_.path() / "copy") {
    fs::create_directory(root_);
  }
  void put(const std::string& name, const std::string& content) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << content;
  }
  LiveRoot live(Boundary boundary = {}) { return LiveRoot(open_folder(root_), std::move(boundary)); }
  // What `change` does, as a layer's paths.
  template <class Change>
  std::vector<std::string> layer_of(Change change, Boundary boundary = {}) {
    LiveRoot root = live(std::move(boundary));
    const auto before = Snapshot::take(root);
    wait_for_next_tick(*before);
    change();
    const auto after = Snapshot::take(root);
    const auto entries = difference(*before, *after, root, 0);
    if (!entries.ok()) return {entries.error().message};
    std::vector<std::string> paths;
    for (const auto& [path, entry] : *entries) paths.push_back(path);
    return paths;
  }
  TempDir folder_;
  fs::path root_, copy_;
};

TEST_F(SnapshotTest, SeesNothingWhereNothingChanged) {
  put("a/b", "x");
  EXPECT_THAT(layer_of([] {}), ElementsAre());
}

TEST_F(SnapshotTest, SeesASameSizeRewriteWithRestoredTime) {
  put("a", "xxxx");
  struct stat stat = {};
  ::stat((root_ / "a").c_str(), &stat);
  EXPECT_THAT(layer_of([&] {
                const int fd = ::open((root_ / "a").c_str(), O_WRONLY);
                (void)!::pwrite(fd, "yyyy", 4, 0);
                const struct timespec times[2] = {stat.st_atim, stat.st_mtim};
                ::futimens(fd, times);
                ::close(fd);
              }),
              ElementsAre("a"));
}

TEST_F(SnapshotTest, SeesModeOwnerAndAttributesAlone) {
  put("d/f", "x");
  put("d/g", "x");
  put("e/f", "x");
  EXPECT_THAT(layer_of([&] {
                ::chmod((root_ / "d/f").c_str(), 0600);
                ::setxattr((root_ / "d/g").c_str(), "user.k", "v", 1, 0);
                ::setxattr((root_ / "e").c_str(), "user.k", "v", 1, 0);
              }),
              ElementsAre("d/f", "d/g", "e"));
}

TEST_F(SnapshotTest, ReplacedFoldersHideTheirOldContentOnly) {
  put("d/old", "x");
  put("d/kept", "x");
  put("d/sub/x", "x");
  EXPECT_THAT(layer_of([&] {
                fs::remove_all(root_ / "d");
                put("d/kept", "x");
              }),
              ElementsAre("d", "d/.wh.old", "d/.wh.sub", "d/kept"));
}

TEST_F(SnapshotTest, LeavesSocketsOutAndSaysSo) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = (root_ / "s").string();
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::copy(path.begin(), path.end(), address.sun_path);
  ASSERT_EQ(::bind(fd, reinterpret_cast<struct sockaddr*>(&address), sizeof(address)), 0);
  ::close(fd);
  std::vector<std::string> sockets;
  const auto snapshot = Snapshot::take(live(), [&](const std::string& socket) { sockets.push_back(socket); });
  ASSERT_TRUE(snapshot.ok());
  EXPECT_THAT(sockets, ElementsAre("s"));
  EXPECT_TRUE(snapshot->children(snapshot->root()).empty());
}

TEST_F(SnapshotTest, LeavesExcludedPathsAndPhantomsOut) {
  put("etc/hosts", "");
  put("own/x", "");
  Boundary boundary;
  boundary.excluded = {"own"};
  boundary.phantoms = {"etc", "etc/hosts"};
  EXPECT_THAT(layer_of(
                  [&] {
                    put("own/y", "y");
                    fs::remove(root_ / "etc/hosts");
                    put("etc/hosts", "");
                  },
                  boundary),
              ElementsAre("etc", "etc/hosts"));  // A step made it anew.
}

TEST_F(SnapshotTest, ManyThreadsFindWhatOneFinds) {
  for (int i = 0; i < 300; ++i)
    put(std::to_string(i % 7) + "/" + std::to_string(i % 31) + "/" + std::to_string(i), "x");
  fs::create_hard_link(root_ / "0/0/0", root_ / "another name");
  LiveRoot root = live();
  const auto one = Snapshot::take(root, {}, 1);
  const auto many = Snapshot::take(root, {}, 8);
  ASSERT_TRUE(one.ok() && many.ok());
  const auto entries = difference(*one, *many, root, 0);
  ASSERT_TRUE(entries.ok());
  EXPECT_TRUE(entries->empty());
  EXPECT_EQ(one->content_bytes(), 300U);
  EXPECT_EQ(many->content_bytes(), 300U);
  EXPECT_EQ(many->newest_ctime_ns(), one->newest_ctime_ns());
}

TEST_F(SnapshotTest, RefusesFoldersWithoutEnd) {
  int at = ::open(root_.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 600; ++i) {
    ::mkdirat(at, "d", 0755);
    const int next = ::openat(at, "d", O_RDONLY | O_DIRECTORY);
    ::close(at);
    at = next;
  }
  ::close(at);
  const auto snapshot = Snapshot::take(live());
  ASSERT_FALSE(snapshot.ok());
  EXPECT_EQ(snapshot.error().code, ErrorCode::kLimit);
}

// Random changes of every kind.
class Mutation {
 public:
  Mutation(fs::path root, unsigned seed) : root_(std::move(root)), random_(seed) {}

  // Opening a pipe for writing would wait for a reader.
  void write(const fs::path& file) {
    std::error_code error;
    if (!fs::is_fifo(fs::status(file, error))) std::ofstream(file) << text();
  }

  void step() {
    const fs::path one = pick(), two = root_ / name();
    struct stat stat = {};
    if (::lstat(one.c_str(), &stat) != 0) return;
    std::error_code error;
    switch (random_() % 14) {
      case 0:
        write(pick_folder() / name());
        break;
      case 1:
        fs::create_directory(pick_folder() / name(), error);
        break;
      case 2:
        fs::remove_all(one, error);
        break;
      case 3:
        if (!fs::exists(fs::symlink_status(two))) fs::rename(one, two, error);
        break;
      case 4:
        fs::create_symlink(text(), pick_folder() / name(), error);
        break;
      case 5:
        if (S_ISREG(stat.st_mode)) fs::create_hard_link(one, pick_folder() / name(), error);
        break;
      case 6:
        if (!S_ISLNK(stat.st_mode))
          ::chmod(one.c_str(), S_ISDIR(stat.st_mode) ? 0700 | (random_() % 64) : random_() % 4096);
        break;
      case 7:
        if (S_ISREG(stat.st_mode)) rewrite(one, stat);
        break;
      case 8:
        if (::geteuid() == 0)
          (void)!::lchown(one.c_str(), static_cast<unsigned>(random_() % 9), static_cast<unsigned>(random_() % 9));
        break;
      case 9:
        if (!S_ISLNK(stat.st_mode)) ::setxattr(one.c_str(), "user.k", text().c_str(), 3, 0);
        break;
      case 10: {
        const struct timespec times[2] = {{5, 0}, {static_cast<time_t>(random_() % 1000), 0}};
        ::utimensat(AT_FDCWD, one.c_str(), times, AT_SYMLINK_NOFOLLOW);
        break;
      }
      case 11:
        ::mkfifo((pick_folder() / name()).c_str(), 0600);
        break;
      case 12:
        if (S_ISREG(stat.st_mode)) replace(one, stat);
        break;
      case 13:
        if (S_ISREG(stat.st_mode)) make_again(one, stat);
        break;
    }
  }

 private:
  std::string name() { return std::string(1, static_cast<char>('a' + random_() % 8)); }
  std::string text() { return std::to_string(100 + random_() % 900); }
  fs::path pick() {
    std::vector<fs::path> all;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) all.push_back(entry.path());
    return all.empty() ? root_ / "none" : all[random_() % all.size()];
  }
  fs::path pick_folder() {
    const fs::path one = pick();
    return fs::is_directory(fs::symlink_status(one)) ? one : root_;
  }
  // The same size, the same time: only the ctime tells.
  void rewrite(const fs::path& path, const struct stat& stat) {
    fill(UniqueFd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW)), stat);
  }
  // Another file takes the name, as editors and package managers do it.
  void replace(const fs::path& path, const struct stat& stat) {
    const fs::path fresh = root_ / "fresh";
    fill(UniqueFd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL, stat.st_mode & 0777)), stat);
    ::rename(fresh.c_str(), path.c_str());
  }
  // The file system may give the new file the inode of the old one.
  void make_again(const fs::path& path, const struct stat& stat) {
    ::unlink(path.c_str());
    fill(UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, stat.st_mode & 0777)), stat);
  }
  void fill(const UniqueFd& fd, const struct stat& stat) {
    const std::string bytes(static_cast<std::size_t>(stat.st_size), static_cast<char>('0' + random_() % 10));
    (void)!::pwrite(fd.get(), bytes.data(), bytes.size(), 0);
    const struct timespec times[2] = {stat.st_atim, stat.st_mtim};
    ::futimens(fd.get(), times);
  }
  fs::path root_;
  std::mt19937 random_;
};

class SnapshotProperty : public SnapshotTest, public ::testing::WithParamInterface<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Seeds, SnapshotProperty, ::testing::Range(1U, 61U));

TEST_P(SnapshotProperty, TheLayerOnTheOldTreeGivesTheNewTree) {
  Mutation mutation(root_, GetParam());
  put("a/x", "1");
  put("b/c/y", "2");
  for (int i = 0; i < 40; ++i) mutation.step();
  ASSERT_EQ(std::system(("cp -a " + root_.string() + " " + copy_.string()).c_str()), 0);

  LiveRoot root = live();
  const auto before = Snapshot::take(root, {}, 1);
  ASSERT_TRUE(before.ok());
  wait_for_next_tick(*before);
  for (int i = 0; i < 25; ++i) mutation.step();
  const auto after = Snapshot::take(root, {}, 4);  // How many threads walk makes no difference.
  ASSERT_TRUE(after.ok());
  auto entries = difference(*before, *after, root, 0);
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  ASSERT_TRUE(add_parents(root, *entries).ok());

  const UniqueFd target = open_folder(copy_);
  const Status applied = apply_entries(*entries, target.get(), {});
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_EQ(written(copy_), written(root_));
}

}  // namespace
}  // namespace imagebuild::builder
