#ifndef PRECIS_LOADTEST_MEASURE_H_
#define PRECIS_LOADTEST_MEASURE_H_

// The kinds of measurement that settings can ask for, each as the JSON that it reports.

#include <atomic>
#include <ostream>

#include "absl/status/statusor.h"
#include "loadtest/report.h"
#include "loadtest/settings.h"

namespace precis::loadtest {

// What every measurement needs besides its settings.
struct Stage {
  std::ostream* terminal;  // null: no progress bar
  const std::atomic<bool>& stop;
};

// One run, a search for the highest rate, or two sides in turns. Errors: the server's; UNAVAILABLE when no call succeeded where
// a first figure was needed.
absl::StatusOr<Json> Measure(const Settings& settings, const Stage& stage);

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_MEASURE_H_
