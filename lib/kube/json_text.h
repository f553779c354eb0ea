// Looks into the text of JSON without building it: for lists of thousands of objects of which next to nothing is
// wanted.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imagebuild::kube {

// Calls `member` with the name, as it is written, and the text of the value of each member of the object that `text`
// is. False when it is no object. Values are not checked: only their brackets and quotes are followed.
bool for_each_member(std::string_view text,
                     const std::function<void(std::string_view name, std::string_view value)>& member);
// What a JSON string without escapes says; nothing for anything else.
std::optional<std::string_view> plain_text(std::string_view value);

// Takes the API server's answer to a list apart while it arrives: one object is in memory at a time.
class ListText {
 public:
  static constexpr std::size_t kMaxItemBytes = 16U << 20, kMaxRestBytes = 1U << 20;

  // `item` gets the text of each object; it is gone after the call.
  explicit ListText(std::function<void(std::string_view)> item) : item_(std::move(item)) {}

  Status take(std::string_view piece);  // kLimit, kCorrupt
  // The list without its items, once the answer has ended; kUnavailable if it has not.
  Result<std::string> finish();

 private:
  void open(std::string_view piece, std::size_t at, std::size_t& kept);
  void close(std::string_view piece, std::size_t at, std::size_t& kept);

  const std::function<void(std::string_view)> item_;
  std::string rest_, object_;
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false, in_items_ = false;
};

}  // namespace imagebuild::kube
