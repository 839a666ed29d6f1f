#include "engine/search/solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace precis::search {
namespace {

// Layers in a row with three candidates; noise and time fall and rise with precision, and unlike neighbours pay for a border.
struct RandomChain {
  RandomChain(int layers, uint32_t seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(0, 1);
    for (int l = 0; l < layers; ++l) {
      const double noise = std::pow(10, -4 * uniform(random)), time = 1 + 10 * uniform(random);
      problem.noise.push_back({noise, noise / 50, 0});
      problem.allowed.push_back({0, 1, 2});
      times.push_back({time, time * (1.2 + uniform(random)), time * (2 + uniform(random))});
      borders.push_back(2 * uniform(random));
    }
    problem.cost = [this](const Assignment& a) {
      double sum = 0;
      for (size_t l = 0; l < a.size(); ++l) {
        sum += times[l][static_cast<size_t>(a[l])];
        if (l > 0 && a[l] != a[l - 1]) sum += borders[l];
      }
      return sum;
    };
  }

  // The true optimum, by looking at everything.
  double LeastCost(double max_noise) const {
    const size_t layers = times.size();
    double least = std::numeric_limits<double>::infinity();
    Assignment a(layers, 0);
    for (;;) {
      if (NoiseOf(problem, a) <= max_noise) least = std::min(least, problem.cost(a));
      size_t l = 0;
      while (l < layers && a[l] == 2) a[l++] = 0;
      if (l == layers) return least;
      ++a[l];
    }
  }

  Problem problem;
  std::vector<std::vector<double>> times;
  std::vector<double> borders;
};

TEST(SolverTest, KeepsTheBoundAndComesCloseToTheOptimum) {
  double worst = 1, sum = 0;
  int cases = 0;
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    const RandomChain chain(8, seed);
    const auto path = GreedyPath(chain.problem);
    const double most = NoiseOf(chain.problem, path.front());
    for (double share : {0.5, 0.1, 0.02}) {
      const Assignment found = Cheapest(chain.problem, path, most * share);
      EXPECT_LE(NoiseOf(chain.problem, found), most * share);
      const double ratio = chain.problem.cost(found) / chain.LeastCost(most * share);
      worst = std::max(worst, ratio);
      sum += ratio;
      ++cases;
    }
  }
  EXPECT_LT(worst, 1.05);
  EXPECT_LT(sum / cases, 1.005);
}

TEST(SolverTest, ThePathFallsFromTheNoisiestToTheMostExact) {
  const RandomChain chain(12, 3);
  const auto path = GreedyPath(chain.problem);
  EXPECT_EQ(path.front(), Assignment(12, 0));
  EXPECT_EQ(path.back(), Assignment(12, 2));
  for (size_t i = 1; i < path.size(); ++i)
    EXPECT_LT(NoiseOf(chain.problem, path[i]), NoiseOf(chain.problem, path[i - 1]));
}

TEST(SolverTest, ABoundBelowEverythingGetsTheLeastNoise) {
  RandomChain chain(6, 4);
  for (auto& allowed : chain.problem.allowed) allowed = {0, 1};
  const auto path = GreedyPath(chain.problem);
  EXPECT_EQ(Cheapest(chain.problem, path, 0), Assignment(6, 1));
}

TEST(SolverTest, NeverLeavesWhatIsAllowed) {
  RandomChain chain(6, 5);
  chain.problem.allowed[2] = {0};
  chain.problem.allowed[4] = {2};
  const auto path = GreedyPath(chain.problem);
  for (double share : {1.0, 0.3, 0.01}) {
    const Assignment found = Cheapest(chain.problem, path, NoiseOf(chain.problem, path.front()) * share);
    EXPECT_EQ(found[2], 0);
    EXPECT_EQ(found[4], 2);
  }
}

// One noisy layer pays for two borders; taking its neighbours along costs less than the borders.
TEST(SolverTest, TakesNeighboursAlongWhereBordersCostMore) {
  Problem problem;
  problem.noise = {{0.001, 0}, {1, 0}, {0.001, 0}};
  problem.allowed = {{0, 1}, {0, 1}, {0, 1}};
  problem.cost = [](const Assignment& a) {
    return a[0] * 1.0 + a[1] * 1.0 + a[2] * 1.0 + 10.0 * (a[0] != a[1]) + 10.0 * (a[1] != a[2]);
  };
  EXPECT_EQ(Cheapest(problem, GreedyPath(problem), 0.01), Assignment({1, 1, 1}));
}

}  // namespace
}  // namespace precis::search
