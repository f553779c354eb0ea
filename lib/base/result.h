// A value or an Error. Functions that can fail return one; nothing of ours throws.
#pragma once

#include <cstdlib>
#include <utility>
#include <variant>

#include "base/error.h"

namespace imagebuild {

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // The value; the process ends if there is none (a broken invariant, never a user's mistake).
  T& value() & {
    check(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    check(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    check(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    check(!ok());
    return *std::get_if<1>(&state_);
  }

  // This result, with the place put before its error, if it has one.
  Result in(std::string_view where) && {
    if (ok()) return std::move(*this);
    return error().in(where);
  }

 private:
  static void check(bool holds) {
    if (!holds) std::abort();
  }
  std::variant<T, Error> state_;
};

// Success without a value, or an Error.
using Status = Result<std::monostate>;
inline Status ok() {
  return Status(std::monostate{});
}

}  // namespace imagebuild

#define IMAGEBUILD_JOIN_(a, b) a##b
#define IMAGEBUILD_JOIN(a, b) IMAGEBUILD_JOIN_(a, b)

// Returns the error of `expression` from the enclosing function, if it has one.
#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (auto result_ = (expression); !result_.ok()) return result_.error(); \
  } while (false)

// Declares or assigns `target` from the value of `expression`, or returns its error.
#define ASSIGN_OR_RETURN(target, expression) ASSIGN_OR_RETURN_(IMAGEBUILD_JOIN(result_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_(temporary, target, expression) \
  auto temporary = (expression);                         \
  if (!temporary.ok()) return temporary.error();         \
  target = std::move(temporary).value()
