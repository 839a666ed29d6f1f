// gRPC's file watcher reads the files again; it says nothing useful of files that are wrong from the start, so they are
// checked here by OpenSSL first.

#include "server/app/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace precis::server {
namespace {

constexpr unsigned kRefreshSeconds = 1;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

absl::StatusOr<std::string> ReadFile(const std::string& flag, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return absl::NotFoundError(absl::StrCat(flag, ": cannot read ", path));
  return text.str();
}

// Nobody is there to type a password.
int NoPassword(char*, int, int, void*) { return -1; }

// The first certificate of the file.
absl::StatusOr<Certificate> ReadCertificate(const std::string& flag, const std::string& path) {
  PRECIS_ASSIGN_OR_RETURN(const std::string text, ReadFile(flag, path));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
  ERR_clear_error();
  if (certificate == nullptr)
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", path, " holds no PEM certificate"));
  if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0) {
    LOG(WARNING) << flag << ": the certificate in " << path << " has expired";
  }
  return certificate;
}

absl::Status CheckKey(const X509& certificate, const TlsFiles& files) {
  PRECIS_ASSIGN_OR_RETURN(const std::string text, ReadFile("--tls_key", files.key_file));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  const bool fits = key != nullptr && X509_check_private_key(&certificate, key.get()) == 1;
  ERR_clear_error();
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("--tls_key: ", files.key_file, " holds no PEM private key without a password"));
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--tls_key: ", files.key_file, " is not the key of the certificate in ", files.cert_file));
}

absl::Status Check(const TlsFiles& files) {
  PRECIS_ASSIGN_OR_RETURN(const Certificate certificate, ReadCertificate("--tls_cert", files.cert_file));
  PRECIS_RETURN_IF_ERROR(CheckKey(*certificate, files));
  if (files.client_ca_file.empty()) return absl::OkStatus();
  return ReadCertificate("--tls_client_ca", files.client_ca_file).status();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TlsFiles& files) {
  if (files.cert_file.empty()) return grpc::InsecureServerCredentials();
  PRECIS_RETURN_IF_ERROR(Check(files));
  using namespace grpc::experimental;  // NOLINT: where gRPC 1.51 keeps all of this
  TlsServerCredentialsOptions options(std::make_shared<FileWatcherCertificateProvider>(
      files.key_file, files.cert_file, files.client_ca_file, kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (!files.client_ca_file.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return TlsServerCredentials(options);
}

}  // namespace precis::server
