#include "kube/credentials.h"

#include "base/file.h"

namespace imagebuild::kube {
namespace {

constexpr std::uint64_t kMaxTokenBytes = 64 * 1024;

}  // namespace

Result<std::string> FileToken::token() {
  const std::lock_guard lock(mutex_);
  const WallTime now = now_();
  if (!stale_ && now - read_at_ < kMaxAge && now >= read_at_) return token_;
  auto text = read_file(file_, kMaxTokenBytes);
  if (!text.ok()) {
    if (token_.empty()) return text.error().in("the API server's bearer token");
    return token_;
  }
  while (!text->empty() && static_cast<unsigned char>(text->back()) <= ' ') text->pop_back();
  if (text->empty() && token_.empty()) {
    return Error{ErrorCode::kDenied, "the bearer token file '" + file_.string() + "' is empty"};
  }
  if (!text->empty()) token_ = *std::move(text);
  read_at_ = now;
  stale_ = false;
  return token_;
}

void FileToken::refused() {
  const std::lock_guard lock(mutex_);
  stale_ = true;
}

}  // namespace imagebuild::kube
