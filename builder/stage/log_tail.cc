#include "builder/stage/log_tail.h"

#include "api/report.h"

namespace imagebuild::builder {

void LogTail::add(int stream, std::string_view piece) {
  std::string& open = open_[stream == 2 ? 1 : 0];
  while (!piece.empty()) {
    const std::size_t end = std::min(piece.find('\n'), piece.size());
    if (open.size() < kMaxLineBytes) open.append(piece.substr(0, std::min(end, kMaxLineBytes - open.size())));
    if (end == piece.size()) return;
    end_line(open);
    piece.remove_prefix(end + 1);
  }
}

void LogTail::end_line(std::string& open) {
  if (open.ends_with('\r')) open.pop_back();
  done_.push_back(std::exchange(open, {}));
  if (done_.size() > api::kLogTailLines) done_.pop_front();
}

std::vector<std::string> LogTail::lines() const {
  std::vector<std::string> all(done_.begin(), done_.end());
  for (const std::string& open : open_) {
    if (!open.empty()) all.push_back(open);
  }
  if (all.size() > api::kLogTailLines) all.erase(all.begin(), all.end() - static_cast<long>(api::kLogTailLines));
  return all;
}

void LogTail::clear() {
  done_.clear();
  open_[0].clear();
  open_[1].clear();
}

}  // namespace imagebuild::builder
