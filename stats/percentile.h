#ifndef PRECIS_STATS_PERCENTILE_H_
#define PRECIS_STATS_PERCENTILE_H_

#include <vector>

namespace precis::stats {

// The smallest value with at least `percent` (0 to 100) of the values at or below it: the nearest rank. Requires at least one
// value.
double Percentile(std::vector<double> values, double percent);

}  // namespace precis::stats

#endif  // PRECIS_STATS_PERCENTILE_H_
