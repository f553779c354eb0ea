// What the archive tests share: nodes, archives made by hand, folders to unpack into, and other programs to compare
// with.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive/node.h"
#include "archive/tar_writer.h"
#include "base/file.h"
#include "base/result.h"
#include "base/stream.h"

namespace imagebuild::archive {

// Fails the test with the error's message.
#define ASSERT_OK(expression)                                   \
  do {                                                          \
    const auto& result_ok_ = (expression);                      \
    ASSERT_TRUE(result_ok_.ok()) << result_ok_.error().message; \
  } while (false)

struct Entry {
  Node node;
  std::string content;
};

Entry file(std::string path, std::string content, std::uint32_t mode = 0644);
Entry folder(std::string path, std::uint32_t mode = 0755);
Entry symlink(std::string path, std::string target);
Entry hardlink(std::string path, std::string target);
Entry device(std::string path, NodeType type, std::uint32_t major, std::uint32_t minor);

// The archive that TarWriter makes of them.
std::string tar_of(const std::vector<Entry>& entries);

// One raw ustar header block (and the content, padded), for archives that TarWriter refuses to write.
struct RawHeader {
  std::string name;
  char type = '0';
  std::string link;
  std::string content;
  std::string size_field;  // Octal digits or binary; from `content` when empty.
  std::string mode_field = "0000644";
  std::string uid_field = "0000000";
  std::string device_major = "0000000";
  std::string magic = std::string(
      "ustar\0"
      "00",
      8);
};
std::string raw_entry(const RawHeader& header);
// A pax extended header ('x') with these records, then `entry`.
std::string with_pax(const std::vector<std::pair<std::string, std::string>>& records, const std::string& entry);
// The two zero blocks.
std::string tar_end();

// Runs a shell command line; its standard output and error together, and whether it ended with 0.
struct ShellResult {
  bool ok;
  std::string output;
};
ShellResult shell(const std::string& command);

std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, std::string_view text);

// Bytes that look like text to a compressor, the same for the same seed.
std::string mixed_bytes(std::size_t size, unsigned seed = 1);

// Gives at most `piece` bytes a read.
class DripSource final : public ByteSource {
 public:
  DripSource(std::string text, std::size_t piece) : inner_(std::move(text)), piece_(piece) {}
  Result<std::size_t> read(std::span<std::byte> buffer) override {
    return inner_.read(buffer.first(std::min(piece_, buffer.size())));
  }

 private:
  StringSource inner_;
  std::size_t piece_;
};

}  // namespace imagebuild::archive
