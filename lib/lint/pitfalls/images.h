// What is known of well-known images by their names: which bring a compiler, which an interpreter.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace imagebuild::lint {

struct KnownImage {
  std::string name;  // "golang"; "dotnet/sdk".
  std::string tag;   // "1.22-alpine"; empty when there is none.
};

// One of Docker's official images, also from a mirror of them, or one of .NET's. Nothing for any other name.
std::optional<KnownImage> known_image(const std::string& reference);

// Its programs are texts that an interpreter runs: node, python, ruby, php, openjdk and the like.
bool runs_interpreter(const std::string& reference);

// Whether a program's name says that it is an interpreter, a shell or a tool that builds: what it runs is elsewhere.
bool is_interpreter(std::string_view program);

}  // namespace imagebuild::lint
