#ifndef PRECIS_STATS_FIDELITY_H_
#define PRECIS_STATS_FIDELITY_H_

// How faithful a variant's outputs are to a reference's on the same samples: SQNR, cosine, agreement of predictions, largest
// error. A stream of any length in constant memory; accumulators merge (one per worker, or one per slice of time). Not
// thread-safe.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stats/interval.h"
#include "stats/running.h"

namespace precis::stats {

// Predictions of an output: where the largest value stands along the last dimension that is longer than one, for each place
// of the dimensions before it. NaN never is the largest; -1 where all are NaN.
std::vector<int64_t> Predictions(std::span<const float> values, std::span<const int64_t> shape);

// One sample's difference. Add what belongs together: one output, or all of a sample's outputs in turn.
struct SampleDifference {
  double signal = 0, noise = 0;  // sums of reference^2 and of (reference - value)^2
  double energy = 0, dot = 0;    // sums of value^2 and of reference * value
  double max_abs_error = 0;
  int64_t predictions = 0, agreeing = 0;
  bool finite = true;  // false: a value is infinite or NaN where the other side's is something else

  // Sums over one output; both sides have the same number of values. Values not finite but equal on both sides count as
  // no error and no signal.
  void AddValues(std::span<const float> reference, std::span<const float> values);
  // Predictions of the output that decides, as many on both sides.
  void AddPredictions(std::span<const int64_t> reference, std::span<const int64_t> values);
  // Cosine of the angle between the two sides; 1 when both are zero, 0 when one is.
  double Cosine() const;
};

class Fidelity {
 public:
  void Add(const SampleDifference& sample);
  void Merge(const Fidelity& other);

  int64_t samples() const { return samples_; }
  // Samples with values that are not finite: left out of the sums behind SqnrDb, Cosine and MaxAbsError, not of agreement.
  int64_t nonfinite_samples() const { return nonfinite_samples_; }

  // 10 log10(sum of signal / sum of noise) over all samples; +infinity without noise. The interval is the normal one over
  // the samples' (signal, noise) pairs.
  Estimate SqnrDb() const { return signal_noise_.RatioDb(); }
  // Mean over the samples, normal interval within [-1, 1].
  Estimate Cosine() const;
  // Share of predictions equal to the reference's, in [0, 1], with its Wilson interval. Predictions of one sample are not
  // independent, so the interval takes each sample for one trial.
  Estimate Agreement() const;
  double MaxAbsError() const { return max_abs_error_; }

 private:
  int64_t samples_ = 0, nonfinite_samples_ = 0, predictions_ = 0, agreeing_ = 0;
  RunningPair signal_noise_;
  RunningMean cosine_;
  double max_abs_error_ = 0;
};

}  // namespace precis::stats

#endif  // PRECIS_STATS_FIDELITY_H_
