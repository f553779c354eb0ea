#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace imagebuild {
namespace {

TEST(Error, InNamesThePlaceAndKeepsTheCode) {
  const Error error = Error{ErrorCode::kDenied, "no credentials"}.in("docker.io").in("push");
  EXPECT_EQ(error.code, ErrorCode::kDenied);
  EXPECT_EQ(error.message, "push: docker.io: no credentials");
}

struct StatusRow {
  const char* name;
  ErrorCode code;
  int exit_status;
};

class ErrorStatus : public testing::TestWithParam<StatusRow> {};

TEST_P(ErrorStatus, SaysWhoHasToAct) {
  EXPECT_EQ((Error{GetParam().code, "x"}.exit_status()), GetParam().exit_status);
}

INSTANTIATE_TEST_SUITE_P(All, ErrorStatus,
                         testing::Values(StatusRow{"InvalidInput", ErrorCode::kInvalidInput, kExitFailed},
                                         StatusRow{"Unsupported", ErrorCode::kUnsupported, kExitFailed},
                                         StatusRow{"NotFound", ErrorCode::kNotFound, kExitFailed},
                                         StatusRow{"Denied", ErrorCode::kDenied, kExitFailed},
                                         StatusRow{"Failed", ErrorCode::kFailed, kExitFailed},
                                         StatusRow{"Limit", ErrorCode::kLimit, kExitFailed},
                                         StatusRow{"Corrupt", ErrorCode::kCorrupt, kExitInfrastructure},
                                         StatusRow{"Unavailable", ErrorCode::kUnavailable, kExitInfrastructure},
                                         StatusRow{"Exhausted", ErrorCode::kExhausted, kExitInfrastructure},
                                         StatusRow{"Cancelled", ErrorCode::kCancelled, kExitInfrastructure},
                                         StatusRow{"Internal", ErrorCode::kInternal, kExitInfrastructure}),
                         [](const auto& param) { return param.param.name; });

struct ErrnoRow {
  const char* name;
  int value;
  ErrorCode code;
};

class SystemError : public testing::TestWithParam<ErrnoRow> {};

TEST_P(SystemError, HasTheCodeOfItsErrno) {
  const Error error = system_error("some/file", GetParam().value);
  EXPECT_EQ(error.code, GetParam().code);
  EXPECT_EQ(error.message.substr(0, 11), "some/file: ");
  EXPECT_GT(error.message.size(), 11U);
}

INSTANTIATE_TEST_SUITE_P(All, SystemError,
                         testing::Values(ErrnoRow{"FullDisk", ENOSPC, ErrorCode::kExhausted},
                                         ErrnoRow{"Quota", EDQUOT, ErrorCode::kExhausted},
                                         ErrnoRow{"Missing", ENOENT, ErrorCode::kNotFound},
                                         ErrnoRow{"NoAccess", EACCES, ErrorCode::kDenied},
                                         ErrnoRow{"NotPermitted", EPERM, ErrorCode::kDenied},
                                         ErrnoRow{"AnythingElse", EIO, ErrorCode::kInternal}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace imagebuild
