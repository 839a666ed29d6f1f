#ifndef PRECIS_CLIENT_CLI_POLICY_FLAGS_H_
#define PRECIS_CLIENT_CLI_POLICY_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "client/cli/command.h"

namespace precis::cli {

// The flags by which a load says its precision policy: a file, or short flags for the fields that are asked for most.
class PolicyFlags {
 public:
  void Register(CLI::App* command);

  // The policy for `variant` as textproto; empty when no flag was given, so that the variant's name decides. Errors: UsageError.
  absl::StatusOr<std::string> PolicyFor(const std::string& variant) const;

 private:
  absl::StatusOr<std::string> ReadFile() const;

  std::string file_, precision_, objective_, weight_scheme_, calibration_, source_, accumulator_, outer_;
  std::optional<int> weight_bits_, weight_group_size_;
  std::optional<double> min_sqnr_db_, max_top1_disagreement_;
  std::optional<int64_t> sample_limit_;
  std::optional<int> chunk_size_;
  std::vector<std::string> candidates_, overrides_;
};

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_POLICY_FLAGS_H_
