#ifndef PRECIS_LOADTEST_SETTINGS_H_
#define PRECIS_LOADTEST_SETTINGS_H_

// The command line of precis_loadtest. One scenario of a scenario file is the same flags again.

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "loadtest/requests.h"
#include "loadtest/run.h"
#include "precis/client.h"

namespace precis::loadtest {

// --rate: calls per second, or a share of what the server can do.
struct Rate {
  double per_second = 0;
  double of_capacity = 0;  // 0.7 for "70%"; then per_second is not known yet
};
// "120", "120/s", "70%". Nothing when it is none of them.
std::optional<Rate> ParseRate(const std::string& text);

struct Settings {
  // Where to, and what.
  std::string target = "localhost:8001", model;
  std::string against_target, against_model;  // both empty: one side alone
  client::TlsOptions tls;
  absl::Duration timeout = absl::Seconds(30);
  std::optional<absl::Duration> wait_ready;
  int retries = 0, connections = 1;
  RequestSource source;
  // How.
  Load load;
  std::optional<Rate> rate;
  int capacity_clients = 8;
  RunOptions run;
  absl::Duration slice = absl::Seconds(1);
  std::optional<absl::Duration> search_p99;
  double search_precision = 0.02;
  // Output, and where further flags are.
  bool json = false, csv = false;
  std::string scenarios;

  bool side_by_side() const { return !against_target.empty() || !against_model.empty(); }
};

// Reads a command line, without the program's name, over what `settings` holds. Returns nothing when the program shall go on;
// otherwise the exit code, after --help to `out` or an error to `err`. Flags that do not go together are UsageErrors.
absl::StatusOr<std::optional<int>> ParseCommandLine(std::vector<std::string> flags, Settings* settings,
                                                    std::ostream& out, std::ostream& err);

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_SETTINGS_H_
