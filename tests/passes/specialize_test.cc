// Symbolic graphs as the importer makes them, specialised: types, folding, spelling, float types, errors.
#include <limits>

#include "engine/base/float16.h"
#include "engine/passes/pipeline.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/reference/reference.h"

namespace precis::passes {
namespace {

using ir::kNoValue;
using ir::ValueId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SpecializeTest : public ::testing::Test {
 protected:
  ValueId Input(const std::string& name, Shape shape, std::vector<std::string> dim_names = {},
                DataType dtype = DataType::kF32) {
    const ValueId v = graph_.AddValue(name);
    graph_.value(v).dtype = dtype;
    graph_.value(v).shape = shape;
    if (dim_names.empty()) dim_names.resize(shape.size());
    graph_.inputs.push_back({v, std::move(dim_names)});
    return v;
  }
  ValueId Node(ir::Op op, std::vector<ValueId> inputs) {
    const ValueId v = graph_.AddValue("");
    graph_.AddNode("", std::move(op), std::move(inputs), {v});
    return v;
  }
  ValueId Ints(const std::vector<int64_t>& numbers) {
    return graph_.AddConstant("ints", Tensor::From<int64_t>({static_cast<int64_t>(numbers.size())}, numbers));
  }
  template <typename T>
  ValueId Scalar(T number) {
    return graph_.AddConstant("scalar", Tensor::From<T>({}, {number}));
  }
  ValueId Bool(bool value) {
    Tensor tensor(DataType::kBool, {});
    *static_cast<uint8_t*>(tensor.data()) = value;
    return graph_.AddConstant("bool", std::move(tensor));
  }
  void Output(ValueId v) { graph_.outputs.push_back({v, {}}); }

  std::vector<std::string> Ops() const {
    std::vector<std::string> names;
    const auto order = graph_.TopologicalOrder();
    for (ir::NodeId id : *order) names.emplace_back(ir::OpName(graph_.node(id).op));
    return names;
  }
  const ir::Value& Result() const { return graph_.value(graph_.outputs[0].value); }

  ir::Graph graph_;
};

TEST_F(SpecializeTest, ShapeArithmeticFoldsAway) {
  // The flattening that exporters write: x.reshape(x.shape[0], -1).
  const ValueId x = Input("x", {kUnknownDim, 3, 4}, {"batch", "", ""});
  const ValueId batch = Node(ir::Gather{}, {Node(ir::ShapeOf{}, {x}), Scalar<int64_t>(0)});
  const ValueId shape = Node(ir::Concat{}, {Node(ir::Unsqueeze{}, {batch, Ints({0})}), Ints({-1})});
  Output(Node(ir::Reshape{}, {x, shape}));
  ASSERT_TRUE(Specialize(graph_, {{5, 3, 4}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("Reshape"));
  EXPECT_EQ(Result().shape, (Shape{5, 12}));
  const ir::NodeId reshape = graph_.producer(graph_.outputs[0].value);
  EXPECT_THAT(ToInt64(graph_.ConstantOrNull(graph_.Input(reshape, 1))->view()), ElementsAre(5, 12));
}

TEST_F(SpecializeTest, FoldedConstantsAreFreed) {
  const ValueId weights = graph_.AddConstant("w", Tensor::From<float>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const ValueId x = Input("x", {1, 3});
  Output(Node(ir::MatMul{}, {x, Node(ir::Transpose{{1, 0}}, {weights})}));
  ASSERT_TRUE(Specialize(graph_, {{1, 3}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("MatMul"));
  EXPECT_FALSE(graph_.IsConstant(weights));
  EXPECT_THAT(ToFloat(graph_.ConstantOrNull(graph_.Input(graph_.producer(graph_.outputs[0].value), 1))->view()),
              ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST_F(SpecializeTest, GiantConstantsAreLeftToRunTime) {
  Output(Node(ir::ConstantOfShape{}, {Ints({1 << 14, 1 << 14})}));  // 1 GiB out of 16 bytes
  ASSERT_TRUE(Specialize(graph_, {}).ok());
  EXPECT_THAT(Ops(), ElementsAre("ConstantOfShape"));
}

TEST_F(SpecializeTest, ConstantOutputNeedsNoNode) {
  Output(Node(ir::SizeOf{}, {Input("x", {kUnknownDim})}));
  ASSERT_TRUE(Specialize(graph_, {{7}}).ok());
  EXPECT_THAT(Ops(), ElementsAre());
  EXPECT_EQ(ToInt64(Result().constant->view())[0], 7);
}

TEST_F(SpecializeTest, DeadNodesAreNotEvenTyped) {
  const ValueId x = Input("x", {2});
  Node(ir::Reshape{}, {x, Ints({9})});  // impossible, and read by nothing
  Output(Node(ir::Unary{}, {x}));
  EXPECT_TRUE(Specialize(graph_, {{2}}).ok());
}

TEST_F(SpecializeTest, ClipOfFloatsIsUnary) {
  Output(Node(ir::Clip{}, {Input("x", {2}), kNoValue, Scalar<float>(6)}));
  ASSERT_TRUE(Specialize(graph_, {{2}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("Clip"));
  const auto& unary = std::get<ir::Unary>(graph_.node(graph_.producer(graph_.outputs[0].value)).op);
  EXPECT_EQ(unary.alpha, std::numeric_limits<float>::lowest());
  EXPECT_EQ(unary.beta, 6);
}

TEST_F(SpecializeTest, ClipOfIntegersKeepsItsBoundsExact) {
  constexpr int64_t kBound = (int64_t{1} << 53) + 1;
  Output(Node(ir::Clip{}, {Input("x", {1}, {}, DataType::kS64), Scalar<int64_t>(0), Scalar<int64_t>(kBound)}));
  ASSERT_TRUE(Specialize(graph_, {{1}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("Max", "Min"));
  std::vector<Tensor> inputs;
  inputs.push_back(Tensor::From<int64_t>({1}, {INT64_MAX}));
  EXPECT_EQ((*reference::Run(graph_, inputs))[0].As<int64_t>()[0], kBound);
}

TEST_F(SpecializeTest, ClipWithRunTimeBoundsStays) {
  Output(Node(ir::Clip{}, {Input("x", {2}), Input("low", {}), kNoValue}));
  ASSERT_TRUE(Specialize(graph_, {{2}, {}}).ok());
  EXPECT_TRUE(std::holds_alternative<ir::Clip>(graph_.node(graph_.producer(graph_.outputs[0].value)).op));
}

TEST_F(SpecializeTest, HalfModelsComputeInF32AndKeepTheirSignature) {
  Tensor half(DataType::kF16, {2});
  for (size_t i : {0, 1}) static_cast<uint16_t*>(half.data())[i] = F32ToF16(0.25f);
  const ValueId x = Input("x", {2}, {}, DataType::kF16), weights = graph_.AddConstant("w", std::move(half));
  Output(Node(ir::Unary{}, {Node(ir::Binary{}, {x, weights})}));
  ASSERT_TRUE(Specialize(graph_, {{2}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("Cast", "Add", "Relu", "Cast"));
  EXPECT_EQ(graph_.value(x).dtype, DataType::kF16);
  EXPECT_EQ(Result().dtype, DataType::kF16);
  EXPECT_EQ(graph_.value(weights).constant->dtype(), DataType::kF32);
  Tensor input(DataType::kF16, {2});
  for (size_t i : {0, 1}) static_cast<uint16_t*>(input.data())[i] = F32ToF16(i == 0 ? 1.0f : -1.0f);
  std::vector<Tensor> inputs;
  inputs.push_back(std::move(input));
  EXPECT_THAT(ToFloat((*reference::Run(graph_, inputs))[0].view()), ElementsAre(1.25f, 0));
}

TEST_F(SpecializeTest, CastsInsideAHalfModelFollow) {
  const ValueId x = Input("x", {2});
  Output(Node(ir::Unary{}, {Node(ir::Cast{DataType::kF16}, {x})}));
  ASSERT_TRUE(Specialize(graph_, {{2}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("Cast", "Relu", "Cast"));
  EXPECT_EQ(std::get<ir::Cast>(graph_.node(graph_.consumers(x)[0]).op).to, DataType::kF32);
}

TEST_F(SpecializeTest, DoublesStayUnlessMatrixProductsNeedThem) {
  const ValueId x = Input("x", {2, 2}, {}, DataType::kF64);
  Output(Node(ir::Unary{}, {x}));
  ir::Graph with_product = graph_;
  const ValueId y = with_product.AddValue("product");
  with_product.AddNode("", ir::MatMul{}, {x, x}, {y});
  with_product.outputs.push_back({y, {}});
  ASSERT_TRUE(Specialize(graph_, {{2, 2}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("Relu"));
  ASSERT_TRUE(Specialize(with_product, {{2, 2}}).ok());
  graph_ = with_product;
  EXPECT_THAT(Ops(), ElementsAre("Cast", "Relu", "MatMul", "Cast", "Cast"));
}

TEST_F(SpecializeTest, IsIdempotent) {
  const ValueId x = Input("x", {kUnknownDim, 2}, {}, DataType::kF16);
  Output(Node(ir::Flatten{}, {Node(ir::Clip{}, {x, kNoValue, kNoValue})}));
  ASSERT_TRUE(Specialize(graph_, {{3, 2}}).ok());
  ASSERT_TRUE(Specialize(graph_, {{3, 2}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("Cast", "Clip", "Reshape", "Cast"));
}

TEST_F(SpecializeTest, ShapesTakeASideOfAChoiceAndTheOtherIsNeverTyped) {
  // x.squeeze(1) of an unknown dimension, as torch writes it.
  const ValueId x = Input("x", {2, kUnknownDim, 3});
  const ValueId dim = Node(ir::Gather{}, {Node(ir::ShapeOf{}, {x}), Scalar<int64_t>(1)});
  const ValueId is_one = Node(ir::Binary{ir::BinaryKind::kEqual}, {dim, Scalar<int64_t>(1)});
  Output(Node(ir::Choose{}, {is_one, Node(ir::Squeeze{}, {x, Ints({1})}), Node(ir::Unary{}, {x})}));
  ir::Graph other = graph_;
  ASSERT_TRUE(Specialize(graph_, {{2, 1, 3}}).ok());
  EXPECT_EQ(Result().shape, (Shape{2, 3}));
  EXPECT_THAT(Ops(), ElementsAre("Reshape", "Identity"));
  ASSERT_TRUE(Specialize(other, {{2, 4, 3}}).ok());  // a squeeze would fail
  graph_ = other;
  EXPECT_EQ(Result().shape, (Shape{2, 4, 3}));
  EXPECT_THAT(Ops(), ElementsAre("Relu", "Identity"));
}

TEST_F(SpecializeTest, AChoiceOfAChoiceFollowsTheFirst) {
  const ValueId x = Input("x", {2});
  const ValueId inner = Node(ir::Choose{}, {Bool(false), x, Bool(true)});
  Output(Node(ir::Choose{}, {inner, Node(ir::Unary{}, {x}), Node(ir::Reshape{}, {x, Ints({9})})}));
  ASSERT_TRUE(Specialize(graph_, {{2}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("Relu", "Identity"));
}

TEST_F(SpecializeTest, ARunTimeChoiceComputesBothSides) {
  const ValueId x = Input("x", {2}), condition = Input("c", {}, {}, DataType::kBool);
  Output(Node(ir::Choose{}, {condition, Node(ir::Unary{}, {x}), x}));
  ASSERT_TRUE(Specialize(graph_, {{2}, {}}).ok());
  EXPECT_THAT(Ops(), ElementsAre("Relu", "Where"));
  for (const bool taken : {true, false}) {
    std::vector<Tensor> inputs;
    inputs.push_back(Tensor::From<float>({2}, {-1, 1}));
    inputs.push_back(Tensor(DataType::kBool, {}));
    *static_cast<uint8_t*>(inputs.back().data()) = taken;
    EXPECT_THAT(ToFloat((*reference::Run(graph_, inputs))[0].view()), ElementsAre(taken ? 0 : -1, 1));
  }
}

TEST_F(SpecializeTest, ARunTimeChoiceOfShapesIsUnsupported) {
  const ValueId x = Input("x", {2, 1}), condition = Input("c", {}, {}, DataType::kBool);
  Output(Node(ir::Choose{}, {condition, Node(ir::Squeeze{}, {x, Ints({1})}), x}));
  const absl::Status status = Specialize(graph_, {{2, 1}, {}});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the branches give f32[2] and f32[2,1]"));
}

TEST_F(SpecializeTest, IndicesOfWhatIsNotZeroNeedAConstant) {
  const ValueId mask = graph_.AddConstant("mask", Tensor::From<int32_t>({2, 2}, {0, 5, 7, 0}));
  Output(Node(ir::NonZero{}, {mask}));
  ASSERT_TRUE(Specialize(graph_, {}).ok());
  EXPECT_THAT(ToInt64(Result().constant->view()), ElementsAre(0, 1, 1, 0));
  Output(Node(ir::NonZero{}, {Input("x", {2, 2})}));
  EXPECT_EQ(Specialize(graph_, {{2, 2}}).code(), absl::StatusCode::kUnimplemented);
}

TEST_F(SpecializeTest, RefusesShapesThatDoNotFit) {
  Output(Node(ir::Binary{}, {Input("a", {kUnknownDim, 3}, {"n", ""}), Input("b", {kUnknownDim, 1}, {"n", ""})}));
  const auto fails = [this](const std::vector<Shape>& shapes, const std::string& message) {
    ir::Graph copy = graph_;
    const absl::Status status = Specialize(copy, shapes);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  };
  fails({{2, 3}}, "1 input shapes, want 2");
  fails({{2, 4}, {2, 1}}, "input \"a\": shape [2,4], want [?,3]");
  fails({{2, 3, 1}, {2, 1}}, "input \"a\": shape [2,3,1], want [?,3]");
  fails({{-2, 3}, {2, 1}}, "input \"a\": shape [-2,3], want [?,3]");
  fails({{2, 3}, {4, 1}}, "input \"b\": dimension \"n\" is 4, but 2 in input \"a\"");
  fails({{int64_t{1} << 40, 3}, {2, 1}}, "exceeds");
}

TEST_F(SpecializeTest, ErrorsOfTheShapeRulesNameTheNode) {
  const ValueId v = graph_.AddValue("y");
  graph_.AddNode("adder", ir::Binary{}, {Input("a", {kUnknownDim}), Input("b", {kUnknownDim})}, {v});
  Output(v);
  EXPECT_EQ(Specialize(graph_, {{2}, {3}}).message(), "node \"adder\": shapes [2] and [3] do not broadcast");
}

}  // namespace
}  // namespace precis::passes
