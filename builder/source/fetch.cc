#include "builder/source/fetch.h"

#include <fcntl.h>

#include <optional>

#include "archive/tar_reader.h"
#include "archive/zip.h"
#include "base/file.h"
#include "builder/source/download.h"
#include "builder/source/folder.h"
#include "builder/source/git.h"
#include "builder/source/unpack_image.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

Result<FetchedSource> at_sub_path(const fs::path& folder, const std::string& sub_path) {
  FetchedSource fetched;
  ASSIGN_OR_RETURN(fetched.context, enter(folder, sub_path));
  return fetched;
}

std::optional<SourceSecret> secret_of(const std::optional<api::SecretRef>& secret, const SourcePlaces& places) {
  if (!secret) return std::nullopt;
  return SourceSecret(places.secret, secret->name);
}

Result<FetchedSource> from_git(const api::Source& source, const SourcePlaces& places, const SourceSeams& seams,
                               const std::stop_token& stop) {
  GitRequest request{*source.git, secret_of(source.git->secret, places), places.scratch, seams.log};
  ASSIGN_OR_RETURN(GitCheckout checkout, fetch_git(request, seams.processes, stop));
  ASSIGN_OR_RETURN(FetchedSource fetched, at_sub_path(checkout.folder, source.sub_path));
  fetched.revision = std::move(checkout.revision);
  fetched.epoch_s = checkout.epoch_s;
  fetched.warnings = std::move(checkout.warnings);
  return fetched;
}

// A broken archive is for the user to mend, whoever broke it.
Error as_input(const Error& error) {
  return error.code == ErrorCode::kCorrupt ? Error{ErrorCode::kInvalidInput, error.message} : error;
}

Status make_tar(const fs::path& zip, const fs::path& tar) {
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(tar, O_WRONLY | O_CREAT | O_EXCL, 0600));
  FileSink sink(std::move(fd));
  const Status status = archive::zip_to_tar(zip, sink);
  return status.ok() ? ok() : Status(as_input(status.error()));
}

Result<FetchedSource> from_http(const api::Source& source, const SourcePlaces& places, const SourceSeams& seams,
                                const std::stop_token& stop) {
  DownloadRequest request;
  request.url = source.http->url;
  request.sha256 = source.http->sha256;
  request.file = places.scratch / "download";
  if (const auto secret = secret_of(source.http->secret, places)) {
    ASSIGN_OR_RETURN(request.credential, web_credential(*secret));
  }
  if (seams.log) seams.log("downloading the source");
  RETURN_IF_ERROR(download(request, seams.transport, stop));
  FetchedSource fetched;
  fetched.tar_sub_path = source.sub_path;
  ASSIGN_OR_RETURN(std::optional<fs::path> tar, as_tar(request.file, places.scratch));
  if (!tar) return Error{ErrorCode::kInvalidInput, "what was downloaded is neither a tar nor a zip archive"};
  fetched.context = std::move(*tar);
  return fetched;
}

}  // namespace

Result<std::optional<fs::path>> as_tar(const fs::path& file, const fs::path& scratch) {
  ASSIGN_OR_RETURN(const bool zip, archive::is_zip(file));
  if (!zip) {
    ASSIGN_OR_RETURN(UniqueFd fd, open_file(file, O_RDONLY));
    const auto tar = archive::open_if_archive(std::make_unique<FileSource>(std::move(fd)));
    if (!tar.ok()) return as_input(tar.error());
    return *tar == nullptr ? std::nullopt : std::optional(file);
  }
  const fs::path made = scratch / "source.tar";
  RETURN_IF_ERROR(make_tar(file, made));
  std::error_code ignored;  // Gone with the scratch folder at the latest.
  fs::remove(file, ignored);
  return std::optional(made);
}

Result<FetchedSource> fetch_source(const api::Source& source, const SourcePlaces& places, const SourceSeams& seams,
                                   const std::stop_token& stop) {
  if (source.git) return from_git(source, places, seams, stop);
  if (source.http) return from_http(source, places, seams, stop);
  const fs::path folder = places.scratch / "source";
  if (source.inline_files) {
    RETURN_IF_ERROR(write_files(source.inline_files->files, folder).in("the files of the source"));
    return at_sub_path(folder, source.sub_path);
  }
  if (source.config_map) {
    RETURN_IF_ERROR(copy_config_map(places.mounted, folder).in("ConfigMap '" + source.config_map->name + "'"));
    return at_sub_path(folder, source.sub_path);
  }
  if (source.claim) {
    std::error_code error;
    if (!fs::is_directory(places.mounted, error)) {
      return Error{ErrorCode::kInternal,
                   "the claim '" + source.claim->claim_name + "' is not mounted at " + places.mounted.string()};
    }
    return at_sub_path(places.mounted, source.sub_path);
  }
  if (source.oci) {
    if (seams.log) seams.log("unpacking image " + source.oci->image);
    RETURN_IF_ERROR(unpack_image(source.oci->image, seams.open_image, folder, stop));
    return at_sub_path(folder, source.sub_path);
  }
  return Error{ErrorCode::kInvalidInput, "the spec names no source"};
}

}  // namespace imagebuild::builder
