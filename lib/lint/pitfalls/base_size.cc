// A final stage that starts from a compiler's image and needs none.
#include <algorithm>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "lint/pitfalls/images.h"
#include "lint/pitfalls/pitfalls.h"
#include "lint/pitfalls/shell_commands.h"

namespace imagebuild::lint {

namespace {

struct Smaller {
  std::string what;            // That the base has beyond what is needed: "the Go toolchain".
  std::string image;           // To write instead.
  bool needs_runtime = false;  // The programs are no native ones: what runs them is in the smaller image too.
};

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The first number behind any of `words`: "17" of "3.9-eclipse-temurin-17-alpine".
std::string number_behind(const std::string& tag, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    const std::size_t at = tag.find(word);
    if (at == std::string::npos) continue;
    const std::size_t begin = at + word.size();
    const std::size_t end = std::min(tag.find_first_not_of("0123456789", begin), tag.size());
    if (end > begin) return tag.substr(begin, end - begin);
  }
  return {};
}

std::optional<Smaller> smaller_java(const KnownImage& image) {
  if (has(image.tag, "jre")) return std::nullopt;
  std::string version;
  if (image.name == "maven" || image.name == "gradle") {
    version = number_behind(image.tag, {"temurin-", "openjdk-", "corretto-", "jdk-", "jdk"});
  } else if (image.name == "openjdk" || image.name == "eclipse-temurin" || image.name == "amazoncorretto") {
    version = number_behind(image.tag, {""});
  } else {
    return std::nullopt;
  }
  const std::string small = "eclipse-temurin:" + (version.empty() ? "VERSION" : version) + "-jre" +
                            (has(image.tag, "alpine") ? "-alpine" : "");
  return Smaller{"a Java compiler", small, true};
}

std::optional<Smaller> smaller_native(const KnownImage& image) {
  const bool alpine = has(image.tag, "alpine");
  if (image.name == "golang") return Smaller{"the Go toolchain", "scratch or gcr.io/distroless/static"};
  if (image.name == "rust") {
    return Smaller{"the Rust toolchain", alpine ? "alpine or scratch" : "debian:stable-slim or gcr.io/distroless/cc"};
  }
  if (image.name == "gcc") return Smaller{"a C compiler", "debian:stable-slim, or scratch for a static program"};
  if (image.name == "buildpack-deps") return Smaller{"compilers and headers", "debian:stable-slim"};
  return std::nullopt;
}

// node, python and ruby have a variant without compilers for each version.
std::optional<Smaller> smaller_interpreter(const KnownImage& image) {
  if (image.name != "node" && image.name != "python" && image.name != "ruby") return std::nullopt;
  const std::string& tag = image.tag;
  if (has(tag, "slim") || has(tag, "alpine") || has(tag, "windows") || has(tag, "nanoserver")) return std::nullopt;
  const std::string small = tag.empty() || tag == "latest" ? "slim" : tag + "-slim";
  return Smaller{"compilers and headers", image.name + ":" + small, true};
}

std::optional<Smaller> smaller_than(const KnownImage& image) {
  if (image.name == "dotnet/sdk") {
    return Smaller{"the .NET SDK", "mcr.microsoft.com/dotnet/aspnet:" + (image.tag.empty() ? "VERSION" : image.tag),
                   true};
  }
  if (auto java = smaller_java(image)) return java;
  if (auto native = smaller_native(image)) return native;
  return smaller_interpreter(image);
}

constexpr std::string_view kHarmless[] = {"mkdir",    "chown", "chmod",  "useradd", "groupadd",  "usermod", "adduser",
                                          "addgroup", "ln",    "rm",     "mv",      "cp",        "echo",    "printf",
                                          "cat",      "touch", "sed",    "true",    "set",       "cd",      "test",
                                          "[",        "ls",    "find",   "install", "date",      "sleep",   "umask",
                                          "export",   "id",    "getent", "which",   "locale-gen"};
constexpr std::string_view kCompilers[] = {"go",    "gcc", "g++",  "cc",     "make",    "cmake", "cargo",
                                           "rustc", "mvn", "mvnw", "gradle", "gradlew", "javac", "dotnet"};

bool is_listed(const std::string& program, std::span<const std::string_view> list) {
  return std::ranges::find(list, program) != list.end();
}

enum class Use { kNone, kCompiles, kOther };

Use use_of(const FileView& view) {
  Use use = Use::kNone;
  for (const int stage : view.chain(view.target().stage.index)) {
    for (const StepView& step : view.at(stage).steps) {
      if (step.run() == nullptr) continue;
      for (const ShellCommand& command : commands_of(step.run()->command)) {
        if (is_listed(program_of(command), kHarmless)) continue;
        if (!is_listed(program_of(command), kCompilers)) return Use::kOther;
        use = Use::kCompiles;
      }
    }
  }
  return use;
}

// What a container runs is a tool of the base, or may be one.
bool runs_a_tool(const std::vector<std::string>& program, const Smaller& smaller) {
  if (program.empty()) return true;
  const std::string name = program.front().substr(program.front().rfind('/') + 1);
  if (name == "java" || name == "dotnet") {
    const bool runs = smaller.needs_runtime && program.size() > 1;
    return !runs || (name == "dotnet" && !program[1].ends_with(".dll"));
  }
  constexpr std::string_view kInterpreters[] = {"node", "npm", "python", "python3", "ruby"};
  if (smaller.needs_runtime) return !is_listed(name, kInterpreters) || program.size() < 2;
  return program.front().find('/') == std::string::npos || is_interpreter(program.front());
}

}  // namespace

void check_base_size(const FileView& view, Findings& findings) {
  const int target = view.target().stage.index;
  const dockerfile::Source* const base = view.root_image(target);
  if (base == nullptr || names_a_workshop(view.target().stage.name)) return;
  const std::optional<KnownImage> image = known_image(base->name);
  if (!image) return;
  const std::optional<Smaller> smaller = smaller_than(*image);
  if (!smaller || runs_a_tool(view.program(target), *smaller)) return;
  const Use use = use_of(view);
  if (use == Use::kOther) return;
  const std::string fix = use == Use::kNone
                              ? "nothing here uses; start from " + smaller->image
                              : "only building needs; build in a stage of its own, start the final one from " +
                                    smaller->image + " and take the result with COPY --from";
  findings.add("LargerBaseThanNeeded", base->at,
               "the final image is built on '" + base->name + "', which has " + smaller->what + " that " + fix);
}

}  // namespace imagebuild::lint
