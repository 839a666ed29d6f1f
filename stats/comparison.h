#ifndef PRECIS_STATS_COMPARISON_H_
#define PRECIS_STATS_COMPARISON_H_

// What precision costs: the outputs of several variants on the same samples, held against those of one of them.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "stats/fidelity.h"
#include "stats/interval.h"

namespace precis::stats {

// What one variant answered to one sample, and how long that took.
struct SampleOutputs {
  std::vector<std::vector<float>> values;  // one entry per output; at least one
  std::vector<int64_t> first_shape;        // of the first output, whose predictions count
  double latency_ms = 0;
};

// One variant's measures.
struct ComparisonRow {
  Fidelity fidelity;                  // against the reference, all outputs of a sample taken together
  int64_t labelled = 0, correct = 0;  // samples with a label and one prediction
  PairedOutcomes outcomes;            // of the labelled samples; A is the reference
  std::vector<double> latency_ms;     // in the order of the samples

  Estimate Top1() const { return RatioOf(correct, labelled); }
};

// Not thread-safe.
class Comparison {
 public:
  // `names` for messages; `reference` is the place of the variant that the others are held against.
  explicit Comparison(std::vector<std::string> names, size_t reference = 0);

  // What all variants answered to one sample, in the order of the names. Top-1 counts when there is a label and the first
  // output makes one prediction. Internal: the variants' outputs differ in number or size, or there are none.
  absl::Status Add(std::span<const SampleOutputs> outputs, std::optional<int64_t> label);

  // One per variant.
  const std::vector<ComparisonRow>& rows() const { return rows_; }
  const std::vector<std::string>& names() const { return names_; }
  size_t reference() const { return reference_; }

 private:
  std::vector<std::string> names_;
  size_t reference_;
  std::vector<ComparisonRow> rows_;
};

}  // namespace precis::stats

#endif  // PRECIS_STATS_COMPARISON_H_
