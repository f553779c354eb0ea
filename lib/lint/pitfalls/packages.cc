#include "lint/pitfalls/packages.h"

#include <algorithm>
#include <optional>

namespace imagebuild::lint {

namespace {

constexpr std::string_view kTools[] = {
    "gcc",       "g++",         "gcc-c++", "clang",           "make",       "cmake",       "automake",
    "autoconf",  "libtool",     "bison",   "build-essential", "build-base", "base-devel",  "golang",
    "golang-go", "go",          "rust",    "rustc",           "cargo",      "rustup",      "maven",
    "gradle",    "ninja-build", "meson",   "scons",           "gfortran",   "default-jdk", "default-jdk-headless",
    "dpkg-dev",  "gdb",         "ghc"};

// Headers that the image itself may well use.
constexpr std::string_view kNoTools[] = {"linux-libc-dev"};

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

struct Manager {
  std::string_view program;
  std::vector<std::string_view> installs;
  std::vector<std::string_view> removes;
};

const Manager* manager_of(const ShellCommand& command) {
  static const std::vector<Manager> kManagers = {
      {"apt-get", {"install"}, {"purge", "remove", "autoremove", "autopurge"}},
      {"apt", {"install"}, {"purge", "remove", "autoremove", "autopurge"}},
      {"aptitude", {"install"}, {"purge", "remove"}},
      {"apk", {"add"}, {"del"}},
      {"dnf", {"install"}, {"remove", "erase", "autoremove"}},
      {"microdnf", {"install"}, {"remove", "erase"}},
      {"yum", {"install"}, {"remove", "erase", "autoremove"}},
      {"zypper", {"install", "in"}, {"remove", "rm"}},
  };
  const auto found = std::ranges::find(kManagers, program_of(command), &Manager::program);
  return found == kManagers.end() ? nullptr : &*found;
}

// Where the verb stands, if it is one of `verbs`: options come before it too.
std::optional<std::size_t> find_verb(const ShellCommand& command, const std::vector<std::string_view>& verbs) {
  for (std::size_t i = 1; i < command.size(); ++i) {
    if (std::ranges::find(verbs, command[i]) != verbs.end()) return i;
  }
  return std::nullopt;
}

// "gcc" of "gcc=4:12.2.0-3", "gcc:arm64".
std::string without_version(const std::string& package) {
  return package.substr(0, package.find_first_of("=<>~:"));
}

// The name of an apk add --virtual, in either spelling.
std::string virtual_name(const ShellCommand& command) {
  for (std::size_t i = 1; i < command.size(); ++i) {
    if (is_one_of(command[i], {"--virtual", "-t"}) && i + 1 < command.size()) return command[i + 1];
    constexpr std::string_view kOption = "--virtual=";
    if (command[i].starts_with(kOption)) return command[i].substr(kOption.size());
  }
  return {};
}

// What one RUN takes away again.
struct Removals {
  std::vector<std::string> words;
  bool unknown = false;  // By a variable or by marks, so that everything may be gone.

  explicit Removals(const std::vector<ShellCommand>& commands) {
    for (const ShellCommand& command : commands) {
      if (program_of(command) == "apt-mark") unknown = true;
      const Manager* const manager = manager_of(command);
      if (manager == nullptr) continue;
      const auto verb = find_verb(command, manager->removes);
      if (!verb) continue;
      for (std::size_t i = *verb + 1; i < command.size(); ++i) {
        if (command[i].find('$') != std::string::npos) unknown = true;
        words.push_back(without_version(command[i]));
      }
    }
  }
  bool has(const std::string& name) const { return unknown || std::ranges::find(words, name) != words.end(); }
};

}  // namespace

bool is_build_tool(std::string_view package) {
  if (std::ranges::find(kNoTools, package) != std::end(kNoTools)) return false;
  if (std::ranges::find(kTools, package) != std::end(kTools)) return true;
  if (package.ends_with("-dev") || package.ends_with("-devel") || package.ends_with("-jdk") ||
      package.ends_with("-jdk-headless")) {
    return true;
  }
  for (const std::string_view versioned : {"gcc-", "g++-", "clang-", "golang-1"}) {  // gcc-12
    if (!package.starts_with(versioned)) continue;
    const std::string_view version = package.substr(versioned.size());
    if (std::ranges::all_of(version, [](char c) { return (c >= '0' && c <= '9') || c == '.'; })) return true;
  }
  return false;
}

std::vector<std::string> build_tools_left(const std::vector<ShellCommand>& commands) {
  const Removals removals(commands);
  std::vector<std::string> tools;
  for (const ShellCommand& command : commands) {
    const Manager* const manager = manager_of(command);
    if (manager == nullptr) continue;
    const auto verb = find_verb(command, manager->installs);
    if (!verb) continue;
    const std::string group = virtual_name(command);
    if (!group.empty() && removals.has(group)) continue;
    for (std::size_t i = *verb + 1; i < command.size(); ++i) {
      const std::string name = without_version(command[i]);
      if (command[i].starts_with('-') || name == group || !is_build_tool(name) || removals.has(name)) continue;
      if (std::ranges::find(tools, name) == tools.end()) tools.push_back(name);
    }
  }
  return tools;
}

std::string installer_of(const std::vector<ShellCommand>& commands) {
  for (const ShellCommand& command : commands) {
    const Manager* const manager = manager_of(command);
    if (manager != nullptr && find_verb(command, manager->installs)) return std::string(manager->program);
  }
  return {};
}

}  // namespace imagebuild::lint
