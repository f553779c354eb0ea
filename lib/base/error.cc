#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace imagebuild {

Error Error::in(std::string_view where) const {
  return Error{code, std::string(where) + ": " + message};
}

int Error::exit_status() const {
  switch (code) {
    case ErrorCode::kInvalidInput:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kDenied:
    case ErrorCode::kFailed:
    case ErrorCode::kLimit:
      return kExitFailed;
    case ErrorCode::kCorrupt:
    case ErrorCode::kUnavailable:
    case ErrorCode::kExhausted:
    case ErrorCode::kCancelled:
    case ErrorCode::kInternal:
      return kExitInfrastructure;
  }
  return kExitInfrastructure;
}

namespace {

ErrorCode code_of_errno(int value) {
  switch (value) {
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kExhausted;
    case ENOENT:
      return ErrorCode::kNotFound;
    case EACCES:
    case EPERM:
      return ErrorCode::kDenied;
    default:
      return ErrorCode::kInternal;
  }
}

}  // namespace

Error system_error(std::string_view what, int errno_value) {
  return Error{code_of_errno(errno_value), std::string(what) + ": " + std::generic_category().message(errno_value)};
}

}  // namespace imagebuild
