#ifndef PRECIS_ENGINE_SEARCH_REPORT_H_
#define PRECIS_ENGINE_SEARCH_REPORT_H_

// What a search for mixed precision measured and chose. Times are microseconds on the machine and threads that searched.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/quant/policy.h"

namespace precis::search {

// A layer at one candidate precision, in a network that runs at this precision throughout.
struct LayerOption {
  quant::Precision precision = quant::Precision::kF32;
  double time_us = 0;
  int64_t weight_bytes = 0;
};

struct LayerFinding {
  std::string name;
  quant::Precision chosen = quant::Precision::kF32;
  // Of the network's worst output with this layer alone at Report::coarsest and everything else in f32; +infinity: no difference.
  double sqnr_db = 0;
  std::optional<double> top1_disagreement;  // share of predictions; none where no output holds class scores
  std::vector<LayerOption> options;
};

// A network that was compiled and run.
struct Point {
  std::map<quant::Precision, int> layers;  // how many at each precision
  double sqnr_db = 0;                      // of the worst output, over Report::samples; +infinity: equal to f32
  double sqnr_low_db = 0;                  // lower end of its 95 % interval: what the budget is held against
  std::optional<double> top1_disagreement;
  double expected_sqnr_db = 0;  // by the sum of the layers' noises; that of a uniform network is as measured
  double expected_us = 0;       // the sum of the layers' and borders' times: what the search compares
  double time_us = 0;           // of the whole network's runs
  int64_t weight_bytes = 0;     // read per run
  bool meets_budget = false;
  bool is_pareto = false;  // no other point has at least its SQNR at less of the objective
  bool chosen = false;
};

struct Report {
  quant::MixedPolicy budget;  // as searched for: defaults filled in
  quant::Precision coarsest = quant::Precision::kInt8;
  int64_t samples = 0, sensitivity_samples = 0;
  bool budget_met = false;
  std::string reason;  // why the budget is not met; empty otherwise
  std::vector<LayerFinding> layers;
  std::vector<Point> points;  // by falling SQNR
};

}  // namespace precis::search

#endif  // PRECIS_ENGINE_SEARCH_REPORT_H_
