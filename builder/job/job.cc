#include "builder/job/job.h"

#include <fcntl.h>

#include <charconv>
#include <optional>

#include "api/job.h"
#include "api/validate.h"
#include "base/file.h"
#include "oci/reference.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxJobBytes = 64U << 20;
constexpr const char* kMountPoint = "/imagebuild";

// "12:3: rest" → the two numbers.
std::optional<api::SourceLine> place_at(std::string_view text) {
  api::SourceLine at;
  const auto [line_end, line_error] = std::from_chars(text.data(), text.data() + text.size(), at.line);
  if (line_error != std::errc() || line_end == text.data() + text.size() || *line_end != ':') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(line_end - text.data()) + 1);
  std::from_chars(text.data(), text.data() + text.size(), at.column);  // 0 where there is none.
  return at;
}

}  // namespace

fs::path Job::mounted(const std::string& path) const {
  return mounts / fs::path(path).lexically_relative(kMountPoint);
}

Result<api::ImageBuild> read_job(const fs::path& file) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(file, O_RDONLY));
  const auto compression = file.extension() == ".gz" ? archive::Compression::kGzip : archive::Compression::kNone;
  const auto source = archive::decompress(std::make_unique<FileSource>(std::move(fd)), compression);
  ASSIGN_OR_RETURN(const std::string text, read_all(*source, kMaxJobBytes).in(file.string()));
  ASSIGN_OR_RETURN(api::ImageBuild build, api::ImageBuild::parse(text).in(file.string()));
  if (build.spec_error) return *build.spec_error;
  const std::vector<api::Problem> problems = api::validate(build.spec);
  if (!problems.empty()) return Error{ErrorCode::kInvalidInput, api::problems_text(problems)};
  return build;
}

RegistryOptions job_registries(const Job& job, const std::string& registries_file) {
  RegistryOptions options;
  options.file = registries_file;
  options.credentials.emplace();
  const api::ImageBuildSpec& spec = job.build.spec;
  const int most = static_cast<int>(spec.image_pull_secrets.size()) + (spec.output.push_secret ? 1 : 0);
  for (int number = 0; number < most; ++number) {
    const fs::path file = job.mounted(api::job::registry_config(number));
    std::error_code error;
    if (fs::exists(file, error)) options.credentials->push_back(file);
  }
  const Result<oci::Reference> output = oci::Reference::parse(spec.output.image);
  if (spec.output.insecure && output.ok()) options.untrusted.push_back(output->registry());
  return options;
}

archive::Compression compression_of(const api::ImageBuildSpec& spec) {
  return spec.output.compression == api::Compression::kZstd ? archive::Compression::kZstd : archive::Compression::kGzip;
}

api::Failure failure_of(const Error& error, const std::string& dockerfile) {
  api::Failure failure;
  failure.code = std::string(api::error_code_name(error.code));
  std::string_view text = error.message;
  const std::size_t end = text.find('\n');
  failure.message = std::string(text.substr(0, end));
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  while (!text.empty() && failure.log_tail.size() < api::kLogTailLines) {
    const std::size_t line_end = std::min(text.find('\n'), text.size());
    failure.log_tail.emplace_back(text.substr(0, line_end));
    text.remove_prefix(std::min(line_end + 1, text.size()));
  }
  if (failure.message.starts_with(dockerfile + ":")) {
    const auto at = place_at(std::string_view(failure.message).substr(dockerfile.size() + 1));
    if (at) failure.at = *at;
  }
  return failure;
}

int exit_status_of(const api::Told& told) {
  if (!told.failure) return kExitOk;
  return Error{api::parse_error_code(told.failure->code), {}}.exit_status();
}

}  // namespace imagebuild::builder
