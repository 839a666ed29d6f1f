#include "engine/passes/pipeline.h"

#include "tests/passes/pass_test.h"

namespace precis::passes {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ::testing::ElementsAre;

int RunAll(ir::Graph& graph) {
  const auto reports = RunPasses(graph);
  EXPECT_TRUE(reports.ok()) << reports.status();
  int fired = 0;
  for (const PassReport& report : *reports) fired += report.fired;
  return fired;
}

class PipelineTest : public PassTest {
 protected:
  ir::ValueId ConvBatchNorm(ir::ValueId x, int64_t channels) {
    const ir::ValueId y = Conv(x, channels, 3, 1, false);
    const std::vector<float> variance(static_cast<size_t>(channels), 0.7f);
    return Node(ir::BatchNorm{},
                {y, Random({channels}), Random({channels}), Random({channels}), Constant({channels}, variance)});
  }
};

TEST_F(PipelineTest, ResidualBlockBecomesTwoConvolutions) {
  const ir::ValueId x = Unary(UnaryKind::kRelu, ConvBatchNorm(Input({1, 3, 8, 8}), 4));
  const ir::ValueId y = Unary(UnaryKind::kClip, ConvBatchNorm(x, 4), 0, 6);
  Output(Unary(UnaryKind::kRelu, Binary(BinaryKind::kAdd, ConvBatchNorm(y, 4), x)));
  EXPECT_GT(Run(RunAll), 0);
  EXPECT_THAT(Ops(), ElementsAre("Conv+Relu", "Conv+Clip", "Conv+Add+Relu"));
}

TEST_F(PipelineTest, AttentionIsMatMulsAndSoftmax) {
  const ir::ValueId x = Input({2, 4, 6});
  const auto head = [&](ir::Ints perm) {
    const ir::ValueId y = Binary(BinaryKind::kAdd, Random({6}), MatMul(x, 6, false));
    return Node(ir::Transpose{std::move(perm)}, {Node(ir::Reshape{}, {y, Int64s({2, 4, 2, 3})})});
  };
  const ir::ValueId q = head({0, 2, 1, 3}), k = head({0, 2, 3, 1}), v = head({0, 2, 1, 3});
  const ir::ValueId scores = Binary(BinaryKind::kDiv, Node(ir::MatMul{}, {q, k}), Scalar(1.7320508f));
  ir::ValueId y = Node(ir::MatMul{}, {Node(ir::Softmax{}, {scores}), v});
  y = Node(ir::Reshape{}, {Node(ir::Transpose{{0, 2, 1, 3}}, {y}), Int64s({2, 4, 6})});
  Output(Binary(BinaryKind::kAdd, x, Binary(BinaryKind::kAdd, MatMul(y, 6, false), Random({6}))));
  EXPECT_GT(Run(RunAll), 0);
  std::vector<std::string> computing;
  for (const std::string& op : Ops()) {
    if (op != "Reshape" && op != "Transpose") computing.push_back(op);
  }
  EXPECT_THAT(computing, ElementsAre("MatMul", "MatMul", "MatMul", "MatMul", "Softmax", "MatMul", "MatMul+Add"));
  const auto order = graph_.TopologicalOrder();
  for (const ir::NodeId id : *order) {
    const auto* matmul = std::get_if<ir::MatMul>(&graph_.node(id).op);
    EXPECT_TRUE(matmul == nullptr || matmul->alpha == 1.0f) << graph_.node(id).name;
  }
}

TEST_F(PipelineTest, ReportsAndDumpsEveryPassInOrder) {
  Output(Unary(UnaryKind::kRelu, Conv(Input({1, 3, 8, 8}), 4, 3, 1, true)));
  std::vector<std::string> dumped;
  const auto reports = RunPasses(graph_, [&](const std::string& name, const ir::Graph&) { dumped.push_back(name); });
  ASSERT_TRUE(reports.ok()) << reports.status();
  std::vector<std::string> reported;
  for (const PassReport& report : *reports) {
    reported.push_back(report.name);
    EXPECT_EQ(report.fired, report.name == "fuse_activation" ? 1 : 0) << report.name;
    EXPECT_GE(report.milliseconds, 0);
  }
  EXPECT_EQ(dumped, reported);
}

TEST_F(PipelineTest, FreesConstantsThatNothingReads) {
  const ir::ValueId scale = Constant({4, 1, 1}, {1, 2, 3, 4});
  Output(Binary(BinaryKind::kMul, Conv(Input({1, 3, 8, 8}), 4, 3, 1, true), scale));
  ASSERT_TRUE(RunPasses(graph_).ok());
  EXPECT_EQ(graph_.value(scale).constant, nullptr);
}

TEST_F(PipelineTest, NamesThePassThatBreaksTheGraph) {
  const ir::ValueId nowhere = graph_.AddValue("nowhere", DataType::kF32, {2});
  Output(Unary(UnaryKind::kExp, nowhere));
  const auto reports = RunPasses(graph_);
  EXPECT_EQ(reports.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(reports.status().message()), ::testing::HasSubstr("pass convert_qdq: "));
}

}  // namespace
}  // namespace precis::passes
