#include "engine/search/cost_model.h"

#include "gtest/gtest.h"
#include "tests/support/graph_builder.h"

namespace precis::search {
namespace {

using ir::ValueId;
using testing::GraphBuilder;
using testing::SquareWindow;

// x -> first -> relu -> pool -> second; the candidates are int8 (0), f32 (1) and bf16 (2).
class LatencyModelTest : public ::testing::Test {
 protected:
  LatencyModelTest() {
    const ValueId x = b.Input({1, 3, 8, 8});
    first = b.Conv(x, 4, SquareWindow({1, 1}));
    relu = b.Unary(ir::UnaryKind::kRelu, first);
    second = b.Conv(relu, 4, SquareWindow({1, 1}));
    b.Output(second);
    const Profile int8 = {{Name(first), 10}, {Name(relu), 2}, {Name(second), 20}, {Convert(x), 3}};
    const Profile bf16 = {{Name(first), 15}, {Name(relu), 4}, {Name(second), 25}, {Convert(x), 3}};
    const Profile f32 = {{Name(first), 30}, {Name(relu), 7}, {Name(second), 50}};
    model = std::make_unique<LatencyModel>(
        b.graph(), std::vector{b.graph().producer(first), b.graph().producer(second)},
        std::vector{quant::Precision::kInt8, quant::Precision::kF32, quant::Precision::kBF16},
        std::vector{int8, f32, bf16}, f32);
    model->AddAlone(0, 0, {{Name(first), 12}, {Name(relu), 7}, {Name(second), 55}, {Convert(x), 4}});
    model->AddAlone(1, 0, {{Name(first), 35}, {Name(relu), 7}, {Name(second), 19}, {Name(second) + "/reorder", 5}});
  }
  std::string Name(ValueId v) { return b.graph().node(b.graph().producer(v)).name; }
  std::string Convert(ValueId v) { return b.graph().value(v).name + ":u8"; }

  GraphBuilder b;
  ValueId first, relu, second;
  std::unique_ptr<LatencyModel> model;
};

TEST_F(LatencyModelTest, UniformNetworksCostWhatWasMeasured) {
  EXPECT_DOUBLE_EQ(model->Microseconds({0, 0}), 35);
  EXPECT_DOUBLE_EQ(model->Microseconds({1, 1}), 87);
}

TEST_F(LatencyModelTest, ABorderPaysForTheWiderResultAndForTheConvertBehindIt) {
  // int8 into f32: the first layer between f32 neighbours, ReLU in f32, no Convert but the input's.
  EXPECT_DOUBLE_EQ(model->Microseconds({0, 1}), 3 + 12 + 7 + 50);
  // f32 into int8: the ReLU's result is converted.
  EXPECT_DOUBLE_EQ(model->Microseconds({1, 0}), 30 + 7 + 5 + 20);
}

TEST_F(LatencyModelTest, IntegerLayersWrite16BitsForTheirReadersWithoutAConvert) {
  EXPECT_DOUBLE_EQ(model->Microseconds({0, 2}), 3 + 12 + 7 + 25);
  EXPECT_DOUBLE_EQ(model->Microseconds({2, 0}), 3 + 15 + 7 + 5 + 20);
}

TEST_F(LatencyModelTest, KnowsEachLayersOwnTime) {
  EXPECT_DOUBLE_EQ(model->LayerMicroseconds(1, 0), 20);
  EXPECT_DOUBLE_EQ(model->LayerMicroseconds(1, 1), 50);
}

}  // namespace
}  // namespace precis::search
