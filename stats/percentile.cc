#include "stats/percentile.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace precis::stats {

double Percentile(std::vector<double> values, double percent) {
  const double rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
  const size_t index = static_cast<size_t>(std::max(rank, 1.0)) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(index), values.end());
  return values[index];
}

}  // namespace precis::stats
