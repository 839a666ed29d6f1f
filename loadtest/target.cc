#include "loadtest/target.h"

#include "client/cli/exit_code.h"
#include "engine/base/status_macros.h"

namespace precis::loadtest {

absl::StatusOr<Target> OpenTarget(const Settings& settings, const std::string& address, const std::string& model) {
  client::ClientOptions options;
  options.target = address;
  options.deadline = settings.timeout;
  options.tls = settings.tls;
  // Questions ahead of the load are retried as usual; the load itself only as --retries says.
  absl::StatusOr<std::unique_ptr<Client>> client = Client::Connect(options);
  if (!client.ok()) return cli::UsageError(std::string(client.status().message()));
  if (settings.wait_ready) PRECIS_RETURN_IF_ERROR((*client)->WaitUntilServing(*settings.wait_ready));
  Target target{address, model, nullptr, {}};
  PRECIS_ASSIGN_OR_RETURN(target.requests, MakeRequests(**client, model, settings.source));
  options.retry.max_attempts = 1 + settings.retries;
  PRECIS_ASSIGN_OR_RETURN(target.caller, InferCaller::Connect(options, settings.connections));
  return target;
}

}  // namespace precis::loadtest
