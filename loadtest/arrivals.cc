#include "loadtest/arrivals.h"

namespace precis::loadtest {

ArrivalProcess::ArrivalProcess(Arrivals kind, double rate, uint64_t seed) : kind_(kind), rate_(rate), engine_(seed) {}

std::chrono::nanoseconds ArrivalProcess::Next() {
  seconds_ += kind_ == Arrivals::kPoisson ? std::exponential_distribution<double>(rate_)(engine_) : 1 / rate_;
  return std::chrono::nanoseconds(static_cast<int64_t>(seconds_ * 1e9));
}

}  // namespace precis::loadtest
