#include "http/transport.h"

namespace imagebuild::http {

RequestBody RequestBody::of(std::string text) {
  const std::uint64_t size_bytes = text.size();
  auto open = [text = std::move(text)]() -> Result<std::unique_ptr<ByteSource>> {
    return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(text));
  };
  return {.open = std::move(open), .size_bytes = size_bytes};
}

}  // namespace imagebuild::http
