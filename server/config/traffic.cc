// Checks of precis.v1.Traffic that need no server.

#include "server/config/traffic.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/config/model_name.h"

namespace precis::server {
namespace {

// Shares written with decimals, such as 33.3, 33.3 and 33.4, sum to 100 up to rounding.
constexpr double kPercentTolerance = 1e-6;
constexpr char kOwnPrefix[] = "precis_";

absl::Status Bad(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("traffic field ", field, ": ", what));
}

absl::Status CheckVariant(absl::string_view field, const std::string& variant, std::set<std::string>* seen) {
  PRECIS_RETURN_IF_ERROR(CheckNamePart(variant, absl::StrCat("traffic field ", field, ": variant name")));
  if (!seen->insert(variant).second) return Bad(field, absl::StrCat("variant \"", variant, "\" twice"));
  return absl::OkStatus();
}

absl::Status CheckSplit(const v1::Traffic& traffic) {
  std::set<std::string> seen;
  double sum = 0;
  for (const auto& share : traffic.split()) {
    PRECIS_RETURN_IF_ERROR(CheckVariant("split", share.variant(), &seen));
    if (!(share.percent() >= 0 && share.percent() <= 100)) {
      return Bad("split", absl::StrCat("variant \"", share.variant(), "\": ", share.percent(), " %, want 0 to 100"));
    }
    sum += share.percent();
  }
  if (traffic.split_size() > 0 && std::abs(sum - 100) > kPercentTolerance) {
    return Bad("split", absl::StrCat("the shares sum to ", sum, ", want 100"));
  }
  return absl::OkStatus();
}

absl::Status CheckShadow(const v1::Traffic& traffic) {
  std::set<std::string> seen;
  for (const auto& shadow : traffic.shadow()) {
    PRECIS_RETURN_IF_ERROR(CheckVariant("shadow", shadow.variant(), &seen));
    if (!(shadow.rate() >= 0 && shadow.rate() <= 1)) {
      return Bad("shadow", absl::StrCat("variant \"", shadow.variant(), "\": rate ", shadow.rate(), ", want 0 to 1"));
    }
    if (shadow.rate() > 0) return absl::UnimplementedError("traffic field shadow: a rate above 0 is not implemented");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTraffic(const v1::Traffic& traffic) {
  PRECIS_RETURN_IF_ERROR(CheckSplit(traffic));
  PRECIS_RETURN_IF_ERROR(CheckShadow(traffic));
  if (absl::StartsWith(traffic.sticky_parameter(), kOwnPrefix)) {
    return Bad("sticky_parameter", absl::StrCat("\"", traffic.sticky_parameter(),
                                                "\": names of requests' parameters do "
                                                "not begin with ",
                                                kOwnPrefix));
  }
  return absl::OkStatus();
}

std::vector<std::string> VariantsOf(const v1::Traffic& traffic) {
  std::vector<std::string> names;
  const auto add = [&names](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const auto& share : traffic.split()) add(share.variant());
  for (const auto& shadow : traffic.shadow()) add(shadow.variant());
  return names;
}

}  // namespace precis::server
