// Without a sticky parameter requests follow a Weyl sequence: the fractions of n * golden ratio, the most evenly spread of all
// such sequences (H. Weyl, 1916), held as 64-bit fixed point; a variant has an interval of [0, 1) as long as its share.
//
// With one, variants bid for a value, and the highest bid wins: weighted rendezvous hashing (C. Schindelhauer and G. Schomaker,
// "Weighted Distributed Hash Tables", 2005: the smallest -ln(u) / weight with u uniform by value and variant wins each variant its
// weight's share). A variant that leaves only loses what it had won.

#include "server/models/traffic_route.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace precis::server {
namespace {

// 2^64 / golden ratio, made odd.
constexpr uint64_t kGoldenStep = 0x9E3779B97F4A7C15;

// Spreads every bit over all (finalizer of splitmix64: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number
// Generators", 2014). FNV-1a alone leaves the high bits of short strings alike.
uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9;
  x ^= x >> 27;
  x *= 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// Uniform in (0, 1).
double Fraction(uint64_t x) { return (static_cast<double>(x >> 11) + 0.5) * 0x1p-53; }

}  // namespace

uint64_t StickyHash(std::string_view value) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : value) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

TrafficRoute::TrafficRoute(const v1::Traffic& traffic, const std::vector<Candidate>& loaded, ServedVariant* fallback)
    : sticky_parameter_(traffic.sticky_parameter()), primary_(fallback) {
  double total = 0;
  for (const auto& share : traffic.split()) {
    if (share.percent() <= 0) continue;
    const auto candidate =
        std::find_if(loaded.begin(), loaded.end(), [&](const Candidate& c) { return c.variant == share.variant(); });
    if (candidate == loaded.end()) {
      missing_.push_back(share.variant());
      continue;
    }
    total += share.percent();
    shares_.push_back({candidate->served, share.percent(), StickyHash(share.variant()), 0});
  }
  double sum = 0;
  for (Share& share : shares_) {
    sum += share.weight / total;
    share.upper = sum >= 1 ? std::numeric_limits<uint64_t>::max() : static_cast<uint64_t>(std::ldexp(sum, 64));
  }
  if (shares_.empty()) return;
  shares_.back().upper = std::numeric_limits<uint64_t>::max();
  primary_ = std::max_element(shares_.begin(), shares_.end(), [](const Share& a, const Share& b) {
               return a.weight < b.weight;
             })->served;
}

ServedVariant* TrafficRoute::Choose(uint64_t count) const {
  if (shares_.size() < 2) return primary_;
  const uint64_t point = count * kGoldenStep;
  for (const Share& share : shares_) {
    if (point <= share.upper) return share.served;
  }
  return shares_.back().served;
}

ServedVariant* TrafficRoute::ChooseSticky(uint64_t hash) const {
  if (shares_.size() < 2) return primary_;
  ServedVariant* winner = nullptr;
  double best = std::numeric_limits<double>::infinity();
  for (const Share& share : shares_) {
    const double bid = -std::log(Fraction(Mix(hash ^ Mix(share.seed)))) / share.weight;
    if (bid < best) {
      best = bid;
      winner = share.served;
    }
  }
  return winner;
}

}  // namespace precis::server
