#ifndef PRECIS_TESTS_SUPPORT_GRAPH_BUILDER_H_
#define PRECIS_TESTS_SUPPORT_GRAPH_BUILDER_H_

// Small specialised graphs for tests: every value is typed as soon as it is added (ir::InferNode). A mistake in the test aborts with the
// rule's message.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "engine/ir/graph.h"

namespace precis::testing {

// Uniform values in [low, high): real for f32; integers from low up for integer types; 0 or 1 for bool.
Tensor RandomTensor(std::mt19937& random, const Shape& shape, float low = -1.0f, float high = 1.0f,
                    DataType dtype = DataType::kF32);

class GraphBuilder {
 public:
  explicit GraphBuilder(uint32_t seed = 1) : random_(seed) {}

  ir::ValueId Input(const Shape& shape, DataType dtype = DataType::kF32);
  ir::ValueId Constant(Tensor tensor);
  // A random f32 constant in [low, high).
  ir::ValueId Weights(const Shape& shape, float low = -1.0f, float high = 1.0f);
  ir::ValueId Ints(const std::vector<int64_t>& values);  // a one-dimensional s64 constant

  // Adds a node with one output and infers its type.
  ir::ValueId Node(ir::Op op, std::vector<ir::ValueId> inputs);
  // The same with several outputs.
  std::vector<ir::ValueId> Nodes(ir::Op op, std::vector<ir::ValueId> inputs, size_t outputs);
  // Adds work fused behind the producer of `value`.
  void Fuse(ir::ValueId value, ir::Unary unary);
  void Fuse(ir::ValueId value, ir::BinaryKind kind, ir::ValueId operand);

  void Output(ir::ValueId value);

  ir::Graph& graph() { return graph_; }
  std::mt19937& random() { return random_; }

  // Frequent spellings.
  ir::ValueId Unary(ir::UnaryKind kind, ir::ValueId x, float alpha = 0.0f, float beta = 0.0f);
  ir::ValueId Binary(ir::BinaryKind kind, ir::ValueId a, ir::ValueId b);
  ir::ValueId Transpose(ir::ValueId x, ir::Ints perm);
  ir::ValueId Reshape(ir::ValueId x, const Shape& shape);
  // Convolution with random weights [out_channels, C/groups, kernel…] and, if asked for, a bias.
  ir::ValueId Conv(ir::ValueId x, int64_t out_channels, ir::Window window, int64_t groups = 1, bool bias = true);

 private:
  ir::Graph graph_;
  std::mt19937 random_;
};

// Same pads on both sides, one stride for all dimensions.
ir::Window SquareWindow(ir::Ints kernel, int64_t stride = 1, int64_t pad = 0, int64_t dilation = 1);

// One random tensor per graph input.
std::vector<Tensor> RandomInputs(const ir::Graph& graph, std::mt19937& random, float low = -1.0f, float high = 1.0f);

}  // namespace precis::testing

#endif  // PRECIS_TESTS_SUPPORT_GRAPH_BUILDER_H_
