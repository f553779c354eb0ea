#include "trees.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <sstream>

#include "base/unique_fd.h"
#include "builder/stage/live_root.h"

namespace imagebuild::testing {
namespace {

using archive::NodeType;

archive::Node parse_line(const std::string& line) {
  std::istringstream words(line);
  archive::Node node;
  words >> node.path;
  node.mode = 0644;
  node.mtime_s = 1000;
  if (node.path.ends_with('/')) {
    node.path.pop_back();
    node.type = NodeType::kDirectory;
    node.mode = 0755;
  }
  for (std::string word; words >> word;) {
    if (word.starts_with("->")) {
      node.type = NodeType::kSymlink;
      node.link = word.substr(2);
      node.mode = 0777;
    } else if (word.starts_with("@")) {
      node.type = NodeType::kHardlink;
      node.link = word.substr(1);
    } else if (word.starts_with("=")) {
      node.content = word.substr(1);
      node.size_bytes = node.content->size();
    } else if (word.find(':') != std::string::npos) {
      node.uid = static_cast<std::uint32_t>(std::stoul(word));
      node.gid = static_cast<std::uint32_t>(std::stoul(word.substr(word.find(':') + 1)));
    } else {
      node.mode = static_cast<std::uint32_t>(std::stoul(word, nullptr, 8));
    }
  }
  return node;
}

std::string line_of(const archive::Node& node, const std::string& content) {
  char numbers[64];
  std::snprintf(numbers, sizeof(numbers), " %04o %u:%u", node.mode, node.uid, node.gid);
  switch (node.type) {
    case NodeType::kDirectory:
      return node.path + "/" + numbers;
    case NodeType::kSymlink:
      return node.path + " ->" + node.link;
    case NodeType::kHardlink:
      return node.path + " @" + node.link;
    case NodeType::kFile:
      return node.path + numbers + (content.empty() ? "" : " =" + content);
    default:
      return node.path + numbers + " special";
  }
}

}  // namespace

MemoryTree::MemoryTree(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) index_.put(parse_line(line));
  view_ = std::make_unique<builder::IndexView>(
      index_, [this](const archive::Node& node) -> Result<std::unique_ptr<ByteSource>> {
        const archive::Node* file = node.type == NodeType::kHardlink ? index_.find(node.link) : &node;
        return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(file->content.value_or("")));
      });
}

MemoryTree::MemoryTree(std::initializer_list<std::string> lines) : MemoryTree(std::vector<std::string>(lines)) {}

std::vector<std::string> written(const builder::LayerEntries& entries) {
  std::vector<std::string> lines;
  for (const auto& [path, entry] : entries) {
    std::string content;
    if (entry.open) content = *read_all(**entry.open(), 1U << 20);
    lines.push_back(line_of(entry.node, content));
  }
  return lines;
}

std::vector<std::string> written(const std::filesystem::path& folder) {
  builder::LiveRoot root(UniqueFd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), {});
  builder::LayerEntries entries;
  (void)root.walk("", [&](const builder::Found& found) {
    entries.emplace(found.node.path, builder::entry_of(root, found));
    return ok();
  });
  builder::link_names(entries);
  std::vector<std::string> lines;
  for (const auto& [path, entry] : entries) {
    std::string line = line_of(entry.node, entry.open ? *read_all(**entry.open(), 1U << 20) : "");
    if (entry.node.type != NodeType::kHardlink) line += " t" + std::to_string(entry.node.mtime_s);
    for (const auto& [name, value] : entry.node.xattrs) line += " " + name + "=" + value;
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace imagebuild::testing
