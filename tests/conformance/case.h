#ifndef PRECIS_TESTS_CONFORMANCE_CASE_H_
#define PRECIS_TESTS_CONFORMANCE_CASE_H_

// One case of ONNX's backend test data: model.onnx and test_data_set_*/{input,output}_*.pb.

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace precis::conformance {

struct Case {
  std::string name;  // "node/test_relu"
  std::filesystem::path folder;
};

// Every case below `root`, by name; none when it is not there.
std::vector<Case> ListCases(const std::filesystem::path& root);

// True when every operator of the case is one that the importer has, in an opset that it reads.
bool IsClaimed(const Case& test_case);

// Loads the model as fp32 through the facade, runs every data set, and compares with ONNX's tolerance. Cases give shapes, axes and
// the like as inputs of the graph, where real models have constants; a plan needs such values at load. A case that says so
// (Unimplemented) is run again with all inputs but the first, and then all inputs, as initializers.
absl::Status RunCase(const Case& test_case);

}  // namespace precis::conformance

#endif  // PRECIS_TESTS_CONFORMANCE_CASE_H_
