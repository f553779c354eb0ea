// What the Kubernetes API says when it refuses (meta/v1 Status), as an Error that still knows the reason.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "kube/resource.h"

namespace imagebuild::kube {

// One of the details of a refusal; for 422: which field is wrong, and why.
struct Cause {
  std::string field;   // "spec.output.image"
  std::string reason;  // "FieldValueInvalid"
  std::string message;
};

// Being an Error, it turns into a plain Result<T> wherever nobody needs the details. Its code:
//   404 kNotFound · 401, 403 kDenied (403 for a used-up quota: kExhausted) · 400, 422, AlreadyExists kInvalidInput ·
//   405, 406, 415 kUnsupported · 413 kLimit · Conflict, 410, 429, 5xx and the network kUnavailable.
struct [[nodiscard]] ApiError : Error {
  int status = 0;      // The HTTP status; 0 when there was no answer.
  std::string reason;  // "Conflict", "AlreadyExists", "Invalid", "Expired", …; empty when the server gave none.
  std::vector<Cause> causes;
  std::optional<std::chrono::milliseconds> retry_after;

  ApiError() = default;
  ApiError(Error error) : Error(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool is_not_found() const { return status == 404; }
  bool is_already_exists() const { return status == 409 && reason == "AlreadyExists"; }
  // Somebody else changed the object first (resourceVersion), or owns the field (server-side apply).
  bool is_conflict() const { return status == 409 && reason != "AlreadyExists"; }
  // The resourceVersion or continue token is too old: list again.
  bool is_gone() const { return status == 410; }
  bool is_invalid() const { return status == 422; }
  // The namespace is being deleted: nothing new is admitted there.
  bool is_namespace_terminating() const;
};

// The error for an answer of `status` >= 400 with `body`, a Status object or anything else; at most the first 500
// bytes of a foreign body are repeated. `doing` says what was asked: "create pods default/p".
ApiError error_from_answer(int status, std::string_view body, std::string_view doing);
// The same for a Status object that came in a watch stream.
ApiError error_from_status(const Json& status_object, std::string_view doing);

// A value or an ApiError; works with ASSIGN_OR_RETURN.
template <class T>
class [[nodiscard]] ApiResult {
 public:
  ApiResult(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  ApiResult(ApiError error)
      : state_(std::in_place_index<1>, std::move(error)) {}          // NOLINT(google-explicit-constructor)
  ApiResult(Error error) : ApiResult(ApiError(std::move(error))) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // The value; the process ends if there is none.
  T& value() & { return checked(std::get_if<0>(&state_)); }
  const T& value() const& { return checked(std::get_if<0>(&state_)); }
  T&& value() && { return std::move(checked(std::get_if<0>(&state_))); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const ApiError& error() const { return checked(std::get_if<1>(&state_)); }

 private:
  template <class P>
  static P& checked(P* pointer) {
    if (pointer == nullptr) std::abort();
    return *pointer;
  }
  std::variant<T, ApiError> state_;
};

using ApiStatus = ApiResult<std::monostate>;

}  // namespace imagebuild::kube
