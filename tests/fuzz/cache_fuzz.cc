// Feeds bytes to what reads a cache, which others may have written: records, and the inputs of stages. Besides not
// crashing: what was accepted names no file outside its folder, and is accepted again as it is written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "builder/cache/inputs_json.h"
#include "builder/cache/store.h"

namespace imagebuild::builder {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_record(std::string_view text) {
  const Result<CacheRecord> record = CacheRecord::parse(text);
  if (!record.ok()) {
    require(record.error().code == ErrorCode::kCorrupt);
    return;
  }
  for (const CachedFile& file : record->files) {
    const std::filesystem::path path = (std::filesystem::path("/folder") / file.path).lexically_normal();
    require(path.string().starts_with("/folder/") && path.string() != "/folder/");
  }
  const Result<CacheRecord> again = CacheRecord::parse(record->json());
  require(again.ok() && *again == *record);
}

void check_inputs(std::string_view text) {
  const Result<build::StageInputs> inputs = parse_inputs(text);
  if (!inputs.ok()) {
    require(inputs.error().code == ErrorCode::kCorrupt);
    return;
  }
  require(parse_inputs(inputs_json(*inputs)).ok());
}

}  // namespace
}  // namespace imagebuild::builder

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  imagebuild::builder::check_record(text);
  imagebuild::builder::check_inputs(text);
  return 0;
}
