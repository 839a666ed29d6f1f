#include "engine/quant/assign.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using ir::ValueId;
using testing::GraphBuilder;
using ::testing::HasSubstr;
using testing::SquareWindow;

class AssignTest : public ::testing::Test {
 protected:
  Assignment Run(const Target& target = {}) {
    auto a = Assign(b_.graph(), target, [this](ValueId v) -> std::optional<std::string> {
      if (v == unusable_) return "is odd";
      return std::nullopt;
    });
    EXPECT_TRUE(a.ok()) << a.status();
    return *std::move(a);
  }
  Form FormOf(const Assignment& a, ValueId v) { return a.forms[static_cast<size_t>(v)]; }
  bool IsInt8(const Assignment& a, ValueId output) { return a.int8[static_cast<size_t>(b_.graph().producer(output))]; }
  std::string NoteOf(const Assignment& a, ValueId output) {
    return a.notes[static_cast<size_t>(b_.graph().producer(output))];
  }
  ValueId Product(ValueId x, int64_t columns) {
    return b_.Node(ir::MatMul{}, {x, b_.Weights({b_.graph().value(x).shape.back(), columns})});
  }

  GraphBuilder b_;
  ValueId unusable_ = ir::kNoValue;
};

TEST_F(AssignTest, LevelsFlowFromConvolutionToConvolution) {
  const ValueId x = b_.Input({1, 3, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({3, 3})), z = b_.Conv(y, 4, SquareWindow({1, 1}));
  b_.Output(z);
  const Assignment a = Run();
  EXPECT_EQ(FormOf(a, x), Form::kConverted);
  EXPECT_EQ(FormOf(a, y), Form::kInt8);
  EXPECT_EQ(FormOf(a, z), Form::kFloat);
  EXPECT_TRUE(IsInt8(a, y) && IsInt8(a, z));
}

TEST_F(AssignTest, AValueWithAFloatReaderKeepsItsFloatsAndGetsOneCopy) {
  const ValueId x = b_.Input({1, 3, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({1, 1}));
  const ValueId z = b_.Conv(y, 4, SquareWindow({1, 1})), e = b_.Unary(ir::UnaryKind::kExp, y);
  b_.Output(z);
  b_.Output(e);
  const Assignment a = Run();
  EXPECT_EQ(FormOf(a, y), Form::kConverted);
  EXPECT_FALSE(IsInt8(a, e));
}

TEST_F(AssignTest, PoolingBetweenConvolutionsSharesLevels) {
  const ValueId x = b_.Input({1, 3, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({1, 1})),
                p = b_.Node(ir::Pool{ir::PoolKind::kMax, SquareWindow({2, 2}, 2), false}, {y});
  b_.Output(b_.Conv(p, 4, SquareWindow({1, 1})));
  const Assignment a = Run();
  EXPECT_EQ(FormOf(a, p), Form::kInt8);
  EXPECT_EQ(a.group[static_cast<size_t>(p)], a.group[static_cast<size_t>(y)]);
}

TEST_F(AssignTest, PoolingBeforeTheGraphsOutputStaysFloat) {
  const ValueId x = b_.Input({1, 3, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({1, 1})), p = b_.Node(ir::GlobalPool{}, {y});
  b_.Output(p);
  const Assignment a = Run();
  EXPECT_EQ(FormOf(a, y), Form::kFloat);
  EXPECT_FALSE(IsInt8(a, p));
  EXPECT_THAT(NoteOf(a, p), HasSubstr("f32"));
}

TEST_F(AssignTest, AverageOverAllPositionsHasLevelsOfItsOwn) {
  const ValueId x = b_.Input({1, 3, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({1, 1})), p = b_.Node(ir::GlobalPool{}, {y}),
                f = b_.Node(ir::Flatten{1}, {p});
  b_.Output(Product(f, 5));
  const Assignment a = Run();
  EXPECT_EQ(FormOf(a, p), Form::kInt8);
  EXPECT_EQ(FormOf(a, f), Form::kInt8);
  EXPECT_NE(a.group[static_cast<size_t>(p)], a.group[static_cast<size_t>(y)]);
  EXPECT_EQ(a.group[static_cast<size_t>(p)], a.group[static_cast<size_t>(f)]);
}

TEST_F(AssignTest, ConcatenationGivesItsInputsOneSetOfLevels) {
  const ValueId x = b_.Input({1, 3, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({1, 1})), z = b_.Conv(x, 2, SquareWindow({1, 1}));
  const ValueId c = b_.Node(ir::Concat{1}, {y, z});
  b_.Output(b_.Conv(c, 4, SquareWindow({1, 1})));
  const Assignment a = Run();
  EXPECT_EQ(FormOf(a, c), Form::kInt8);
  EXPECT_EQ(a.group[static_cast<size_t>(y)], a.group[static_cast<size_t>(z)]);
  EXPECT_EQ(a.group[static_cast<size_t>(y)], a.group[static_cast<size_t>(c)]);
}

TEST_F(AssignTest, TheResidualOperandOfAConvolutionIsReadAsLevels) {
  const ValueId x = b_.Input({1, 4, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({1, 1})), z = b_.Conv(y, 4, SquareWindow({1, 1}));
  b_.Fuse(z, ir::BinaryKind::kAdd, y);
  b_.Output(b_.Conv(z, 4, SquareWindow({1, 1})));
  const Assignment a = Run();
  EXPECT_EQ(FormOf(a, y), Form::kInt8);
  EXPECT_EQ(FormOf(a, z), Form::kInt8);
}

TEST_F(AssignTest, TheResidualOperandOfAProductStaysFloat) {
  const ValueId x = b_.Input({4, 8});
  const ValueId y = Product(x, 8), z = Product(y, 8);
  b_.Fuse(z, ir::BinaryKind::kAdd, y);
  b_.Output(Product(z, 8));
  const Assignment a = Run();
  EXPECT_EQ(FormOf(a, y), Form::kConverted);
  EXPECT_EQ(FormOf(a, z), Form::kInt8);
}

TEST_F(AssignTest, AdditionOfTwoConvolutionsRunsOnLevels) {
  const ValueId x = b_.Input({1, 4, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({1, 1})), z = b_.Conv(x, 4, SquareWindow({1, 1}));
  const ValueId s = b_.Binary(ir::BinaryKind::kAdd, y, z);
  b_.Output(b_.Conv(s, 4, SquareWindow({1, 1})));
  const Assignment a = Run();
  EXPECT_TRUE(IsInt8(a, s));
  EXPECT_EQ(FormOf(a, y), Form::kInt8);
}

TEST_F(AssignTest, AdditionToAFloatStaysFloatAndItsResultIsConverted) {
  const ValueId x = b_.Input({1, 4, 8, 8}), mask = b_.Input({1, 4, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({1, 1})), s = b_.Binary(ir::BinaryKind::kAdd, y, mask);
  b_.Output(b_.Conv(s, 4, SquareWindow({1, 1})));
  const Assignment a = Run();
  EXPECT_FALSE(IsInt8(a, s));
  EXPECT_EQ(FormOf(a, y), Form::kFloat);
  EXPECT_EQ(FormOf(a, s), Form::kConverted);
}

TEST_F(AssignTest, AnUnusableInputKeepsItsReaderInFloatAndSaysWhy) {
  const ValueId x = b_.Input({1, 3, 8, 8});
  const ValueId y = b_.Conv(x, 4, SquareWindow({1, 1})), t = b_.Transpose(y, {0, 1, 3, 2}),
                z = b_.Conv(t, 4, SquareWindow({1, 1}));
  b_.Output(z);
  unusable_ = y;
  const Assignment a = Run();
  EXPECT_TRUE(IsInt8(a, y));
  EXPECT_FALSE(IsInt8(a, z));
  EXPECT_EQ(FormOf(a, y), Form::kFloat);
  EXPECT_THAT(NoteOf(a, z), HasSubstr("is odd"));
}

class AttentionTest : public AssignTest {
 protected:
  AttentionTest() {
    const ValueId x = b_.Input({1, 4, 8});
    q_ = Product(x, 8);
    k_ = Product(x, 8);
    scores_ = b_.Node(ir::MatMul{false, true}, {q_, k_});
    softmax_ = b_.Node(ir::Softmax{-1}, {scores_});
    out_ = b_.Node(ir::MatMul{}, {softmax_, Product(x, 8)});
    b_.Output(out_);
  }
  ValueId q_, k_, scores_, softmax_, out_;
};

TEST_F(AttentionTest, ProductsOfTwoActivationsAreIntegerWithASignedSecondOperand) {
  const Assignment a = Run();
  EXPECT_TRUE(IsInt8(a, scores_));
  EXPECT_EQ(FormOf(a, q_), Form::kInt8);
  EXPECT_TRUE(a.needs_s8[static_cast<size_t>(a.group[static_cast<size_t>(k_)])]);
  EXPECT_FALSE(a.needs_s8[static_cast<size_t>(a.group[static_cast<size_t>(q_)])]);
  EXPECT_EQ(FormOf(a, softmax_), Form::kConverted);
}

TEST_F(AttentionTest, StaysFloatWithoutVnni) {
  const Assignment a = Run({.has_vnni = false});
  EXPECT_FALSE(IsInt8(a, scores_));
  EXPECT_TRUE(IsInt8(a, q_));
  EXPECT_THAT(NoteOf(a, scores_), HasSubstr("saturate"));
}

TEST_F(AttentionTest, MaskedScoresAreNotQuantized) {
  unusable_ = q_;
  const Assignment a = Run();
  EXPECT_FALSE(IsInt8(a, scores_));
}

TEST_F(AssignTest, IntegerNetworksAreLeftAlone) {
  const ValueId x = b_.Input({1, 3, 8, 8}, DataType::kU8);
  b_.graph().value(x).quant = ir::QuantParams{{0.1f}, {}, -1};
  const ValueId y = b_.Node(ir::Pool{ir::PoolKind::kMax, SquareWindow({2, 2}, 2), false}, {x});
  b_.Output(y);
  const Assignment a = Run();
  EXPECT_EQ(FormOf(a, x), Form::kFloat);  // as it is
  EXPECT_FALSE(IsInt8(a, y));
}

}  // namespace
}  // namespace precis::quant
