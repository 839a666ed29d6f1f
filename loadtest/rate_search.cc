#include "loadtest/rate_search.h"

#include <algorithm>

namespace precis::loadtest {
namespace {

// So far below the first rate the bound is out of reach: a call alone does not keep it.
constexpr double kHopeless = 1.0 / 256;

}  // namespace

RateSearch::RateSearch(double first, double precision) : first_(first), precision_(precision) {}

bool RateSearch::IsNarrow() const {
  return failed_ && !kept_.empty() && *failed_ - kept_.back() <= precision_ * kept_.back();
}

std::optional<double> RateSearch::Next() const {
  if (confirmed_) return std::nullopt;
  if (!failed_) return kept_.empty() ? first_ : 2 * kept_.back();
  if (IsNarrow()) return kept_.back();
  const double next = ((kept_.empty() ? 0 : kept_.back()) + *failed_) / 2;
  if (kept_.empty() && next < kHopeless * first_) return std::nullopt;
  return next;
}

void RateSearch::Report(bool kept) {
  const double rate = *Next();
  if (IsNarrow()) {  // the second trial
    confirmed_ = kept;
    if (!kept) {
      failed_ = rate;
      kept_.pop_back();
    }
  } else if (kept) {
    kept_.push_back(rate);
  } else {
    failed_ = rate;
  }
}

}  // namespace precis::loadtest
