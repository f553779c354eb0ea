// Bearer tokens that change while we run: those of service accounts are files that the kubelet rewrites.
#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace imagebuild::kube {

// Threads may share one.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual Result<std::string> token() = 0;
  // The server refused the last one (401): look again, whatever the clock says.
  virtual void refused() {}
};

class FixedToken final : public TokenSource {
 public:
  explicit FixedToken(std::string token) : token_(std::move(token)) {}
  Result<std::string> token() override { return token_; }

 private:
  std::string token_;
};

// Reads its file again at most once a minute (the kubelet rotates a token long before it expires). While the file
// cannot be read, the last token stays.
class FileToken final : public TokenSource {
 public:
  static constexpr std::chrono::seconds kMaxAge{60};

  explicit FileToken(std::filesystem::path file, Clock now = system_clock_now)
      : file_(std::move(file)), now_(std::move(now)) {}
  Result<std::string> token() override;
  void refused() override;

 private:
  const std::filesystem::path file_;
  const Clock now_;
  std::mutex mutex_;
  std::string token_;
  WallTime read_at_{};
  bool stale_ = true;
};

}  // namespace imagebuild::kube
