#ifndef PRECIS_LOADTEST_SCENARIOS_H_
#define PRECIS_LOADTEST_SCENARIOS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace precis::loadtest {

// One entry of a scenario file.
struct Scenario {
  std::string name;
  std::vector<std::string> flags;  // "--rate=70%"
};

// A scenario file is a JSON object of objects, with comments allowed: the scenarios' names, and in each flags of the command line
// with their values.
//
//   {"one client":   {"model": "net@int8", "concurrency": 1},
//    "70 % of load": {"model": "net@int8", "rate": "70%", "duration": "30s", "until-stable": "2m"}}
//
// true stands for a flag without a value; a list gives its flag several times. Scenarios keep the file's order. UsageError:
// the file cannot be read or has another form; the message says where.
absl::StatusOr<std::vector<Scenario>> ReadScenarios(const std::string& path);
absl::StatusOr<std::vector<Scenario>> ParseScenarios(const std::string& text);

// The flags of a scenario and those of the command line, which hold for every scenario: where both name a flag, the
// command line wins. --scenarios itself is left out.
std::vector<std::string> MergeFlags(const Scenario& scenario, const std::vector<std::string>& command_line);

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_SCENARIOS_H_
