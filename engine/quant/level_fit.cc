// Both fits are exact. Nearness is that of the numbers themselves, of powers of two as well: a layer's output noise grows with the squared
// error. By nearness of logarithms, as in arXiv:1603.01025, Gaussian weights of 4 bits would keep 13.9 dB instead of 14.2.
#include "engine/quant/level_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>

namespace precis::quant {
namespace {

constexpr float kSmallestScale = std::numeric_limits<float>::min();

// What the weights of one scale look like to a codebook: x in [0, 2 * max_level], in halves, where the middles between levels lie.
struct Halves {
  std::vector<double> count, sum;  // of the x in [h / 2, (h + 1) / 2)

  Halves(std::span<const float> weights, float scale, int max_level)
      : count(static_cast<size_t>(4 * max_level + 1)), sum(count.size()) {
    for (const float w : weights) {
      const double x = std::clamp(static_cast<double>(w) / scale + max_level, 0.0, 2.0 * max_level);
      const auto h = static_cast<size_t>(2 * x);
      count[h] += 1;
      sum[h] += x;
    }
  }
};

// Levels that some x is nearest to, counted from 0.
std::vector<size_t> NearestOnes(const Halves& x) {
  std::vector<size_t> levels;
  for (size_t h = 0; h < x.count.size(); ++h) {
    const size_t nearest = (h + 1) / 2;
    if (x.count[h] > 0 && (levels.empty() || levels.back() != nearest)) levels.push_back(nearest);
  }
  return levels;
}

// The `count` levels with the least squared error, by dynamic programming. With every x on the last level l the error is
// sum (x - l)^2; each pair a < b of neighbours takes from it (b - a) * gain[a + b], where
//   gain[m] = sum of (m - 2 x) over x < m / 2,
// as an x below the middle that goes from b to a has (x - b)^2 - (x - a)^2 less. This is the p-median problem on a line, whose best
// predecessors ascend both with the level and with how many there are before it (F. F. Yao, "Speed-up in dynamic programming", 1982):
// so that all of them take time in the square of the levels, not in that times count.
std::vector<size_t> BestLevels(const Halves& x, size_t count) {
  std::vector<double> gain(x.count.size());
  double n = 0, sum = 0;
  for (size_t m = 0; m < gain.size(); ++m) {
    gain[m] = static_cast<double>(m) * n - 2 * sum;
    n += x.count[m];
    sum += x.sum[m];
  }
  const size_t levels = (x.count.size() + 1) / 2;
  std::vector<double> before(levels, 0.0), best(levels, 0.0);  // gains up to a level, with k before it
  std::vector<std::vector<size_t>> predecessor(count, std::vector<size_t>(levels, 0));
  for (size_t k = 1; k < count; ++k) {
    for (size_t b = levels - 1; b >= k; --b) {
      const size_t low = std::max(predecessor[k - 1][b], k - 1);
      const size_t high = b + 1 < levels ? std::min(predecessor[k][b + 1], b - 1) : b - 1;
      best[b] = -1;
      for (size_t a = low; a <= std::max(low, high); ++a) {
        const double total = before[a] + static_cast<double>(b - a) * gain[a + b];
        if (total > best[b]) best[b] = total, predecessor[k][b] = a;
      }
    }
    std::swap(before, best);
  }
  size_t last = count - 1;
  const auto saved = [&](size_t l) {
    return before[l] +
           static_cast<double>(l) * (2 * sum - static_cast<double>(l) * n);  // and what does not depend on l
  };
  for (size_t l = last; l < levels; ++l) {
    if (saved(l) > saved(last)) last = l;
  }
  std::vector<size_t> chosen(count);
  for (size_t k = count; k-- > 0; last = predecessor[k][last]) chosen[k] = last;
  return chosen;
}

}  // namespace

// With each weight on some level, the best scale is sum(level * |w|) / sum(level^2), and what it takes from the error is
// sum(level * |w|)^2 / sum(level^2). As the scale shrinks from infinity weights step up one by one, the largest first: the best of the
// few assignments met is the best of all. Of ternary weights this is max over k of (sum of the k largest)^2 / k, of binary ones mean |w|.
LevelFit FitScale(std::span<const int> levels, std::span<float> magnitudes) {
  LevelFit fit;
  for (size_t l = levels.size(); l-- > 0;) fit.levels.push_back(static_cast<int8_t>(-levels[l]));
  for (const int level : levels) {
    if (level != 0) fit.levels.push_back(static_cast<int8_t>(level));
  }
  double dot = 0, squares = static_cast<double>(magnitudes.size()) * levels[0] * levels[0];  // of the assignment
  for (const float w : magnitudes) dot += levels[0] * static_cast<double>(w);
  double most = -1, scale = 0;
  const auto consider = [&] {
    if (squares == 0 || dot * dot / squares <= most) return;
    most = dot * dot / squares;
    scale = dot / squares;
  };
  consider();
  const size_t steps = levels.size() - 1, n = magnitudes.size();
  if (steps > 0) std::sort(magnitudes.begin(), magnitudes.end(), std::greater<>());
  constexpr size_t kMostSteps = 8;
  std::array<size_t, kMostSteps> next = {};  // per step up: the largest weight that has not made it
  std::array<float, kMostSteps> at = {};     // half of the scale at which it does
  const auto aim = [&](size_t s) {
    at[s] = next[s] < n ? magnitudes[next[s]] / static_cast<float>(levels[s] + levels[s + 1]) : -1;
  };
  for (size_t s = 0; s < steps; ++s) aim(s);
  for (size_t taken = 0; taken < steps * n; ++taken) {
    size_t s = 0;
    float largest = at[0];
    for (size_t k = 1; k < steps; ++k) {
      s = at[k] > largest ? k : s;
      largest = std::max(largest, at[k]);
    }
    const double low = levels[s], high = levels[s + 1];
    dot += (high - low) * static_cast<double>(magnitudes[next[s]++]);
    squares += high * high - low * low;
    aim(s);
    consider();
  }
  fit.scale = scale == 0 && levels[0] == 0 ? 1.0f : std::max(static_cast<float>(scale), kSmallestScale);
  return fit;
}

LevelFit FitCodebook(std::span<const float> weights, int count, int max_level) {
  float most = 0;
  for (const float w : weights) most = std::max(most, std::fabs(w));
  LevelFit fit;
  fit.scale = most > 0 ? std::max(most / static_cast<float>(max_level), kSmallestScale) : 1.0f;
  const Halves halves(weights, fit.scale, max_level);
  std::vector<size_t> chosen = NearestOnes(halves);
  if (chosen.size() > static_cast<size_t>(count)) chosen = BestLevels(halves, static_cast<size_t>(count));
  for (const size_t level : chosen) fit.levels.push_back(static_cast<int8_t>(static_cast<int>(level) - max_level));
  return fit;
}

int8_t NearestLevel(std::span<const int8_t> levels, float x) {
  const auto above = std::lower_bound(levels.begin(), levels.end(), x);
  if (above == levels.begin()) return levels.front();
  if (above == levels.end()) return levels.back();
  const int8_t below = *(above - 1);
  return x - static_cast<float>(below) < static_cast<float>(*above) - x ? below : *above;
}

}  // namespace precis::quant
