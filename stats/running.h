#ifndef PRECIS_STATS_RUNNING_H_
#define PRECIS_STATS_RUNNING_H_

// Means and their intervals from a stream of numbers, in constant memory. Accumulators of parts merge into that of the whole:
// T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
// Not thread-safe.

#include <cstdint>

#include "stats/interval.h"

namespace precis::stats {

// Pairs (x, y): means, variances, and the ratio of the means.
class RunningPair {
 public:
  void Add(double x, double y);
  void Merge(const RunningPair& other);

  int64_t count() const { return count_; }
  double mean_x() const { return mean_x_; }
  double mean_y() const { return mean_y_; }
  // Mean of x with its normal interval, mean +- 1.96 s / sqrt(n), from two samples on; 0 without samples.
  Estimate MeanX() const;
  // 10 log10(sum of x / sum of y) with its normal interval, by linearising the logarithm of the ratio around the means (the
  // delta method), from two samples on. +infinity when y sums to zero, -infinity when only x does, both without interval.
  Estimate RatioDb() const;

 private:
  int64_t count_ = 0;
  double mean_x_ = 0, mean_y_ = 0;
  double sum_xx_ = 0, sum_yy_ = 0, sum_xy_ = 0;  // of products of deviations from the means
};

// One stream: a mean with its interval.
class RunningMean {
 public:
  void Add(double x) { pair_.Add(x, 0); }
  void Merge(const RunningMean& other) { pair_.Merge(other.pair_); }
  int64_t count() const { return pair_.count(); }
  Estimate estimate() const { return pair_.MeanX(); }

 private:
  RunningPair pair_;
};

}  // namespace precis::stats

#endif  // PRECIS_STATS_RUNNING_H_
