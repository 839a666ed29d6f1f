#ifndef PRECIS_SERVER_CONFIG_TRAFFIC_H_
#define PRECIS_SERVER_CONFIG_TRAFFIC_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "precis/v1/policy.pb.h"

namespace precis::server {

// What a traffic configuration says whatever is loaded: every variant once, percentages from 0 that sum to 100, rates in [0, 1], a
// sticky parameter that requests may carry. Errors: InvalidArgument naming the field and the variant.
absl::Status CheckTraffic(const v1::Traffic& traffic);

// The variants that it names, each once, those of the split first.
std::vector<std::string> VariantsOf(const v1::Traffic& traffic);

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_TRAFFIC_H_
