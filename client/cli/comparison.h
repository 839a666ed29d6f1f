#ifndef PRECIS_CLIENT_CLI_COMPARISON_H_
#define PRECIS_CLIENT_CLI_COMPARISON_H_

// What precision costs: the outputs of several variants on the same samples, held against those of the first one.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "precis/types.h"

namespace precis::cli {

// One variant's measures. Percentages are 0 to 100.
struct ComparisonRow {
  std::optional<double> top1;  // % of labelled samples whose largest value is the label's
  double agreement = 0;        // % of predictions equal to the baseline's
  double sqnr_db = 0;          // 10 log10(sum of baseline^2 / sum of difference^2) over all values; inf when equal
  double cosine = 0;           // mean over the samples of the cosine between the two outputs
  double latency_ms_p50 = 0, latency_ms_p99 = 0;
  int64_t samples = 0;
};

// A prediction is the place of the largest value along the last dimension of the first output that is longer than one;
// agreement counts each of them, top-1 only outputs that make one prediction. Not thread-safe.
class Comparison {
 public:
  explicit Comparison(size_t variants) : rows_(variants) {}

  // The responses of all variants to one sample, the baseline's first, and how long each took. Internal: the variants'
  // outputs differ in number, type or size.
  absl::Status Add(const std::vector<client::InferResponse>& responses, const std::vector<double>& latency_ms,
                   std::optional<int64_t> label);

  // One row per variant. At least one sample must have been added.
  std::vector<ComparisonRow> Rows() const;

 private:
  struct Sums {
    int64_t samples = 0, labelled = 0, correct = 0, predictions = 0, agreeing = 0;
    double signal = 0, noise = 0, cosine = 0;
    std::vector<double> latency_ms;
  };
  std::vector<Sums> rows_;
};

// Largest values' places along the last dimension longer than one.
std::vector<int64_t> Predictions(const std::vector<float>& values, const std::vector<int64_t>& shape);

// The smallest value with at least `percent` of the values at or below it. Requires at least one value.
double Percentile(std::vector<double> values, double percent);

}  // namespace precis::cli

#endif  // PRECIS_CLIENT_CLI_COMPARISON_H_
