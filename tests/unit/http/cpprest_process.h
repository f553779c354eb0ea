// Prepares a test program for cpprestsdk; include it in one file of the program.
#pragma once

#include <gtest/gtest.h>

#include "http/cpprest_transport.h"

// The threads of cpprestsdk's pool are not joined at exit, so what OpenSSL holds for each of them stays.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libcrypto.so\n";
}

// Its shared object is not instrumented: ThreadSanitizer does not see what its atomics and locks order.
extern "C" const char* __tsan_default_suppressions() {
  return "race:libcpprest.so\n";
}

namespace imagebuild::http {

class PreparedProcess final : public testing::Environment {
 public:
  void SetUp() override { prepare_process_for_cpprest(4); }
};
inline const auto* const kPreparedProcess = testing::AddGlobalTestEnvironment(new PreparedProcess);

}  // namespace imagebuild::http
