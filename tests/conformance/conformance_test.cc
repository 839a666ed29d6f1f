// Every case of ONNX's backend suite whose operators Precis claims passes, or is listed in skipped.txt with its reason.
#include <cctype>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "gtest/gtest.h"
#include "tests/conformance/case.h"

namespace precis::conformance {
namespace {

const std::vector<Case>& AllCases() {
  static const auto* const cases = new std::vector<Case>(ListCases(PRECIS_ONNX_TEST_DATA));
  return *cases;
}

const std::vector<Case>& ClaimedCases() {
  static const auto* const claimed = [] {
    auto* cases = new std::vector<Case>;
    for (const Case& c : AllCases()) {
      if (IsClaimed(c)) cases->push_back(c);
    }
    return cases;
  }();
  return *claimed;
}

// Case -> reason, from lines `node/test_name  reason`; `#` starts a comment.
const std::map<std::string, std::string>& Skipped() {
  static const auto* const skipped = [] {
    auto* reasons = new std::map<std::string, std::string>;
    std::ifstream file(PRECIS_CONFORMANCE_SKIPPED);
    for (std::string line; std::getline(file, line);) {
      if (line.empty() || line[0] == '#') continue;
      const size_t end = line.find(' ');
      const size_t reason = line.find_first_not_of(' ', end);
      (*reasons)[line.substr(0, end)] = reason == std::string::npos ? "" : line.substr(reason);
    }
    return reasons;
  }();
  return *skipped;
}

class ConformanceTest : public testing::TestWithParam<Case> {};

TEST_P(ConformanceTest, PassesOrIsListed) {
  const absl::Status status = RunCase(GetParam());
  const auto listed = Skipped().find(GetParam().name);
  if (listed == Skipped().end()) {
    EXPECT_TRUE(status.ok()) << GetParam().name << ": " << status;
  } else {
    EXPECT_FALSE(status.ok()) << GetParam().name << " passes: take it off skipped.txt";
  }
}

std::string TestName(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Onnx, ConformanceTest, testing::ValuesIn(ClaimedCases()), TestName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ConformanceTest);

TEST(ConformanceSuiteTest, IsThereAndEachListedCaseIsClaimedAndHasAReason) {
  if (AllCases().empty()) GTEST_SKIP() << "no test data in " << PRECIS_ONNX_TEST_DATA << " (package libonnx-testdata)";
  std::cout << ClaimedCases().size() << " of " << AllCases().size() << " cases claimed, " << Skipped().size()
            << " of them listed\n";
  for (const auto& [name, reason] : Skipped()) {
    const bool claimed =
        std::any_of(ClaimedCases().begin(), ClaimedCases().end(), [&](const Case& c) { return c.name == name; });
    EXPECT_TRUE(claimed) << name << " is no case of the suite that Precis claims";
    EXPECT_FALSE(reason.empty()) << name << " has no reason";
  }
}

}  // namespace
}  // namespace precis::conformance
