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

// The limits of drift alerts: each variant once, not the baseline; at least one limit each, ratios in [0, 1]. Errors: as CheckTraffic.
absl::Status CheckDrift(const v1::DriftPolicy& drift);

// The variant that drift is measured against.
std::string BaselineOf(const v1::ModelPrecision& precision);
// The variant's alert; one without limits where there is none.
v1::DriftAlert AlertOf(const v1::ModelPrecision& precision, const std::string& variant);

// Gives the variant's share to another one. False when it has none: then nothing changes.
bool MoveShare(const std::string& from, const std::string& to, v1::Traffic* traffic);

}  // namespace precis::server

#endif  // PRECIS_SERVER_CONFIG_TRAFFIC_H_
