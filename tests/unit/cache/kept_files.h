// Folders with files to keep in a cache, and a look into a cache's folder.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/file.h"
#include "builder/cache/folder_store.h"

namespace imagebuild::builder {

inline void put_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  ASSERT_TRUE(write_file_atomically(path, text).ok());
}

inline std::string text_of(const std::filesystem::path& path) {
  const auto text = read_file(path, 64U << 20);
  return text.ok() ? *text : "(" + text.error().message + ")";
}

inline void set_time(const std::filesystem::path& path, const timespec& time) {
  const timespec times[2] = {time, time};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

// Writes the files below `folder` and returns the record that names them.
inline CacheRecord record_of(const std::filesystem::path& folder, const std::map<std::string, std::string>& files,
                             const std::string& title = "title") {
  CacheRecord record{title, "content of " + title, {}};
  for (const auto& [path, text] : files) {
    put_text(folder / path, text);
    record.files.push_back({path, oci::Digest::of(text).str(), text.size()});
  }
  return record;
}

inline std::size_t count_in(const std::filesystem::path& folder) {
  std::size_t count = 0;
  for (const auto& it : std::filesystem::recursive_directory_iterator(folder)) count += it.is_regular_file() ? 1 : 0;
  return count;
}

}  // namespace imagebuild::builder
