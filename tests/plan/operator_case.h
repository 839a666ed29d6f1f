#ifndef PRECIS_TESTS_PLAN_OPERATOR_CASE_H_
#define PRECIS_TESTS_PLAN_OPERATOR_CASE_H_

// The tables behind the operator sweep: each case is a small graph that runs at every precision it names and must match the reference.

#include <functional>
#include <string>
#include <vector>

#include "tests/plan/precision.h"
#include "tests/support/graph_builder.h"

namespace precis::testing {

struct OperatorCase {
  std::string name = "";
  std::function<void(GraphBuilder&)> build = nullptr;
  bool int8 = true;    // also with quantized values
  bool narrow = true;  // also in bf16 and f16
  float low = -1.0f;   // range of the inputs
  float high = 1.0f;
  int roundings = 1;         // values between input and output whose rounding may differ by one step and carry on
  bool may_be_slow = false;  // a heavy layer may land on a reference implementation
};

std::vector<OperatorCase> ConvCases();
std::vector<OperatorCase> ConvPostOpCases();
std::vector<OperatorCase> MatMulCases();
std::vector<OperatorCase> PoolCases();
std::vector<OperatorCase> NormalizationCases();
std::vector<OperatorCase> RecurrentCases();
std::vector<OperatorCase> ElementwiseCases();
std::vector<OperatorCase> MovementCases();

}  // namespace precis::testing

#endif  // PRECIS_TESTS_PLAN_OPERATOR_CASE_H_
