#ifndef PRECIS_ENGINE_SEARCH_SEARCH_H_
#define PRECIS_ENGINE_SEARCH_SEARCH_H_

// Mixed precision by sensitivity: which convolutions and matrix products of a network run at which of the candidate precisions.
//
// 1. The network at each candidate precision throughout is compiled, run on the samples and timed layer by layer.
// 2. Each layer alone is put at the coarsest candidate (int8, where it is one), all others staying f32: the noise that appears at the
//    outputs is the layer's. The noise of a finer candidate is that of its network in 1, shared out in proportion
//    to these.
// 3. Noises add up (independent errors; Dong et al., "HAWQ", ICCV 2019; Cai et al., "ZeroQ", CVPR 2020), costs are those of
//    cost_model.h, and solver.h finds the cheapest assignment under a bound on the noise.
// 4. What it finds is compiled and run on the samples. The ratio of the noise seen to the noise expected corrects the bound until the real
//    network keeps the budget and none that was found is cheaper. The budget's SQNR is held against the lower end of the 95 % interval of
//    what was measured, so that it also holds for samples of the same kind that the search has not seen.

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "engine/quant/policy.h"
#include "engine/quant/quantize.h"
#include "engine/search/compiler.h"
#include "engine/search/report.h"

namespace precis::search {

// A mixed policy that sets no budget searches under this one: noise of 0.3 % of the outputs' energy. bf16 throughout reaches 29 dB on
// MobileNetV2 and int8 22 dB: it asks for most of the accuracy between them at little more than int8's time.
inline constexpr double kDefaultMinSqnrDb = 25;

struct Found {
  quant::Policy policy;  // the given one with an override for every layer
  Report report;
};

// Searches for `policy` (precision kMixed) on `graph` (optimised, f32). Layers whose override sets a precision keep it; where that is so for
// all layers, the policy comes back as it is with an empty report. `progress` hears phase "search".
// A budget that cannot be kept is no error: the best network found comes back, and the report has the reason.
// Errors: InvalidArgument when max_top1_disagreement is set and no output holds class scores ([batch, classes], f32), or when the same
// policy has fewer than two candidates; those of the compiler and the samples.
absl::StatusOr<Found> Search(const ir::Graph& graph, const quant::Policy& policy, Compiler& compiler,
                             const quant::SampleSource& samples, const quant::Progress& progress);

}  // namespace precis::search

#endif  // PRECIS_ENGINE_SEARCH_SEARCH_H_
