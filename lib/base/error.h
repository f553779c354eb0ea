// What went wrong, in one shape for the whole program.
#pragma once

#include <string>
#include <string_view>

namespace imagebuild {

// Who has to act, and whether trying again can help. A program's exit status follows from it (see exit_status()).
enum class ErrorCode {
  kInvalidInput,  // The user's input is wrong: a Dockerfile, a flag, a file's content.
  kUnsupported,   // The input is right, but this version does not do it.
  kNotFound,      // A thing the user named does not exist: a file, an image, a stage.
  kDenied,        // Credentials are missing, wrong or not enough.
  kFailed,        // The user's own command failed (a RUN with a non-zero exit status).
  kLimit,         // A bound that protects this machine was hit: an archive bomb, too long a line.
  kCorrupt,       // Bytes do not match the digest or size that was promised, or a format is broken.
  kUnavailable,   // The network or a server failed; trying again may help.
  kExhausted,     // The disk is full or a quota is used up.
  kCancelled,     // Somebody asked to stop.
  kInternal,      // The machine refused something that should have worked (a system call, a runtime).
};

// The documented exit statuses of every program of the project.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;          // The user has to change something.
inline constexpr int kExitUsage = 2;           // The command line is wrong.
inline constexpr int kExitInfrastructure = 3;  // The machine, the network or a server; trying again may help.

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // One sentence in plain English, without a final full stop or newline.

  // The same error, with the place it happened in put before it: "stage 'app': no such file".
  Error in(std::string_view where) const;

  // kExitFailed for what the user has to change, kExitInfrastructure for everything else.
  int exit_status() const;
};

// An Error of `code` whose message is `what: strerror(errno_value)`. ENOSPC and EDQUOT become kExhausted,
// ENOENT kNotFound, EACCES and EPERM kDenied; every other value becomes kInternal.
Error system_error(std::string_view what, int errno_value);

}  // namespace imagebuild
