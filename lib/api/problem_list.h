// Where the checks of a part of a spec gather what they find.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/validate.h"

namespace imagebuild::api {

class ProblemList {
 public:
  void problem(std::string field, std::string message) {
    problems_.push_back(Problem{std::move(field), std::move(message)});
  }
  // `mistake` is empty where there is none, as in validate_values.h.
  void check(std::string field, std::string mistake) {
    if (!mistake.empty()) problem(std::move(field), std::move(mistake));
  }
  void add(std::vector<Problem> found) {
    for (Problem& one : found) problems_.push_back(std::move(one));
  }
  bool empty() const { return problems_.empty(); }
  std::vector<Problem> take() { return std::move(problems_); }

 private:
  std::vector<Problem> problems_;
};

// An element of a list or map: "field[key]".
inline std::string entry(std::string field, std::string_view key) {
  return field.append("[").append(key).append("]");
}

}  // namespace imagebuild::api
