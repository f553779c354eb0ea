// Certificates made on the spot, for tests of TLS.
#pragma once

#include <string>

namespace imagebuild::fakes {

struct TlsIdentity {
  std::string ca_pem;    // Whom a client must trust.
  std::string cert_pem;  // The server's certificate, signed by that CA.
  std::string key_pem;

  // For 127.0.0.1, or for another name; valid now, or until yesterday.
  static TlsIdentity make(const std::string& host = "127.0.0.1", bool expired = false);
};

}  // namespace imagebuild::fakes
