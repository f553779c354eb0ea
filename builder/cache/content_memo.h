// Remembers what the files of a context hold, by what the file system says of them: a file that is as it was when it
// was read is not read again, neither by this build nor by the next one from the same folder.
//
// The rule (docs/design/0013): a version of a file is its inode, size, modification time and change time. No program
// can set a change time (ctime); whatever changes content, name or mode moves it to the clock's now. So a version that
// was the same before and after the reading, and whose change time was well past when the reading began, names one
// content. Everything else is read again.
#pragma once

#include <sys/stat.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "archive/file_version.h"
#include "archive/node.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/stream.h"
#include "base/unique_fd.h"
#include "builder/stage/content_log.h"
#include "oci/digest.h"

namespace imagebuild::builder {

struct ContentMemoSettings {
  std::filesystem::path folder;  // The context.
  std::filesystem::path file;    // Where what is known is kept between builds; empty: nowhere.
  Clock now = system_clock_now;
  // Only these keep change times by this machine's clock in every case: ext4, xfs, btrfs, f2fs. On others every file is
  // read. Set by tests, which run wherever they are.
  bool trusts_any_file_system = false;
};

class ContentMemo {
 public:
  // How long ago a file must have changed to be remembered. Longer than the clock's tick, and than what a page of a
  // mapped file may be written to without a new change time (30 s until it is written back, by default).
  static constexpr std::chrono::seconds kSettled{60};
  static constexpr std::size_t kMostFiles = 1'000'000;
  static constexpr std::size_t kMostMemos = 32;  // Files beside settings.file; those used last stay.

  // A memo file that is damaged, another version's, another folder's or another machine's, or from the future counts
  // as none.
  static Result<std::unique_ptr<ContentMemo>> open(ContentMemoSettings settings);

  // The digest of a regular file's content; `file` says path and size. A file that is not what `file` says any more is
  // kInvalidInput. Thread-safe.
  Result<oci::Digest> digest_of(const archive::Node& file);
  // The same for the file as it was when it was listed: if the content of that version is known, the file is not looked
  // at again. So it is no answer to whether the file changed since.
  Result<oci::Digest> digest_of(const archive::Node& file, const archive::FileVersion& listed);

  // Opens a regular file that is read once, from its start to its end. At the end `on_end` is told the digest of what
  // was read, and what may be remembered is. What is known already is not hashed: if such a file changes meanwhile,
  // `on_end` gets an error. The memo must outlive what is returned. Thread-safe, also with what it returned.
  Result<std::unique_ptr<ByteSource>> open_content(const archive::Node& file, ContentLog::OnEnd on_end);

  // Keeps what is known for the next build. Files that nobody asked for stay until they are the majority.
  Status save();

  // How many files were read so far.
  std::size_t files_read() const;

 private:
  class Content;
  struct Version {
    std::uint64_t inode = 0;
    std::uint64_t size_bytes = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    bool operator==(const Version&) const = default;
  };
  struct Entry {
    Version version;
    std::array<unsigned char, 32> content{};  // SHA-256
  };
  static_assert(sizeof(Entry) == 64, "entries are written as they are");

  ContentMemo(ContentMemoSettings settings, UniqueFd folder)
      : settings_(std::move(settings)), folder_(std::move(folder)) {}
  static Version version_of(const archive::FileVersion& seen);
  std::int64_t now_ns() const;
  std::string origin() const;
  void load();
  std::optional<oci::Digest> known(const archive::FileVersion& seen);
  void note(const archive::FileVersion& seen, const oci::Digest& digest, std::int64_t read_from_ns);
  Result<oci::Digest> read(const archive::Node& file);
  Entry* find_loaded(std::uint64_t inode);

  ContentMemoSettings settings_;
  UniqueFd folder_;
  bool is_trusted_ = false;
  std::uint64_t device_ = 0;
  mutable std::mutex mutex_;                        // Guards what follows.
  std::vector<Entry> loaded_;                       // Sorted by inode.
  std::vector<bool> used_;                          // Of these.
  std::unordered_map<std::uint64_t, Entry> fresh_;  // By inode.
  std::int64_t newest_ns_ = 0;                      // When the last entry was made; before that time nothing is known.
  std::size_t files_read_ = 0;
};

}  // namespace imagebuild::builder
