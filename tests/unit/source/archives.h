// Small tars and zips for tests, with entries that no ordinary program writes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "archive/compress.h"
#include "archive/tar_writer.h"
#include "base/stream.h"

namespace imagebuild::builder {

struct ArchiveEntry {
  std::string path, content;
  std::uint32_t mode = 0100644;  // With the type's bits, as zips have it.
};

inline std::string tar_of(const std::vector<ArchiveEntry>& entries) {
  StringSink sink;
  archive::TarWriter writer(sink);
  for (const ArchiveEntry& entry : entries) {
    archive::Node node;
    node.path = entry.path;
    node.mode = entry.mode & 07777U;
    node.size_bytes = entry.content.size();
    StringSource source(entry.content);
    if (!writer.add(node, &source).ok()) return "";
  }
  return writer.finish().ok() ? sink.text() : "";
}

inline std::string compressed(const std::string& text, archive::Compression kind) {
  StringSink sink;
  const auto packer = archive::compress_to(sink, kind, 1);
  return packer->write(as_bytes(text)).ok() && packer->finish().ok() ? sink.text() : "";
}

inline std::uint32_t crc32_of(std::string_view text) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

// Stored, made on Unix, names in UTF-8. PKWARE's APPNOTE, 4.3.
inline std::string zip_of(const std::vector<ArchiveEntry>& entries, bool wrong_checksum = false) {
  std::string body, directory;
  const auto put = [](std::string& to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to += static_cast<char>((value >> (8 * i)) & 0xffU);
  };
  for (const ArchiveEntry& entry : entries) {
    std::string common;
    put(common, 0x0800, 2);      // UTF-8 names.
    put(common, 0, 2);           // Stored.
    put(common, 0x58210000, 4);  // 2024-01-01.
    put(common, crc32_of(entry.content) ^ (wrong_checksum ? 1U : 0U), 4);
    put(common, entry.content.size(), 4);
    put(common, entry.content.size(), 4);
    put(common, entry.path.size(), 2);
    put(common, 0, 2);
    const std::size_t offset = body.size();
    body += "PK\3\4";
    put(body, 20, 2);
    body += common + entry.path + entry.content;
    directory += "PK\1\2";
    put(directory, (3U << 8U) | 20U, 2);
    put(directory, 20, 2);
    directory += common;
    put(directory, 0, 2 + 2 + 2);
    put(directory, static_cast<std::uint64_t>(entry.mode) << 16U, 4);
    put(directory, offset, 4);
    directory += entry.path;
  }
  const std::size_t begin = body.size();
  body += directory + "PK\5\6";
  put(body, 0, 4);
  put(body, entries.size(), 2);
  put(body, entries.size(), 2);
  put(body, directory.size(), 4);
  put(body, begin, 4);
  put(body, 0, 2);
  return body;
}

}  // namespace imagebuild::builder
