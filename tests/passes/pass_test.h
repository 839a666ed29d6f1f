#ifndef PRECIS_TESTS_PASSES_PASS_TEST_H_
#define PRECIS_TESTS_PASSES_PASS_TEST_H_

// Small specialised graphs, built node by node, and what every pass owes them: a verified graph, nothing left to do the second time, and the
// outputs that the reference engine computed before.

#include <string>
#include <utility>
#include <vector>

#include "engine/ir/graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/graph_builder.h"

namespace precis::passes {

class PassTest : public ::testing::Test {
 protected:
  ir::ValueId Input(const Shape& shape, DataType dtype = DataType::kF32) { return builder_.Input(shape, dtype); }
  ir::ValueId Constant(const Shape& shape, const std::vector<float>& numbers) {
    return builder_.Constant(Tensor::From<float>(shape, numbers));
  }
  ir::ValueId Scalar(float number) { return Constant({}, {number}); }
  ir::ValueId Random(const Shape& shape) { return builder_.Weights(shape); }
  ir::ValueId Int64s(const std::vector<int64_t>& numbers) { return builder_.Ints(numbers); }
  ir::ValueId Node(ir::Op op, std::vector<ir::ValueId> inputs) {
    return builder_.Node(std::move(op), std::move(inputs));
  }
  ir::ValueId Binary(ir::BinaryKind kind, ir::ValueId a, ir::ValueId b) { return builder_.Binary(kind, a, b); }
  ir::ValueId Unary(ir::UnaryKind kind, ir::ValueId x, float alpha = 0, float beta = 0) {
    return builder_.Unary(kind, x, alpha, beta);
  }
  // 2-D convolution of x with random weights, stride 1.
  ir::ValueId Conv(ir::ValueId x, int64_t outputs, int64_t kernel, int64_t pad, bool bias, int64_t groups = 1) {
    return builder_.Conv(x, outputs, testing::SquareWindow({kernel, kernel}, 1, pad), groups, bias);
  }
  // x [.., K] times random [K, N].
  ir::ValueId MatMul(ir::ValueId x, int64_t columns, bool bias);
  void Output(ir::ValueId value) { builder_.Output(value); }

  // Runs `pass` on the graph, checks what every pass owes, and returns how often it fired. `tolerance` is relative to the largest output.
  int Run(int (*pass)(ir::Graph&), double tolerance = 1e-5);

  // Operators of the graph in topological order, with their post-ops: "Conv+Relu".
  std::vector<std::string> Ops() const;
  // The first node whose operator is called `name`.
  ir::NodeId Find(const std::string& name) const;
  template <typename T>
  const T& OpOf(ir::NodeId id) const {
    return std::get<T>(graph_.node(id).op);
  }

  testing::GraphBuilder builder_;
  ir::Graph& graph_ = builder_.graph();
};

}  // namespace precis::passes

#endif  // PRECIS_TESTS_PASSES_PASS_TEST_H_
