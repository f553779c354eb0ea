// Long reads that end when somebody asks to stop.
#pragma once

#include <memory>
#include <stop_token>
#include <utility>

#include "base/stream.h"

namespace imagebuild::builder {

// `source`, whose reads are kCancelled once `stop` is requested.
inline std::unique_ptr<ByteSource> stoppable(std::unique_ptr<ByteSource> source, std::stop_token stop) {
  class Stoppable final : public ByteSource {
   public:
    Stoppable(std::unique_ptr<ByteSource> source, std::stop_token stop)
        : source_(std::move(source)), stop_(std::move(stop)) {}
    Result<std::size_t> read(std::span<std::byte> buffer) override {
      if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "the build was stopped"};
      return source_->read(buffer);
    }

   private:
    std::unique_ptr<ByteSource> source_;
    std::stop_token stop_;
  };
  return std::make_unique<Stoppable>(std::move(source), std::move(stop));
}

}  // namespace imagebuild::builder
