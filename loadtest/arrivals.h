#ifndef PRECIS_LOADTEST_ARRIVALS_H_
#define PRECIS_LOADTEST_ARRIVALS_H_

#include <chrono>
#include <cstdint>
#include <random>

namespace precis::loadtest {

// When the requests of an open loop begin: at a rate that does not ask how the server is doing.
enum class Arrivals {
  kPoisson,  // independent users: exponential gaps
  kUniform,  // a metronome: equal gaps
};

class ArrivalProcess {
 public:
  // `rate` per second, above 0. Equal seeds give equal arrivals.
  ArrivalProcess(Arrivals kind, double rate, uint64_t seed);

  // From the beginning to the next arrival; never falls.
  std::chrono::nanoseconds Next();

 private:
  const Arrivals kind_;
  const double rate_;
  std::mt19937_64 engine_;
  double seconds_ = 0;  // of the last arrival
};

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_ARRIVALS_H_
