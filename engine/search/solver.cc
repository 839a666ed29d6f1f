// A greedy path gives a good start for any bound; exchanges then remove what the greedy steps paid for and need no longer.
#include "engine/search/solver.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace precis::search {
namespace {

constexpr size_t kLongestRun = 4;
constexpr size_t kStarts = 4;        // points of the path that exchanges start from: each ends in an optimum of its own
constexpr int kMostExchanges = 200;  // each lowers the cost; a bound against endless small gains
// Exchanges of two layers look at every pair; beyond this many layers single changes must do.
constexpr size_t kMostLayersForPairs = 160;

bool Allows(const Problem& problem, size_t layer, int candidate) {
  const std::vector<int>& allowed = problem.allowed[layer];
  return std::find(allowed.begin(), allowed.end(), candidate) != allowed.end();
}

int Candidates(const Problem& problem) {
  int most = 0;
  for (const auto& allowed : problem.allowed) most = std::max(most, *std::max_element(allowed.begin(), allowed.end()));
  return most + 1;
}

// Calls `visit` with every assignment that differs from `from` in one run of neighbours set to one candidate.
template <typename Visit>
void ForEachChange(const Problem& problem, const Assignment& from, const Visit& visit) {
  const size_t layers = from.size();
  const int candidates = Candidates(problem);
  for (size_t first = 0; first < layers; ++first) {
    for (int c = 0; c < candidates; ++c) {
      Assignment to = from;
      for (size_t last = first; last < std::min(layers, first + kLongestRun); ++last) {
        if (!Allows(problem, last, c)) break;
        if (to[last] == c) continue;  // the run without it was visited
        to[last] = c;
        visit(to);
      }
    }
  }
}

// The cheapest single change within the bound; false when none is cheaper.
bool ImproveByChange(const Problem& problem, double max_noise, Assignment& assignment, double& cost) {
  Assignment best;
  ForEachChange(problem, assignment, [&](const Assignment& to) {
    if (NoiseOf(problem, to) > max_noise) return;
    if (const double c = problem.cost(to); c < cost) {
      cost = c;
      best = to;
    }
  });
  if (best.empty()) return false;
  assignment = best;
  return true;
}

// One layer up and another down.
bool ImproveByPair(const Problem& problem, double max_noise, Assignment& assignment, double& cost) {
  if (assignment.size() > kMostLayersForPairs) return false;
  const double noise = NoiseOf(problem, assignment);
  Assignment best, to = assignment;
  for (size_t a = 0; a < to.size(); ++a) {
    for (int ca : problem.allowed[a]) {
      if (ca == assignment[a]) continue;
      const double after =
          noise - problem.noise[a][static_cast<size_t>(assignment[a])] + problem.noise[a][static_cast<size_t>(ca)];
      to[a] = ca;
      for (size_t b = a + 1; b < to.size(); ++b) {
        for (int cb : problem.allowed[b]) {
          const double both =
              after - problem.noise[b][static_cast<size_t>(assignment[b])] + problem.noise[b][static_cast<size_t>(cb)];
          if (cb == assignment[b] || both > max_noise) continue;
          to[b] = cb;
          if (const double c = problem.cost(to); c < cost) {
            cost = c;
            best = to;
          }
        }
        to[b] = assignment[b];
      }
      to[a] = assignment[a];
    }
  }
  if (best.empty()) return false;
  assignment = best;
  return true;
}

}  // namespace

double NoiseOf(const Problem& problem, const Assignment& assignment) {
  double sum = 0;
  for (size_t l = 0; l < assignment.size(); ++l) sum += problem.noise[l][static_cast<size_t>(assignment[l])];
  return sum;
}

std::vector<Assignment> GreedyPath(const Problem& problem) {
  Assignment now;
  for (size_t l = 0; l < problem.allowed.size(); ++l) {
    now.push_back(*std::max_element(problem.allowed[l].begin(), problem.allowed[l].end(), [&](int a, int b) {
      return problem.noise[l][static_cast<size_t>(a)] < problem.noise[l][static_cast<size_t>(b)];
    }));
  }
  std::vector<Assignment> path = {now};
  for (;;) {
    const double noise = NoiseOf(problem, now), cost = problem.cost(now);
    double best_rate = 0;
    Assignment best;
    ForEachChange(problem, now, [&](const Assignment& to) {
      const double removed = noise - NoiseOf(problem, to);
      if (removed <= 0) return;
      const double added = problem.cost(to) - cost;
      const double rate = added > 0 ? removed / added : std::numeric_limits<double>::max() * std::min(1.0, removed);
      if (rate > best_rate) {
        best_rate = rate;
        best = to;
      }
    });
    if (best.empty()) return path;
    now = best;
    path.push_back(now);
  }
}

Assignment Cheapest(const Problem& problem, const std::vector<Assignment>& path, double max_noise) {
  std::vector<std::pair<double, const Assignment*>> starts;  // by cost
  for (const Assignment& assignment : path) {
    if (NoiseOf(problem, assignment) <= max_noise) starts.emplace_back(problem.cost(assignment), &assignment);
  }
  if (starts.empty()) {
    return *std::min_element(path.begin(), path.end(), [&](const Assignment& a, const Assignment& b) {
      return NoiseOf(problem, a) < NoiseOf(problem, b);
    });
  }
  std::sort(starts.begin(), starts.end());
  if (starts.size() > kStarts) starts.resize(kStarts);
  Assignment best;
  double best_cost = std::numeric_limits<double>::infinity();
  for (const auto& [start_cost, start] : starts) {
    Assignment assignment = *start;
    double cost = start_cost;
    for (int i = 0; i < kMostExchanges; ++i) {
      if (!ImproveByChange(problem, max_noise, assignment, cost) &&
          !ImproveByPair(problem, max_noise, assignment, cost))
        break;
    }
    if (cost < best_cost) {
      best_cost = cost;
      best = assignment;
    }
  }
  return best;
}

}  // namespace precis::search
