#ifndef PRECIS_TESTS_IR_INFER_PROBE_H_
#define PRECIS_TESTS_IR_INFER_PROBE_H_

#include <string>
#include <vector>

#include "engine/ir/graph.h"
#include "engine/ir/infer.h"

namespace precis::ir {

// One input of a node under test: absent, typed, or constant.
struct Given {
  bool present = true;
  DataType dtype = DataType::kF32;
  Shape shape;
  std::shared_ptr<const Tensor> constant;
};
inline Given F32(Shape shape) { return {true, DataType::kF32, std::move(shape), nullptr}; }
inline Given Of(DataType dtype, Shape shape) { return {true, dtype, std::move(shape), nullptr}; }
inline Given Absent() { return {false, DataType::kF32, {}, nullptr}; }
Given Numbers(std::vector<int64_t> values);  // constant s64 [n]
Given Scalar(int64_t value);                 // constant s64 []
Given Floats(std::vector<float> values);     // constant f32 [n]

// A graph of one node, after inference.
struct Probe {
  Probe(Op op, const std::vector<Given>& inputs, size_t outputs = 1);
  // "f32[1,2] s64[3]", or "CODE: message" without the node's prefix.
  std::string Result() const;
  const Op& op() const { return graph.node(0).op; }

  Graph graph;
  absl::Status status;
};

}  // namespace precis::ir

#endif  // PRECIS_TESTS_IR_INFER_PROBE_H_
