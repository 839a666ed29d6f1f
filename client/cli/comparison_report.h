#ifndef PRECIS_CLIENT_CLI_COMPARISON_REPORT_H_
#define PRECIS_CLIENT_CLI_COMPARISON_REPORT_H_

// What `precis compare` found, as JSON, with a recommendation. The text and the page render it.

#include <optional>
#include <vector>

#include "client/cli/command.h"
#include "precis/types.h"
#include "stats/comparison.h"

namespace precis::cli {

// Losing fewer points of accuracy than this is acceptable.
inline constexpr double kAccuracyMargin = 0.01;
// Without labels: the mean cosine with the reference's outputs that is close enough.
inline constexpr double kCosineFloor = 0.99;

// What is known of a variant beside its outputs.
struct VariantFacts {
  client::VariantStatus status;
  std::optional<double> compute_ms;  // mean time of a run on the server, without queue and wire
};

// {"baseline","samples","peak_bandwidth_bytes_per_second","variants":[…],"recommendation":{variant,sentence,doubt}}: of the
// variants not shown to be worse than the reference (by kAccuracyMargin with labels, below kCosineFloor without), the fastest
// at the median. `facts` in the order of the variants; at least one sample. `peak_bandwidth`: the server's, bytes per second; 0:
// not known.
Json ReportComparison(const stats::Comparison& comparison, const std::vector<VariantFacts>& facts,
                      double peak_bandwidth);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_COMPARISON_REPORT_H_
