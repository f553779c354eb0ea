#include "build/supported.h"

#include "base/overloaded.h"

namespace imagebuild::build {

namespace {

using namespace dockerfile;  // NOLINT(google-build-using-namespace): this file is about its vocabulary.

Error refuse(std::string_view file, Position at, const std::string& what, const std::string& instead) {
  return located_error(file, at, what + " is not supported yet; " + instead, ErrorCode::kUnsupported);
}

Status check_mount(const Mount& mount, std::string_view file) {
  if (mount.needs_expansion || mount.type == MountType::kSecret) return ok();
  const std::string type(name_of(mount.type));
  return refuse(
      file, mount.spec.at, "RUN --mount=type=" + type,
      mount.type == MountType::kBind ? "use COPY before the RUN instead" : "run the command without the mount");
}

Status check_run(const Run& run, Position at, std::string_view file) {
  for (const Mount& mount : run.mounts) RETURN_IF_ERROR(check_mount(mount, file));
  if (run.network != Network::kDefault) {
    return refuse(file, run.network_word ? run.network_word->at : at, "RUN --network other than 'default'",
                  "remove the flag");
  }
  if (run.security != Security::kSandbox) {
    return refuse(file, run.security_word ? run.security_word->at : at, "RUN --security=insecure", "remove the flag");
  }
  if (!run.devices.empty()) return refuse(file, run.devices.front().at, "RUN --device", "remove the flag");
  return ok();
}

Status check_sources(const CopySources& sources, Position at, std::string_view file) {
  if (sources.link) return refuse(file, at, "--link", "remove the flag: the files are the same without it");
  if (!sources.exclude.empty()) {
    return refuse(file, sources.exclude.front().at, "--exclude", "name the files in .dockerignore instead");
  }
  return ok();
}

}  // namespace

Status check_supported(const Instruction& instruction, std::string_view file) {
  const Position at = instruction.at;
  return std::visit(Overloaded{
                        [&](const Run& run) { return check_run(run, at, file); },
                        [&](const Copy& copy) -> Status {
                          if (copy.parents) return refuse(file, at, "COPY --parents", "copy each folder by itself");
                          return check_sources(copy.sources, at, file);
                        },
                        [&](const Add& add) -> Status {
                          if (add.checksum) {
                            return refuse(file, add.checksum->at, "ADD --checksum", "download the file in a RUN step");
                          }
                          if (add.keep_git_dir) {
                            return refuse(file, at, "ADD --keep-git-dir", "clone the repository in a RUN step");
                          }
                          if (add.unpack) {
                            return refuse(file, at, "ADD --unpack",
                                          "local archives are unpacked by ADD and kept by COPY without it");
                          }
                          return check_sources(add.sources, at, file);
                        },
                        [](const auto&) { return ok(); },
                    },
                    instruction.command);
}

}  // namespace imagebuild::build
