#include "builder/job/stage_programs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "api/volume.h"
#include "base/file.h"
#include "oci/platform.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

// Under another name first: nobody sees half a program.
Status copy_program(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (error) return system_error(to.parent_path().string(), error.value());
  ASSIGN_OR_RETURN(UniqueFd source_fd, open_file(from, O_RDONLY));
  const fs::path temporary = to.string() + ".new";
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0755));
  FileSource source(std::move(source_fd));
  FileSink sink(std::move(fd));
  const Result<std::uint64_t> copied = copy_stream(source, sink);
  if (!copied.ok()) return copied.error().in(to.string());
  if (::fchmod(sink.fd(), 0755) != 0) return system_error(to.string(), errno);
  fs::rename(temporary, to, error);
  return error ? Status(system_error(to.string(), error.value())) : ok();
}

}  // namespace

Status put_stage_program(const fs::path& own, const std::string& platform, const std::string& stage,
                         const fs::path& volume) {
  ASSIGN_OR_RETURN(const oci::Platform wanted, oci::Platform::parse(platform));
  const std::string& architecture = wanted.architecture();
  fs::path program = own;
  if (architecture != oci::Platform::host().architecture()) program += "-" + architecture;
  std::error_code error;
  if (!fs::exists(program, error)) {
    return Error{ErrorCode::kUnsupported, "stage '" + stage + "' runs in a container for " + platform +
                                              ", but the builder image has no " + program.filename().string() +
                                              "; put that program, compiled for " + architecture + ", beside " +
                                              own.string() + " in the builder image, or let the stage run elsewhere " +
                                              "with FROM --platform=$BUILDPLATFORM"};
  }
  return copy_program(program, volume / api::volume::stage_program(architecture));
}

Status put_stage_programs(const fs::path& own, const api::Plan& plan, const fs::path& volume) {
  for (const api::PlanStage& stage : plan.stages) {
    if (!stage.needs_container) continue;
    ASSIGN_OR_RETURN(const oci::Platform platform, oci::Platform::parse(stage.platform));
    std::error_code error;
    if (fs::exists(volume / api::volume::stage_program(platform.architecture()), error)) continue;
    RETURN_IF_ERROR(put_stage_program(own, stage.platform, stage.name, volume));
  }
  return ok();
}

}  // namespace imagebuild::builder
