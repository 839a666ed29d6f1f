#ifndef PRECIS_SERVER_APP_TLS_H_
#define PRECIS_SERVER_APP_TLS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "grpcpp/security/server_credentials.h"
#include "server/config/server_options.h"

namespace precis::server {

// What gRPC's port is served with: plain TCP without files, TLS 1.2 and 1.3 with them. The files are looked at every second,
// and connections made after a change see the new ones; files that do not fit each other refuse connections until they do.
// Errors: NotFound for a file that cannot be read, InvalidArgument for one that is not PEM, for a key with a password, and
// for a certificate that is not the key's.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const TlsFiles& files);

}  // namespace precis::server

#endif  // PRECIS_SERVER_APP_TLS_H_
