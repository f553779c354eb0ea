#include "fakes/tls_identity.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cctype>
#include <cstdlib>
#include <memory>

namespace imagebuild::fakes {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

constexpr long kDay = 24 * 60 * 60;

template <class Write>
std::string to_pem(const Write& write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), BIO_free);
  if (!memory || write(memory.get()) != 1) std::abort();
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr || X509_add_ext(certificate, extension, -1) != 1) std::abort();
  X509_EXTENSION_free(extension);
}

Certificate make_certificate(EVP_PKEY* key, const std::string& name, long serial, long first, long last) {
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), first);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), last);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

}  // namespace

TlsIdentity TlsIdentity::make(const std::string& host, bool expired) {
  const Key ca_key(EVP_EC_gen("P-256"), EVP_PKEY_free), key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  if (!ca_key || !key) std::abort();
  const Certificate ca = make_certificate(ca_key.get(), "test authority", 1, -2 * kDay, 2 * kDay);
  X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get()));
  add_extension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign");
  if (X509_sign(ca.get(), ca_key.get(), EVP_sha256()) == 0) std::abort();

  const Certificate leaf = make_certificate(key.get(), "test server", 2, -2 * kDay, expired ? -kDay : 2 * kDay);
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(ca.get()));
  const bool is_address = std::isdigit(static_cast<unsigned char>(host.front())) != 0;
  add_extension(leaf.get(), ca.get(), NID_subject_alt_name, (is_address ? "IP:" : "DNS:") + host);
  if (X509_sign(leaf.get(), ca_key.get(), EVP_sha256()) == 0) std::abort();

  const auto pem_of = [](X509* certificate) {
    return to_pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
  };
  return {.ca_pem = pem_of(ca.get()),
          .cert_pem = pem_of(leaf.get()),
          .key_pem = to_pem([&](BIO* out) {
            return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace imagebuild::fakes
