#ifndef PRECIS_ENGINE_SEARCH_SOLVER_H_
#define PRECIS_ENGINE_SEARCH_SOLVER_H_

// Which of its candidates each layer gets: least cost under a bound on the sum of the layers' noises. Noises add up (they are independent
// errors of about zero mean; HAWQ and ZeroQ search under the same assumption), costs need not: a border between two precisions costs too.

#include <functional>
#include <vector>

namespace precis::search {

// Per layer, the index of a candidate.
using Assignment = std::vector<int>;

struct Problem {
  std::vector<std::vector<double>> noise;  // [layer][candidate], >= 0
  std::vector<std::vector<int>> allowed;   // [layer]: candidates it may take, at least one
  std::function<double(const Assignment&)> cost;
};

double NoiseOf(const Problem& problem, const Assignment& assignment);

// Assignments of falling noise, from every layer's noisiest candidate to its most exact: at each step the run of up to four neighbours (by
// layer index, so that a step may pay for two borders with more than one layer) whose change removes the most noise per added cost.
std::vector<Assignment> GreedyPath(const Problem& problem);

// The cheapest assignment found whose noise is at most `max_noise`, or the least noisy one when there is none: the cheapest
// points of `path`, improved by exchanges until none helps.
Assignment Cheapest(const Problem& problem, const std::vector<Assignment>& path, double max_noise);

}  // namespace precis::search

#endif  // PRECIS_ENGINE_SEARCH_SOLVER_H_
