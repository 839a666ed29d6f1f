// Turns ClientOptions into a gRPC channel. gRPC's own retries are off (client/retry.h has ours, which also retries
// requests too big for gRPC's replay buffer); its reconnect pauses follow the retry options, so that a retry finds a
// channel that has tried to connect again.

#include "client/channel.h"

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace precis::client {
namespace {

// gRPC gives every attempt to connect at least this long: far machines and busy ones shake hands for some hundred milliseconds.
constexpr int kConnectTimeoutMs = 1000;

// A target with a scheme (dns:///precis:8001, ipv4:A:8001,B:8001) stands for all of its addresses, a plain HOST:PORT for one
// server, which may have several.
bool NamesReplicas(const std::string& target) { return target.starts_with("dns:") || target.starts_with("ipv"); }

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return absl::NotFoundError(absl::StrCat("cannot read TLS file ", path));
  return text.str();
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const TlsOptions& tls) {
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    return absl::InvalidArgumentError("tls.cert_file and tls.key_file belong together");
  }
  if (!tls.use_tls && tls.ca_file.empty()) {
    if (!tls.cert_file.empty()) return absl::InvalidArgumentError("tls.cert_file is given, but TLS is not used");
    return grpc::InsecureChannelCredentials();
  }
  grpc::SslCredentialsOptions options;
  const std::pair<const std::string&, std::string&> files[] = {{tls.ca_file, options.pem_root_certs},
                                                               {tls.cert_file, options.pem_cert_chain},
                                                               {tls.key_file, options.pem_private_key}};
  for (const auto& [path, content] : files) {
    if (path.empty()) continue;
    absl::StatusOr<std::string> read = ReadFile(path);
    if (!read.ok()) return read.status();
    content = *std::move(read);
  }
  return grpc::SslCredentials(options);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ClientOptions& options) {
  if (options.target.empty()) return absl::InvalidArgumentError("target is empty, want HOST:PORT");
  absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials = MakeCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // the server bounds what it sends
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // connections of its own for every channel
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.retry.initial_backoff)));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.retry.max_backoff)));
  if (NamesReplicas(options.target)) arguments.SetLoadBalancingPolicyName("round_robin");
  if (!options.tls.server_name.empty()) arguments.SetSslTargetNameOverride(options.tls.server_name);
  return grpc::CreateCustomChannel(options.target, *credentials, arguments);
}

absl::Status ToAbslStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace precis::client
