#ifndef PRECIS_LOADTEST_REPORT_H_
#define PRECIS_LOADTEST_REPORT_H_

// Results as JSON, and the JSON as text or CSV: all forms say the same.

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "loadtest/run.h"

namespace precis::loadtest {

using Json = nlohmann::ordered_json;

// {throughput latency_ms{p50 p90 p95 p99 p99_9 mean min max} calls errors{CODE: n} …}; a latency is null when no call succeeded.
Json ResultJson(const RunResult& result, int batch);
// {"kind": "closed", "concurrency": n} or {"kind": "open", "rate": r, "arrivals": …}
Json LoadJson(const Load& load);

// What Measure returned, or {"scenarios": [...]} of several with their names: for people, and a line of CSV for each result
// (a side-by-side measurement has two).
void PrintReport(const Json& report, std::ostream& out);
void PrintCsv(const Json& report, std::ostream& out);
// Every result in it has a call that succeeded.
bool HasAnswers(const Json& report);

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_REPORT_H_
