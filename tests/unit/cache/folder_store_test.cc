#include "builder/cache/folder_store.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

#include "tests/unit/cache/kept_files.h"

namespace imagebuild::builder {
namespace {

namespace fs = std::filesystem;

class FolderStoreTest : public testing::Test {
 protected:
  fs::path path(const std::string& name) const { return folder_.path() / name; }
  fs::path cache() const { return path("cache"); }
  fs::path blob(const std::string& text) const { return cache() / "blobs" / oci::Digest::of(text).hex(); }
  fs::path record(const oci::Digest& key) const { return cache() / "records" / key.hex(); }

  FolderStore open(std::int64_t verify_before_s = 0) const {
    auto store = FolderStore::open({cache(), verify_before_s});
    EXPECT_TRUE(store.ok()) << store.error().message;
    return std::move(*store);
  }
  // A record with the files under `key`.
  CacheRecord keep(const oci::Digest& key, const std::map<std::string, std::string>& files,
                   const std::string& title = "title") {
    const fs::path from = path("from" + std::to_string(next_++));
    fs::create_directories(from);
    const CacheRecord record = record_of(from, files, title);
    const Status kept = open().keep(key, record, from, {});
    EXPECT_TRUE(kept.ok()) << kept.error().message;
    fs::remove_all(from);
    return record;
  }
  // What a build gets of `key`; nothing on a miss.
  std::optional<std::map<std::string, std::string>> get(const oci::Digest& key, std::int64_t verify_before_s = 0) {
    FolderStore store = open(verify_before_s);
    const auto found = store.find(key, {});
    EXPECT_TRUE(found.ok());
    if (!found.ok() || !*found) return std::nullopt;
    const fs::path to = path("to" + std::to_string(next_++));
    const auto fetched = store.fetch(**found, to, {});
    EXPECT_TRUE(fetched.ok()) << fetched.error().message;
    if (!fetched.ok() || !*fetched) {
      EXPECT_TRUE(!fs::exists(to) || count_in(to) == 0) << "a part is left";
      return std::nullopt;
    }
    std::map<std::string, std::string> files;
    for (const CachedFile& file : (*found)->files) files[file.path] = text_of(to / file.path);
    return files;
  }

  const oci::Digest key_ = oci::Digest::of("key");
  const std::map<std::string, std::string> two_files_ = {{"exports/export.tar", "exported"},
                                                         {"layers/0.tar.gz", "layer"}};

 private:
  TempDir folder_ = std::move(*TempDir::create("imagebuild-folder-store-test-"));
  int next_ = 0;
};

TEST_F(FolderStoreTest, GivesBackWhatWasKept) {
  EXPECT_FALSE(get(key_));
  const CacheRecord kept = keep(key_, two_files_);
  EXPECT_EQ(**open().find(key_, {}), kept);
  EXPECT_EQ(get(key_), two_files_);
  EXPECT_EQ(get(key_), two_files_) << "again";
  EXPECT_FALSE(get(oci::Digest::of("another key")));
  keep(key_, {{"layers/0.tar.gz", "another"}});
  EXPECT_EQ(get(key_)->at("layers/0.tar.gz"), "another") << "the newer result counts";
}

TEST_F(FolderStoreTest, SharesFilesByHardLinksAndKeepsEachContentOnce) {
  keep(key_, {{"layers/0.tar", "same"}, {"layers/1.tar", "same"}});
  keep(oci::Digest::of("b"), {{"layers/0.tar", "same"}});
  EXPECT_EQ(count_in(cache() / "blobs"), 1U);
  ASSERT_TRUE(*open().fetch(**open().find(key_, {}), path("to"), {}));
  struct stat stat {};
  ASSERT_EQ(::stat(blob("same").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_nlink, 3U);
}

TEST_F(FolderStoreTest, TakesThePlaceOfWhatLiesThere) {
  keep(key_, two_files_);
  put_text(path("to/layers/0.tar.gz"), "of a former attempt");
  ASSERT_TRUE(*open().fetch(**open().find(key_, {}), path("to"), {}));
  EXPECT_EQ(text_of(path("to/layers/0.tar.gz")), "layer");
}

struct Fault {
  const char* name;
  std::function<void(const fs::path& blob, const fs::path& record)> happens;
};
void PrintTo(const Fault& row, std::ostream* out) {
  *out << row.name;
}

class FolderStoreFault : public FolderStoreTest, public testing::WithParamInterface<Fault> {};

TEST_P(FolderStoreFault, IsAMissThatTheNextBuildMends) {
  keep(key_, two_files_);
  GetParam().happens(blob("layer"), record(key_));
  EXPECT_FALSE(get(key_));
  keep(key_, two_files_);
  EXPECT_EQ(get(key_), two_files_);
}

void overwrite(const fs::path& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

INSTANTIATE_TEST_SUITE_P(
    Faults, FolderStoreFault,
    testing::Values(Fault{"BlobTruncated", [](const fs::path& blob, const fs::path&) { fs::resize_file(blob, 3); }},
                    Fault{"BlobEmpty", [](const fs::path& blob, const fs::path&) { fs::resize_file(blob, 0); }},
                    Fault{"BlobLonger", [](const fs::path& blob, const fs::path&) { fs::resize_file(blob, 9); }},
                    Fault{"BlobChanged", [](const fs::path& blob, const fs::path&) { overwrite(blob, "lazer"); }},
                    Fault{"BlobGone", [](const fs::path& blob, const fs::path&) { fs::remove(blob); }},
                    Fault{"BlobAFolder",
                          [](const fs::path& blob, const fs::path&) {
                            fs::remove(blob);
                            fs::create_directory(blob);
                          }},
                    Fault{"RecordGone", [](const fs::path&, const fs::path& record) { fs::remove(record); }},
                    Fault{"RecordHalfWritten",
                          [](const fs::path&, const fs::path& record) {
                            fs::resize_file(record, fs::file_size(record) / 2);
                          }},
                    Fault{"RecordOfZeros",
                          [](const fs::path&, const fs::path& record) {
                            overwrite(record, std::string(fs::file_size(record), '\0'));
                          }},
                    Fault{"RecordEmpty", [](const fs::path&, const fs::path& record) { fs::resize_file(record, 0); }}),
    [](const auto& row) { return row.param.name; });

// Changes the blob's content and hides it as a loss of power would: its times are what they were.
void change_unseen(const fs::path& blob) {
  struct stat stat {};
  ASSERT_EQ(::stat(blob.c_str(), &stat), 0);
  overwrite(blob, "lazer");
  set_time(blob, stat.st_mtim);
}

TEST_F(FolderStoreTest, VerifiesWhatWasVerifiedLastBeforeTheMachineStarted) {
  keep(key_, two_files_);
  struct stat stat {};
  ASSERT_EQ(::stat(blob("layer").c_str(), &stat), 0);
  change_unseen(blob("layer"));
  // A leftover of the build that was cut off is removed: that must not count as being verified.
  fs::create_hard_link(blob("layer"), path("leftover"));
  fs::remove(path("leftover"));
  EXPECT_FALSE(get(key_, stat.st_mtim.tv_sec + 1));
  EXPECT_FALSE(fs::exists(blob("layer"))) << "what is broken is not kept";
}

TEST_F(FolderStoreTest, VerifiesOnceAfterTheMachineStarted) {
  keep(key_, two_files_);
  struct stat stat {};
  ASSERT_EQ(::stat(blob("layer").c_str(), &stat), 0);
  set_time(blob("layer"), {1000, stat.st_mtim.tv_nsec});
  EXPECT_EQ(get(key_, 2000), two_files_);
  ASSERT_EQ(::stat(blob("layer").c_str(), &stat), 0);
  EXPECT_GT(stat.st_mtim.tv_sec, 2000);
  const ino_t before = stat.st_ino;
  EXPECT_EQ(get(key_, 2000), two_files_);
  ASSERT_EQ(::stat(blob("layer").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_ino, before);
}

TEST_F(FolderStoreTest, NeverHasARecordWithoutItsBlobsWhenAWriterIsKilled) {
  const fs::path from = path("from");
  const CacheRecord record = record_of(from, two_files_);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Blobs are linked; the first byte that is written to a file ends the process.
    const rlimit none{0, 0};
    (void)::setrlimit(RLIMIT_FSIZE, &none);
    (void)::signal(SIGXFSZ, SIG_DFL);
    auto store = FolderStore::open({cache()});
    if (store.ok()) (void)store->keep(key_, record, from, {});
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "it was to be killed";
  EXPECT_EQ(count_in(cache() / "blobs"), 2U) << "it was to be killed after that";
  EXPECT_FALSE(get(key_));
  ASSERT_TRUE(open().prune({}).ok());
  EXPECT_EQ(count_in(cache()), 1U) << "only the lock is left";
  EXPECT_TRUE(fs::is_empty(cache() / "tmp"));
  ASSERT_TRUE(open().keep(key_, record, from, {}).ok());
  EXPECT_EQ(get(key_), two_files_);
}

// Records by their keys, each with an outline.
class FolderStoreOutlines : public FolderStoreTest {
 protected:
  void keep_with(const oci::Digest& key, const oci::Digest& outline, std::int64_t used_s) {
    CacheRecord record{"title", "content", {}};
    record.outline = outline.hex();
    ASSERT_TRUE(open().keep(key, record, {}, {}).ok());
    EXPECT_EQ((*open().find(key, {}))->outline, outline.hex());
    set_time(this->record(key), {used_s, 0});
  }
  fs::path marker() const { return cache() / "outlines" / outline_.hex(); }
  const oci::Digest outline_ = oci::Digest::of("outline");
};

TEST_F(FolderStoreOutlines, TellThatThereMayBeARecord) {
  EXPECT_FALSE(open().may_have(outline_));
  keep_with(key_, outline_, 1000);
  EXPECT_TRUE(open().may_have(outline_));
  EXPECT_FALSE(open().may_have(oci::Digest::of("another")));
  EXPECT_FALSE(open().may_have(key_));
}

TEST_F(FolderStoreOutlines, GoWithTheLastRecordThatHasThem) {
  keep_with(key_, outline_, 1000);
  keep_with(oci::Digest::of("b"), outline_, 2000);
  ASSERT_TRUE(open().prune({UINT64_MAX, 1500}).ok());
  EXPECT_TRUE(open().may_have(outline_));
  ASSERT_TRUE(open().prune({UINT64_MAX, 2500}).ok());
  EXPECT_FALSE(open().may_have(outline_));
}

TEST_F(FolderStoreOutlines, GoWithARecordThatIsDamaged) {
  keep_with(key_, outline_, 1000);
  put_text(record(key_), "{");
  EXPECT_TRUE(open().may_have(outline_)) << "it may be another record's";
  ASSERT_TRUE(open().prune({}).ok());
  EXPECT_FALSE(open().may_have(outline_));
}

TEST_F(FolderStoreOutlines, ThatAreLostComeBackWithTheRecord) {
  keep_with(key_, outline_, 1000);
  fs::remove(marker());
  EXPECT_FALSE(open().may_have(outline_));
  keep_with(key_, outline_, 1000);
  EXPECT_TRUE(open().may_have(outline_));
}

TEST_F(FolderStoreOutlines, AreTrueWhereNobodyCanSay) {
  fs::remove_all(cache() / "outlines");
  FolderStore store = open();
  fs::remove_all(cache() / "outlines");
  put_text(cache() / "outlines", "no folder");
  EXPECT_TRUE(store.may_have(outline_));
}

TEST_F(FolderStoreOutlines, OfAllWritersAreThere) {
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([this, store = open(), writer]() mutable {
      for (int i = 0; i < 25; ++i) {
        const std::string name = std::to_string(writer % 2) + "-" + std::to_string(i);  // Two builds of each.
        CacheRecord record{"title", "content", {}};
        record.outline = oci::Digest::of("outline " + name).hex();
        EXPECT_TRUE(store.keep(oci::Digest::of(name), record, {}, {}).ok());
        EXPECT_TRUE(store.may_have(oci::Digest::of("outline " + name)));
      }
    });
  }
  writers.clear();
  ASSERT_TRUE(open().prune({UINT64_MAX, 0}).ok());
  EXPECT_EQ(count_in(cache() / "outlines"), 50U);
}

TEST_F(FolderStoreTest, ForgetsWhatKilledWritersLeft) {
  keep(key_, two_files_);
  put_text(cache() / "tmp/copy-x/part", "a part");
  put_text(cache() / "blobs" / std::string(64, 'a'), "nobody names it");
  put_text(cache() / "records" / (std::string(key_.hex()) + ".abcdef"), keep(oci::Digest::of("b"), {}).json());
  EXPECT_EQ(open().entries()->size(), 2U);
  ASSERT_TRUE(open().prune({}).ok());
  EXPECT_TRUE(fs::is_empty(cache() / "tmp"));
  EXPECT_EQ(count_in(cache() / "blobs"), 2U);
  EXPECT_EQ(count_in(cache() / "records"), 2U);
  EXPECT_EQ(get(key_), two_files_);
}

TEST_F(FolderStoreTest, StopsWhenItIsAskedTo) {
  const CacheRecord kept = keep(key_, two_files_);
  std::stop_source stop;
  stop.request_stop();
  FolderStore store = open(INT64_MAX);
  const auto fetched = store.fetch(kept, path("to"), stop.get_token());
  ASSERT_FALSE(fetched.ok());
  EXPECT_EQ(fetched.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(count_in(path("to")), 0U);
  EXPECT_TRUE(fs::exists(blob("layer"))) << "it is not broken";
}

// Three records, the last used one first: c, b, a. b and c share a blob of 4000 bytes; each has one of 1000 too.
class PruneTest : public FolderStoreTest {
 protected:
  void SetUp() override {
    const std::string shared(4000, 's');
    const std::string own(1000, ' ');
    keep(a_, {{"layers/0.tar", own + "a"}}, "a");
    keep(b_, {{"layers/0.tar", shared}, {"layers/1.tar", own + "b"}}, "b");
    keep(c_, {{"layers/0.tar", shared}, {"layers/1.tar", own + "c"}}, "c");
    set_time(record(a_), {1000, 0});
    set_time(record(b_), {2000, 0});
    set_time(record(c_), {3000, 0});
  }
  std::string left() const {
    std::string titles;
    const auto entries = open().entries();
    for (const CacheEntry& entry : *entries) titles += entry.title;
    return titles;
  }
  const oci::Digest a_ = oci::Digest::of("a");
  const oci::Digest b_ = oci::Digest::of("b");
  const oci::Digest c_ = oci::Digest::of("c");
};

TEST_F(PruneTest, RemovesNothingWithinTheLimits) {
  EXPECT_EQ(left(), "cba");
  const CacheUsage usage = open().usage();
  EXPECT_EQ(usage.records, 3U);
  EXPECT_EQ(usage.blobs, 4U);
  EXPECT_GT(usage.bytes, 7000U);
  EXPECT_EQ(*open().prune({}), 0U);
  EXPECT_EQ(*open().prune({usage.bytes, 1000}), 0U);
  EXPECT_EQ(left(), "cba");
}

TEST_F(PruneTest, RemovesWhatWasNotUsedForLongest) {
  const std::uint64_t before = open().usage().bytes;
  const std::uint64_t freed = *open().prune({before - 1, 0});
  EXPECT_EQ(left(), "cb");
  EXPECT_EQ(before - open().usage().bytes, freed);
  EXPECT_GT(freed, 1000U);
  EXPECT_EQ(count_in(cache() / "blobs"), 3U);
  EXPECT_FALSE(get(a_));
  EXPECT_TRUE(get(b_));
}

TEST_F(PruneTest, CountsASharedBlobOnceAndKeepsItForWhoStillNamesIt) {
  ASSERT_TRUE(open().prune({6000, 0}).ok());  // c alone; b would be 1000 more, not 5000.
  EXPECT_EQ(left(), "c");
  EXPECT_EQ(get(c_)->at("layers/0.tar"), std::string(4000, 's'));
}

TEST_F(PruneTest, RemovesWhatIsTooOld) {
  ASSERT_TRUE(open().prune({UINT64_MAX, 2500}).ok());
  EXPECT_EQ(left(), "c");
}

TEST_F(PruneTest, TakesLookingUpForUse) {
  ASSERT_TRUE(*open().find(a_, {}));
  EXPECT_EQ(left(), "acb");
  ASSERT_TRUE(open().prune({UINT64_MAX, 2500}).ok());
  EXPECT_EQ(left(), "ac");
}

TEST_F(PruneTest, RemovesAllWhenNothingMayStay) {
  ASSERT_TRUE(open().prune({0, 0}).ok());
  EXPECT_EQ(left(), "");
  EXPECT_EQ(open().usage().bytes, 0U);
}

TEST_F(PruneTest, DoesNotCountABrokenRecord) {
  put_text(record(c_), std::string(100'000, 'x'));
  ASSERT_TRUE(open().prune({50'000, 0}).ok());
  EXPECT_EQ(left(), "ba");
  EXPECT_FALSE(fs::exists(record(c_)));
}

// One key, two results: what is got is one of them, whole, whoever writes and removes meanwhile.
TEST_F(FolderStoreTest, GivesOneResultWhileOthersWriteAndPrune) {
  constexpr int kRounds = 150;
  std::atomic<bool> writing = true;
  std::atomic<int> hits = 0;
  const auto write = [&](char letter) {
    const fs::path from = path(std::string("from ") + letter);
    const CacheRecord record =
        record_of(from, {{"layers/0.tar", std::string(3000, letter)}, {"layers/1.tar", std::string(10, letter)}});
    FolderStore store = open();
    for (int i = 0; i < kRounds; ++i) EXPECT_TRUE(store.keep(key_, record, from, {}).ok());
  };
  {
    std::jthread pruner([&] {
      const FolderStore store = open();
      while (writing) EXPECT_TRUE(store.prune({0, 0}).ok());
    });
    std::jthread reader([&] {
      FolderStore store = open();
      for (int i = 0; writing; ++i) {
        const auto found = store.find(key_, {});
        if (!found.ok() || !*found) continue;
        const fs::path to = path("to" + std::to_string(i));
        const auto fetched = store.fetch(**found, to, {});
        EXPECT_TRUE(fetched.ok()) << fetched.error().message;
        if (!fetched.ok() || !*fetched) continue;
        ++hits;
        for (const CachedFile& file : (*found)->files) {
          EXPECT_EQ(oci::Digest::of(text_of(to / file.path)).str(), file.digest);
        }
        EXPECT_EQ(text_of(to / "layers/0.tar")[0], text_of(to / "layers/1.tar")[0]);
        fs::remove_all(to);
      }
    });
    {
      std::jthread first(write, 'a');
      std::jthread second(write, 'b');
    }
    writing = false;
  }
  write('c');
  EXPECT_EQ(get(key_)->at("layers/1.tar"), std::string(10, 'c'));
}

}  // namespace
}  // namespace imagebuild::builder
