#include "http/cpprest_tls.h"

#include <boost/asio/ssl.hpp>

namespace imagebuild::http {
namespace {

constexpr const char* kSystemBundle = "/etc/ssl/certs/ca-certificates.crt";

void free_verdict(void*, void* holder, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<VerdictHolder*>(holder);
}

int verdict_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_verdict);
  return index;
}

std::string reason_text(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "is not valid yet (is this machine's clock right?)";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:  // Another authority of the same name.
      return "is signed by an authority that is not trusted here";
    case X509_V_OK:
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
    case X509_V_ERR_UNSPECIFIED:
      return "is for another host name";  // The check of the name is asio's, which sets no reason.
    default:
      return std::string("was refused: ") + X509_verify_cert_error_string(error);
  }
}

int verify_and_remember(X509_STORE_CTX* store, void*) {
  const int good = X509_verify_cert(store);
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* holder = static_cast<VerdictHolder*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), verdict_index()));
  if (holder != nullptr) (*holder)->set(good == 1 ? "" : reason_text(X509_STORE_CTX_get_error(store)));
  return good;
}

}  // namespace

void prepare_tls(boost::asio::ssl::context& context, const CpprestOptions& options, const VerdictHolder& verdict) {
  using boost::asio::buffer;
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  if (!options.skip_verify) {
    if (options.ca_pem.empty()) {
      boost::system::error_code ignored;  // Without a bundle nothing is trusted, and the handshake says so.
      context.load_verify_file(kSystemBundle, ignored);
    } else {
      SSL_CTX_set_cert_store(native, X509_STORE_new());
      context.add_certificate_authority(buffer(options.ca_pem));
    }
    SSL_CTX_set_ex_data(native, verdict_index(), new VerdictHolder(verdict));
    SSL_CTX_set_cert_verify_callback(native, verify_and_remember, nullptr);
  }
  if (options.client_cert_pem.empty()) return;
  context.use_certificate_chain(buffer(options.client_cert_pem));
  context.use_private_key(buffer(options.client_key_pem), boost::asio::ssl::context::pem);
}

}  // namespace imagebuild::http
