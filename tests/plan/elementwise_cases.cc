// Operators on single elements, alone and in the layouts that other operators leave.
#include "absl/strings/str_cat.h"
#include "tests/plan/operator_case.h"

namespace precis::testing {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ir::ValueId;

void AddUnaryCases(std::vector<OperatorCase>& cases) {
  struct Function {
    ir::Unary op;
    float low = -3.0f, high = 3.0f;
  };
  const Function functions[] = {
      {{UnaryKind::kRelu}},
      {{UnaryKind::kLeakyRelu, 0.1f}},
      {{UnaryKind::kElu, 1.5f}},
      {{UnaryKind::kSelu, 1.67f, 1.05f}},
      {{UnaryKind::kCelu, 0.7f}},
      {{UnaryKind::kThresholdedRelu, 1.0f}},
      {{UnaryKind::kClip, -1.0f, 2.0f}},
      {{UnaryKind::kSigmoid}},
      {{UnaryKind::kHardSigmoid, 0.2f, 0.5f}},
      {{UnaryKind::kHardSwish}, -5.0f, 5.0f},
      {{UnaryKind::kSilu}},
      {{UnaryKind::kMish}},
      {{UnaryKind::kTanh}},
      {{UnaryKind::kGeluErf}},
      {{UnaryKind::kGeluTanh}},
      {{UnaryKind::kSoftplus}},
      {{UnaryKind::kSoftsign}},
      {{UnaryKind::kErf}},
      {{UnaryKind::kExp}},
      {{UnaryKind::kLog}, 0.1f, 5.0f},
      {{UnaryKind::kSqrt}, 0.0f, 5.0f},
      {{UnaryKind::kReciprocal}, 0.5f, 4.0f},
      {{UnaryKind::kAbs}},
      {{UnaryKind::kNeg}},
      {{UnaryKind::kSin}},
      {{UnaryKind::kCos}},
      {{UnaryKind::kAtan}},
      {{UnaryKind::kAsin}, -0.9f, 0.9f},
      {{UnaryKind::kAcos}, -0.9f, 0.9f},
      {{UnaryKind::kTan}, -1.0f, 1.0f},
      {{UnaryKind::kSinh}},
      {{UnaryKind::kCosh}},
      {{UnaryKind::kAsinh}},
      {{UnaryKind::kAcosh}, 1.1f, 4.0f},
      {{UnaryKind::kAtanh}, -0.9f, 0.9f},
      {{UnaryKind::kLinear, -1.5f, 0.25f}},
      {{UnaryKind::kShrink, 0.5f, 0.1f}},
  };
  for (const Function& f : functions) {
    OperatorCase c{.name = absl::StrCat("Unary_", std::string(ir::OpName(f.op.kind)))};
    c.build = [f](GraphBuilder& b) { b.Output(b.Node(f.op, {b.Input({2, 5, 3, 7})})); };
    c.low = f.low;
    c.high = f.high;
    c.roundings = 2;
    // A jump makes a neighbour of the threshold land anywhere.
    c.int8 = c.narrow = f.op.kind != UnaryKind::kShrink && f.op.kind != UnaryKind::kThresholdedRelu;
    cases.push_back(std::move(c));
  }
  // Steps: exact in f32, meaningless next to a threshold at less.
  for (const UnaryKind kind : {UnaryKind::kSign, UnaryKind::kFloor, UnaryKind::kCeil, UnaryKind::kRound}) {
    cases.push_back({.name = absl::StrCat("Unary_", std::string(ir::OpName(kind))),
                     .build = [kind](GraphBuilder& b) { b.Output(b.Unary(kind, b.Input({3, 8}))); },
                     .int8 = false,
                     .narrow = false,
                     .low = -3.0f,
                     .high = 3.0f});
  }
  cases.push_back({.name = "Unary_FloatPredicates",
                   .build =
                       [](GraphBuilder& b) {
                         const ValueId x =
                             b.Unary(UnaryKind::kLog, b.Input({3, 8}));  // NaN where the input is negative
                         b.Output(b.Unary(UnaryKind::kIsNan, x));
                         b.Output(b.Unary(UnaryKind::kIsInf, x, 1.0f, 1.0f));
                       },
                   .int8 = false,
                   .narrow = false});
  cases.push_back(
      {.name = "Unary_OnBool",
       .build = [](GraphBuilder& b) { b.Output(b.Unary(UnaryKind::kNot, b.Input({3, 8}, DataType::kBool))); },
       .int8 = false,
       .narrow = false});
  for (const DataType type : {DataType::kS32, DataType::kS64}) {
    cases.push_back({.name = absl::StrCat("Unary_NegOn", type == DataType::kS32 ? "S32" : "S64"),
                     .build = [type](GraphBuilder& b) { b.Output(b.Unary(UnaryKind::kNeg, b.Input({3, 8}, type))); },
                     .int8 = false,
                     .narrow = false,
                     .low = -9.0f,
                     .high = 9.0f});
  }
}

void AddBinaryCases(std::vector<OperatorCase>& cases) {
  struct Shapes {
    std::string name;
    Shape a, b;
  };
  const Shapes shapes[] = {
      {"Same", {2, 16, 5, 5}, {2, 16, 5, 5}},
      {"PerChannel", {2, 16, 5, 5}, {16, 1, 1}},
      {"PerChannelBatch", {2, 16, 5, 5}, {2, 16, 1, 1}},
      {"LastDimension", {2, 6, 32}, {32}},
      {"Scalar", {3, 8}, {}},
      {"OneElement", {3, 8}, {1}},
      {"ScalarLeft", {}, {3, 8}},
      {"Leading", {4, 8}, {4, 1}},
      {"LeftSmaller", {8}, {3, 8}},
      {"BothBroadcast", {4, 1, 8}, {1, 3, 8}},
      {"Outer", {5, 1}, {1, 7}},
      {"Scalars", {}, {}},
      {"SixDimensions", {1, 2, 2, 2, 2, 3}, {2, 3}},
  };
  for (const BinaryKind kind :
       {BinaryKind::kAdd, BinaryKind::kSub, BinaryKind::kMul, BinaryKind::kDiv, BinaryKind::kMin, BinaryKind::kMax}) {
    for (const Shapes& s : shapes) {
      for (const bool constant : {false, true}) {
        OperatorCase c{.name =
                           absl::StrCat("Binary_", std::string(ir::OpName(kind)), s.name, constant ? "Constant" : "")};
        c.build = [=](GraphBuilder& b) {
          const ValueId x = b.Input(s.a);
          b.Output(b.Binary(kind, x, constant ? b.Weights(s.b, 0.5f, 2.0f) : b.Input(s.b)));
        };
        if (kind == BinaryKind::kDiv) c.low = 0.5f, c.high = 2.0f;
        c.roundings = 2;
        cases.push_back(std::move(c));
      }
    }
  }
  const auto f32 = [&](std::string name, std::function<void(GraphBuilder&)> build, float low = -2.0f,
                       float high = 2.0f) {
    cases.push_back({.name = "Binary_" + std::move(name),
                     .build = std::move(build),
                     .int8 = false,
                     .narrow = false,
                     .low = low,
                     .high = high});
  };
  f32("Pow", [](GraphBuilder& b) { b.Output(b.Binary(BinaryKind::kPow, b.Input({3, 8}), b.Input({3, 8}))); }, 0.1f);
  f32("Prelu",
      [](GraphBuilder& b) { b.Output(b.Binary(BinaryKind::kPrelu, b.Input({1, 8, 3, 3}), b.Weights({8, 1, 1}))); });
  f32("Less", [](GraphBuilder& b) { b.Output(b.Binary(BinaryKind::kLess, b.Input({3, 8}), b.Input({8}))); });
  f32("Equal", [](GraphBuilder& b) {
    b.Output(b.Binary(BinaryKind::kEqual, b.Input({3, 8}, DataType::kS64), b.Input({8}, DataType::kS64)));
  });
  f32(
      "AddS64",
      [](GraphBuilder& b) {
        b.Output(b.Binary(BinaryKind::kAdd, b.Input({3, 8}, DataType::kS64), b.Input({8}, DataType::kS64)));
      },
      0, 100);
  f32(
      "MulS32",
      [](GraphBuilder& b) {
        b.Output(b.Binary(BinaryKind::kMul, b.Input({3, 8}, DataType::kS32), b.Input({8}, DataType::kS32)));
      },
      -9, 9);
  f32("And", [](GraphBuilder& b) {
    b.Output(b.Binary(BinaryKind::kAnd, b.Input({3, 8}, DataType::kBool), b.Input({8}, DataType::kBool)));
  });
  const auto more = [&](std::string name, std::function<void(GraphBuilder&)> build, int roundings = 2) {
    cases.push_back({.name = "Binary_" + std::move(name), .build = std::move(build), .roundings = roundings});
  };
  more("FusedRelu", [](GraphBuilder& b) {
    const ValueId y = b.Binary(BinaryKind::kAdd, b.Input({2, 8, 5, 5}), b.Input({2, 8, 5, 5}));
    b.Fuse(y, ir::Unary{UnaryKind::kRelu});
    b.Output(y);
  });
  more("FusedReluBroadcastBoth", [](GraphBuilder& b) {
    const ValueId y = b.Binary(BinaryKind::kAdd, b.Input({4, 1, 8}), b.Input({1, 3, 8}));
    b.Fuse(y, ir::Unary{UnaryKind::kRelu});
    b.Output(y);
  });
  more("FusedReluSubLeftSmaller", [](GraphBuilder& b) {
    const ValueId y = b.Binary(BinaryKind::kSub, b.Weights({8}), b.Input({3, 8}));
    b.Fuse(y, ir::Unary{UnaryKind::kSigmoid});
    b.Output(y);
  });
  more("MulThenAddConstant", [](GraphBuilder& b) {
    const ValueId y = b.Binary(BinaryKind::kMul, b.Input({1, 8, 5, 5}), b.Weights({8, 1, 1}));
    b.Fuse(y, BinaryKind::kAdd, b.Weights({8, 1, 1}));
    b.Output(y);
  });
  more(
      "OfItself",
      [](GraphBuilder& b) {
        const ValueId x = b.Unary(UnaryKind::kTanh, b.Input({3, 40}));
        b.Output(b.Unary(UnaryKind::kNeg, b.Binary(BinaryKind::kMul, x, x)));
      },
      4);
  more(
      "WithItsTranspose",
      [](GraphBuilder& b) {
        const ValueId x = b.Unary(UnaryKind::kTanh, b.Input({16, 16}));
        b.Output(b.Unary(UnaryKind::kNeg, b.Binary(BinaryKind::kAdd, x, b.Transpose(x, {1, 0}))));
      },
      4);
  more(
      "OfTwoConvolutions",
      [](GraphBuilder& b) {
        const ValueId x = b.Input({1, 16, 8, 8});
        const ValueId y = b.Conv(x, 32, SquareWindow({3, 3}, 1, 1)), z = b.Conv(x, 32, SquareWindow({1, 1}));
        b.Output(b.Binary(BinaryKind::kAdd, y, z));
      },
      3);
  more(
      "GateOfConvolution",
      [](GraphBuilder& b) {
        const ValueId y = b.Conv(b.Input({1, 16, 8, 8}), 32, SquareWindow({3, 3}, 1, 1));
        const ValueId gate = b.Unary(UnaryKind::kSigmoid, b.Node(ir::GlobalPool{}, {y}));
        b.Output(b.Conv(b.Binary(BinaryKind::kMul, y, gate), 16, SquareWindow({1, 1})));
      },
      5);
  more(
      "ConstantOfFullSizeAfterConvolution",
      [](GraphBuilder& b) {
        const ValueId y = b.Conv(b.Input({1, 16, 6, 6}), 32, SquareWindow({3, 3}, 1, 1));
        b.Output(b.Binary(BinaryKind::kAdd, y, b.Weights({1, 32, 6, 6})));
      },
      3);
}

}  // namespace

std::vector<OperatorCase> ElementwiseCases() {
  std::vector<OperatorCase> cases;
  AddUnaryCases(cases);
  AddBinaryCases(cases);
  return cases;
}

}  // namespace precis::testing
