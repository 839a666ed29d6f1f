#ifndef PRECIS_SERVER_MODELS_TRAFFIC_ROUTE_H_
#define PRECIS_SERVER_MODELS_TRAFFIC_ROUTE_H_

// Which of a model version's loaded variants answers a request for the plain model name.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "precis/v1/policy.pb.h"

namespace precis::server {

class ServedVariant;

// The hash of a sticky parameter's value: FNV-1a, 64 bits. The same on every machine, in every process, for ever.
uint64_t StickyHash(std::string_view value);

// Immutable: made anew when the traffic or what is loaded changes.
class TrafficRoute {
 public:
  struct Candidate {
    std::string variant;
    ServedVariant* served;  // not owned
  };

  // Nothing is loaded.
  TrafficRoute() = default;
  // `loaded` are the variants that can answer. `fallback`, one of them or null, answers when the split is empty or names none of
  // them; otherwise the shares of variants that are not loaded go to the others, in proportion to theirs.
  TrafficRoute(const v1::Traffic& traffic, const std::vector<Candidate>& loaded, ServedVariant* fallback);

  // The request parameter whose value decides; empty: none does.
  const std::string& sticky_parameter() const { return sticky_parameter_; }
  // Variants of the split with a share that are not loaded.
  const std::vector<std::string>& missing() const { return missing_; }
  // What the plain name means where no request is routed (descriptions, readiness): the variant of the largest share. Null:
  // nothing is loaded.
  ServedVariant* primary() const { return primary_; }

  // The variant for the request number `count` of those without a sticky parameter. Consecutive numbers spread over the shares as
  // evenly as the shares allow. Null: nothing is loaded.
  ServedVariant* Choose(uint64_t count) const;
  // The variant for all requests whose parameter has this hash. The order of the split does not matter, and when a share changes or a
  // variant comes or goes, only as many values change their variant as have to.
  ServedVariant* ChooseSticky(uint64_t hash) const;

 private:
  struct Share {
    ServedVariant* served;
    double weight;
    uint64_t seed;   // of its name
    uint64_t upper;  // end of its part of [0, 2^64); the last one's is the largest number
  };

  std::string sticky_parameter_;
  std::vector<std::string> missing_;
  std::vector<Share> shares_;  // loaded, with a weight above 0; fewer than two: primary_ answers all
  ServedVariant* primary_ = nullptr;
};

}  // namespace precis::server

#endif  // PRECIS_SERVER_MODELS_TRAFFIC_ROUTE_H_
