#include "unit/archive/fixtures.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <random>

namespace imagebuild::archive {

Entry file(std::string path, std::string content, std::uint32_t mode) {
  Entry entry;
  entry.node.path = std::move(path);
  entry.node.mode = mode;
  entry.node.size_bytes = content.size();
  entry.node.mtime_s = 1'600'000'000;
  entry.content = std::move(content);
  return entry;
}

Entry folder(std::string path, std::uint32_t mode) {
  Entry entry;
  entry.node.path = std::move(path);
  entry.node.type = NodeType::kDirectory;
  entry.node.mode = mode;
  entry.node.mtime_s = 1'500'000'000;
  return entry;
}

Entry symlink(std::string path, std::string target) {
  Entry entry = folder(std::move(path), 0777);
  entry.node.type = NodeType::kSymlink;
  entry.node.link = std::move(target);
  return entry;
}

Entry hardlink(std::string path, std::string target) {
  Entry entry = folder(std::move(path), 0644);
  entry.node.type = NodeType::kHardlink;
  entry.node.link = std::move(target);
  return entry;
}

Entry device(std::string path, NodeType type, std::uint32_t major, std::uint32_t minor) {
  Entry entry = folder(std::move(path), 0600);
  entry.node.type = type;
  entry.node.device_major = major;
  entry.node.device_minor = minor;
  return entry;
}

std::string tar_of(const std::vector<Entry>& entries) {
  StringSink sink;
  TarWriter writer(sink);
  for (const Entry& entry : entries) {
    StringSource content(entry.content);
    const Status added = writer.add(entry.node, &content);
    EXPECT_TRUE(added.ok()) << added.error().message;
  }
  EXPECT_TRUE(writer.finish().ok());
  return std::move(sink.text());
}

std::string raw_entry(const RawHeader& header) {
  std::string block(512, '\0');
  const auto put = [&block](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  put(0, header.name);
  put(100, header.mode_field);
  put(108, header.uid_field);
  put(116, "0000000");
  std::array<char, 16> size{};
  std::snprintf(size.data(), size.size(), "%011lo", static_cast<unsigned long>(header.content.size()));
  put(124, header.size_field.empty() ? std::string(size.data()) : header.size_field);
  put(136, "00000000000");
  put(148, "        ");
  block[156] = header.type;
  put(157, header.link);
  put(257, header.magic);
  put(329, header.device_major);
  put(337, "0000000");
  unsigned sum = 0;
  for (const char byte : block) sum += static_cast<unsigned char>(byte);
  std::array<char, 16> checksum{};
  std::snprintf(checksum.data(), checksum.size(), "%06o", sum);
  block.replace(148, 7, std::string(checksum.data(), 6) + '\0');
  std::string padded = header.content;
  padded.resize((padded.size() + 511) / 512 * 512, '\0');
  return block + padded;
}

std::string with_pax(const std::vector<std::pair<std::string, std::string>>& records, const std::string& entry) {
  std::string body;
  for (const auto& [key, value] : records) {
    std::size_t length = key.size() + value.size() + 3;
    while (true) {
      const std::size_t whole = key.size() + value.size() + 3 + std::to_string(length).size();
      if (whole == length) break;
      length = whole;
    }
    body += std::to_string(length) + ' ' + key + '=' + value + '\n';
  }
  RawHeader header;
  header.name = "PaxHeaders/x";
  header.type = 'x';
  header.content = body;
  return raw_entry(header) + entry;
}

std::string tar_end() {
  return std::string(1024, '\0');
}

ShellResult shell(const std::string& command) {
  std::FILE* pipe = ::popen(("{ " + command + "\n} 2>&1").c_str(), "r");
  if (pipe == nullptr) return {false, "popen failed"};
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), count);
  }
  const int status = ::pclose(pipe);
  return {WIFEXITED(status) && WEXITSTATUS(status) == 0, output};
}

std::string read_text(const std::filesystem::path& path) {
  const Result<std::string> text = read_file(path, 1ULL << 30);
  EXPECT_TRUE(text.ok()) << text.error().message;
  return text.ok() ? *text : std::string();
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  const Status written = write_file_atomically(path, text);
  EXPECT_TRUE(written.ok()) << written.error().message;
}

std::string mixed_bytes(std::size_t size, unsigned seed) {
  std::minstd_rand random(seed);
  std::string bytes;
  bytes.reserve(size);
  while (bytes.size() < size) {
    const auto value = static_cast<unsigned>(random());
    if (value % 3 == 0) {
      bytes += "the same words again and again, ";
    } else {
      bytes.push_back(static_cast<char>(static_cast<unsigned char>((value >> 8) & 255U)));
    }
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace imagebuild::archive
