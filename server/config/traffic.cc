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
constexpr char kDefaultBaseline[] = "fp32";

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

absl::Status CheckDrift(const v1::DriftPolicy& drift) {
  if (!drift.baseline().empty()) PRECIS_RETURN_IF_ERROR(CheckNamePart(drift.baseline(), "drift field baseline"));
  std::set<std::string> seen = {drift.baseline().empty() ? kDefaultBaseline : drift.baseline()};
  for (const v1::DriftAlert& alert : drift.alerts()) {
    const auto bad = [&alert](absl::string_view field, absl::string_view what) {
      return absl::InvalidArgumentError(
          absl::StrCat("drift field alerts.", field, " of variant \"", alert.variant(), "\": ", what));
    };
    PRECIS_RETURN_IF_ERROR(CheckNamePart(alert.variant(), "drift field alerts.variant"));
    if (!seen.insert(alert.variant()).second) return bad("variant", "twice, or the baseline");
    if (!alert.has_min_sqnr_db() && !alert.has_min_top1_agreement() && !alert.has_max_clipped_ratio() &&
        !alert.has_max_psi()) {
      return bad("min_sqnr_db", "neither it nor min_top1_agreement, max_clipped_ratio or max_psi is set");
    }
    if (!std::isfinite(alert.min_sqnr_db())) return bad("min_sqnr_db", "want a number");
    if (!(alert.min_top1_agreement() >= 0 && alert.min_top1_agreement() <= 1)) {
      return bad("min_top1_agreement", absl::StrCat(alert.min_top1_agreement(), ", want 0 to 1"));
    }
    if (!(alert.max_clipped_ratio() >= 0 && alert.max_clipped_ratio() <= 1)) {
      return bad("max_clipped_ratio", absl::StrCat(alert.max_clipped_ratio(), ", want 0 to 1"));
    }
    if (!(alert.max_psi() >= 0)) return bad("max_psi", absl::StrCat(alert.max_psi(), ", want at least 0"));
    if (alert.min_samples() < 0) return bad("min_samples", "negative");
  }
  return absl::OkStatus();
}

std::string BaselineOf(const v1::ModelPrecision& precision) {
  return precision.drift().baseline().empty() ? kDefaultBaseline : precision.drift().baseline();
}

v1::DriftAlert AlertOf(const v1::ModelPrecision& precision, const std::string& variant) {
  for (const v1::DriftAlert& alert : precision.drift().alerts()) {
    if (alert.variant() == variant) return alert;
  }
  return {};
}

bool MoveShare(const std::string& from, const std::string& to, v1::Traffic* traffic) {
  const auto find = [traffic](const std::string& variant) -> v1::Traffic::Share* {
    for (auto& share : *traffic->mutable_split()) {
      if (share.variant() == variant) return &share;
    }
    return nullptr;
  };
  if (find(from) == nullptr || find(from)->percent() <= 0) return false;
  if (find(to) == nullptr) traffic->add_split()->set_variant(to);
  find(to)->set_percent(find(to)->percent() + find(from)->percent());
  find(from)->set_percent(0);
  return true;
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
