// Feeds bytes to everything of lib/oci that reads what strangers wrote: references, platforms, manifests, indexes,
// configs and the headers of a tar. Besides not crashing: what was accepted is written in one form that is accepted
// again.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "oci/image_source.h"
#include "oci/layout_index.h"
#include "oci/manifest.h"
#include "oci/member_files.h"
#include "oci/reference.h"

namespace imagebuild::oci {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

template <class Document>
void check_document(std::string_view text) {
  const Result<Document> parsed = Document::parse(text);
  if (!parsed.ok()) {
    require(!parsed.error().message.empty());
    return;
  }
  const std::string once = parsed->json();
  const Result<Document> again = Document::parse(once);
  require(again.ok() && again->json() == once);
}

void check_names(std::string_view text) {
  if (const Result<Reference> reference = Reference::parse(text); reference.ok()) {
    require(*Reference::parse(reference->str()) == *reference);
    require(*Reference::parse(reference->familiar()) == *reference);
  }
  if (const Result<Platform> platform = Platform::parse(text); platform.ok()) {
    require(*Platform::parse(platform->str()) == *platform);
    require(platform->accepts(*platform));
  }
  if (const Result<Digest> digest = Digest::parse(text); digest.ok()) require(digest->str() == text);
}

void check_index(std::string_view text) {
  const Result<Index> index = Index::parse(text);
  if (!index.ok()) return;
  (void)index->choose(Platform::host());
  (void)find_in_index(*index, "", Platform::host());
  const Descriptor image{.media_type = std::string(media_type::kOciManifest), .digest = Digest::of("")};
  const Result<std::string> merged = add_to_index(text, image, {*Reference::parse("fuzz:1")});
  if (!merged.ok()) return;
  require(find_in_index(*Index::parse(*merged), "fuzz:1", Platform::host()).ok());
}

// The text as a file that only this process has.
void check_tar(std::string_view text) {
  const UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  if (!file.valid() || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return;
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  if (const auto members = open_tar_members(path); members.ok()) (void)(*members)->read("manifest.json", 1 << 16);
  if (const auto source = open_docker_archive(path, ""); source.ok()) (void)(*source)->resolve(Platform::host());
  if (const auto source = open_oci_archive(path, ""); source.ok()) (void)(*source)->resolve(Platform::host());
}

void run(std::string_view text) {
  check_names(text);
  check_document<Manifest>(text);
  check_document<Index>(text);
  check_document<ImageConfig>(text);
  check_index(text);
  if (text.size() >= 512) check_tar(text);
}

}  // namespace
}  // namespace imagebuild::oci

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  imagebuild::oci::run(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
