#include "lint/pitfalls/images.h"

#include <algorithm>

#include "oci/reference.h"

namespace imagebuild::lint {

namespace {

bool begins_with_any(std::string_view text, std::initializer_list<std::string_view> beginnings) {
  return std::ranges::any_of(beginnings, [&](std::string_view beginning) { return text.starts_with(beginning); });
}

}  // namespace

std::optional<KnownImage> known_image(const std::string& reference) {
  constexpr std::string_view kScheme = "docker-image://";
  const auto parsed =
      oci::Reference::parse(reference.starts_with(kScheme) ? reference.substr(kScheme.size()) : reference);
  if (!parsed.ok()) return std::nullopt;
  const std::string& repository = parsed->repository();
  const bool tagged = reference.find(":" + parsed->tag()) != std::string::npos;
  const std::string tag = tagged ? parsed->tag() : "";
  if (parsed->registry() == "mcr.microsoft.com") return KnownImage{repository, tag};
  const std::size_t slash = repository.rfind('/');
  const std::string_view folder = std::string_view(repository).substr(0, slash);
  if (slash == std::string::npos || (folder != "library" && !folder.ends_with("/library"))) return std::nullopt;
  return KnownImage{repository.substr(slash + 1), tag};
}

bool runs_interpreter(const std::string& reference) {
  const std::string name = reference.substr(reference.rfind('/') + 1);
  return begins_with_any(
      name, {"node",    "python",   "pypy",           "ruby",       "jruby",   "php",    "openjdk", "eclipse-temurin",
             "maven",   "gradle",   "amazoncorretto", "ibm-semeru", "perl",    "bun",    "deno",    "elixir",
             "erlang",  "composer", "aspnet",         "sdk",        "runtime", "tomcat", "jetty",   "groovy",
             "clojure", "julia",    "r-base",         "nginx",      "httpd"});
}

bool is_interpreter(std::string_view program) {
  constexpr std::string_view kInterpreters[] = {
      "node",    "npm",    "npx",     "yarn", "pnpm", "bun",    "deno",      "python", "pip",  "gunicorn",
      "uvicorn", "flask",  "poetry",  "uv",   "java", "ruby",   "bundle",    "rails",  "puma", "rake",
      "php",     "perl",   "dotnet",  "sh",   "bash", "ash",    "dash",      "zsh",    "make", "cmake",
      "go",      "cargo",  "gcc",     "g++",  "mvn",  "gradle", "mix",       "erl",    "env",  "sudo",
      "elixir",  "jshell", "su-exec", "gosu", "tini", "rustc",  "dumb-init", "cc"};
  program = program.substr(program.rfind('/') + 1);
  return std::ranges::any_of(kInterpreters, [&](std::string_view name) {  // python3.12 is python.
    if (!program.starts_with(name)) return false;
    return program.size() == name.size() || (program[name.size()] >= '0' && program[name.size()] <= '9');
  });
}

}  // namespace imagebuild::lint
