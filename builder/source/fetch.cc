#include "builder/source/fetch.h"

#include "builder/source/folder.h"

namespace imagebuild::builder {

namespace fs = std::filesystem;

namespace {

Result<FetchedSource> at_sub_path(const fs::path& folder, const std::string& sub_path) {
  FetchedSource fetched;
  ASSIGN_OR_RETURN(fetched.context, enter(folder, sub_path));
  return fetched;
}

}  // namespace

Result<FetchedSource> fetch_source(const api::Source& source, const SourcePlaces& places, const SourceSeams&,
                                   std::stop_token) {
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
  return Error{ErrorCode::kUnsupported, "this version does not fetch such a source"};
}

}  // namespace imagebuild::builder
