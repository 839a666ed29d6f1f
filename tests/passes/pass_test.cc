#include "tests/passes/pass_test.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/reference/reference.h"

namespace precis::passes {
namespace {

void ExpectNear(const Tensor& actual, const Tensor& expected, double tolerance) {
  ASSERT_EQ(actual.dtype(), expected.dtype());
  ASSERT_EQ(actual.shape(), expected.shape());
  const std::vector<float> a = ToFloat(actual.view()), b = ToFloat(expected.view());
  double largest = 0;
  for (const float x : b) largest = std::max(largest, std::abs(double{x}));
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;  // infinities too
    ASSERT_NEAR(a[i], b[i], tolerance * largest) << "element " << i;
  }
}

}  // namespace

ir::ValueId PassTest::MatMul(ir::ValueId x, int64_t columns, bool bias) {
  std::vector<ir::ValueId> inputs = {x, Random({graph_.value(x).shape.back(), columns})};
  if (bias) inputs.push_back(Random({columns}));
  return Node(ir::MatMul{}, inputs);
}

int PassTest::Run(int (*pass)(ir::Graph&), double tolerance) {
  const std::vector<Tensor> inputs = testing::RandomInputs(graph_, builder_.random(), -2.0f, 2.0f);
  const auto expected = reference::Run(graph_, inputs);
  EXPECT_TRUE(expected.ok()) << expected.status();
  std::vector<std::string> output_names, renamed;
  for (const ir::Port& port : graph_.outputs) output_names.push_back(graph_.value(port.value).name);

  const int fired = pass(graph_);
  EXPECT_TRUE(graph_.Verify().ok()) << graph_.Verify();
  for (const ir::Port& port : graph_.outputs) renamed.push_back(graph_.value(port.value).name);
  EXPECT_EQ(renamed, output_names);
  const auto actual = reference::Run(graph_, inputs);
  EXPECT_TRUE(actual.ok()) << actual.status() << "\n" << graph_.ToString();
  if (expected.ok() && actual.ok()) {
    for (size_t i = 0; i < actual->size(); ++i) ExpectNear((*actual)[i], (*expected)[i], tolerance);
  }

  const std::string once = graph_.ToString();
  EXPECT_EQ(pass(graph_), 0) << "fired again on its own result";
  EXPECT_EQ(graph_.ToString(), once);
  return fired;
}

std::vector<std::string> PassTest::Ops() const {
  std::vector<std::string> names;
  const auto order = graph_.TopologicalOrder();
  for (const ir::NodeId id : *order) {
    std::string name(ir::OpName(graph_.node(id).op));
    for (const ir::PostOp& p : graph_.node(id).post_ops) {
      absl::StrAppend(&name, "+", p.kind == ir::PostOp::Kind::kUnary ? ir::OpName(p.unary.kind) : ir::OpName(p.binary));
    }
    names.push_back(std::move(name));
  }
  return names;
}

ir::NodeId PassTest::Find(const std::string& name) const {
  const auto order = graph_.TopologicalOrder();
  for (const ir::NodeId id : *order) {
    if (ir::OpName(graph_.node(id).op) == name) return id;
  }
  ADD_FAILURE() << "no " << name << " in\n" << graph_.ToString();
  return 0;
}

}  // namespace precis::passes
