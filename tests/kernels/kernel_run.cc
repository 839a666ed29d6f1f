#include "tests/kernels/kernel_run.h"

#include <algorithm>
#include <cmath>

#include "engine/base/status_macros.h"
#include "engine/ir/infer.h"
#include "engine/kernels/kernel.h"
#include "tests/reference/reference.h"

namespace precis::kernels {

absl::StatusOr<std::vector<Tensor>> TryRun(const ir::Op& op, const std::vector<Argument>& arguments, size_t outputs,
                                           const Result& result) {
  ir::Graph graph;
  std::vector<ir::ValueId> in, out;
  for (const Argument& argument : arguments) {
    in.push_back(argument.tensor == nullptr ? ir::kNoValue : graph.AddConstant("x", argument.tensor->Clone()));
    if (argument.quant.has_value()) graph.value(in.back()).quant = argument.quant;
  }
  for (size_t i = 0; i < outputs; ++i) out.push_back(graph.AddValue("y"));
  if (result.dtype.has_value()) {
    graph.value(out[0]).typed = true;
    graph.value(out[0]).dtype = *result.dtype;
  }
  const ir::NodeId node = graph.AddNode("n", op, in, out);
  PRECIS_RETURN_IF_ERROR(ir::InferNode(graph, node));
  if (result.dtype.has_value()) graph.value(out[0]).dtype = *result.dtype;
  graph.value(out[0]).quant = result.quant;
  return Evaluate(graph, node);
}

std::vector<Tensor> RunAll(const ir::Op& op, const std::vector<Argument>& arguments, size_t outputs,
                           const Result& result) {
  auto results = TryRun(op, arguments, outputs, result);
  EXPECT_TRUE(results.ok()) << ir::OpName(op) << ": " << results.status();
  return results.ok() ? *std::move(results) : std::vector<Tensor>(outputs);
}

Tensor RunOne(const ir::Op& op, const std::vector<Argument>& arguments, const Result& result) {
  return std::move(RunAll(op, arguments, 1, result)[0]);
}

void ExpectMatchesReference(const ir::Op& op, const std::vector<Tensor>& inputs, double tolerance) {
  ir::Graph graph;
  std::vector<ir::ValueId> in;
  for (const Tensor& input : inputs) in.push_back(graph.AddConstant("x", input.Clone()));
  const ir::ValueId y = graph.AddValue("y");
  const ir::NodeId node = graph.AddNode("n", op, in, {y});
  graph.outputs.push_back({y, {}});
  const absl::Status inferred = ir::InferNode(graph, node);
  ASSERT_TRUE(inferred.ok()) << ir::OpName(op) << ": " << inferred;
  const auto got = Evaluate(graph, node);
  const auto want = reference::Run(graph, {});
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_TRUE(want.ok()) << want.status();
  const std::vector<float> a = ToFloat((*got)[0].view()), b = ToFloat((*want)[0].view());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    ASSERT_NEAR(a[i], b[i], tolerance * std::max(1.0f, std::abs(b[i]))) << ir::OpName(op) << " at " << i;
  }
}

}  // namespace precis::kernels
