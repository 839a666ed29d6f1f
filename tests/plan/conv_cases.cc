// Convolutions in all their geometries.
#include "absl/strings/str_cat.h"
#include "tests/plan/operator_case.h"

namespace precis::testing {
namespace {

using ir::ValueId;

struct Geometry {
  std::string name;
  Shape src;
  int64_t out_channels;
  ir::Window window;
  int64_t groups = 1;
  bool bias = true;
};

ir::Window Asymmetric(ir::Ints kernel, ir::Ints begin, ir::Ints end, ir::Ints strides) {
  ir::Window w = SquareWindow(std::move(kernel));
  w.pads_begin = std::move(begin);
  w.pads_end = std::move(end);
  w.strides = std::move(strides);
  return w;
}

OperatorCase Convolution(const Geometry& g) {
  return {.name = "Conv_" + g.name, .build = [g](GraphBuilder& b) {
            b.Output(b.Conv(b.Input(g.src), g.out_channels, g.window, g.groups, g.bias));
          }};
}

struct Transposed {
  std::string name;
  Shape src;
  int64_t out_channels;
  ir::ConvTranspose op;
  bool bias = true;
};

OperatorCase TransposedConvolution(const Transposed& t) {
  return {.name = "ConvTranspose_" + t.name, .build = [t](GraphBuilder& b) {
            const ValueId x = b.Input(t.src);
            Shape weights = {t.src[1], t.out_channels / t.op.groups};
            weights.insert(weights.end(), t.op.window.kernel.begin(), t.op.window.kernel.end());
            std::vector<ValueId> inputs = {x, b.Weights(weights)};
            if (t.bias) inputs.push_back(b.Weights({t.out_channels}));
            b.Output(b.Node(t.op, inputs));
          }};
}

// A convolution of [1,16,9,7] to 24 channels, then `more` on its result.
OperatorCase Fused(std::string name, std::function<void(GraphBuilder&, ValueId)> more) {
  OperatorCase c{.name = "Conv_" + std::move(name)};
  c.build = [more](GraphBuilder& b) {
    const ValueId y = b.Conv(b.Input({1, 16, 9, 7}), 24, SquareWindow({3, 3}, 1, 1));
    more(b, y);
    b.Output(y);
  };
  return c;
}

// The same with one fused operand, a constant and an input of the given shape.
void AddOperandCases(std::vector<OperatorCase>& cases, const std::string& name, ir::BinaryKind kind,
                     const Shape& shape) {
  const float low = kind == ir::BinaryKind::kDiv ? 0.5f : -1.0f;
  cases.push_back(Fused(absl::StrCat(name, "Constant"),
                        [=](GraphBuilder& b, ValueId y) { b.Fuse(y, kind, b.Weights(shape, low, 1.5f)); }));
  cases.push_back(Fused(absl::StrCat(name, "Computed"), [=](GraphBuilder& b, ValueId y) {
    ValueId operand = b.Unary(ir::UnaryKind::kRelu, b.Input(shape));
    if (kind == ir::BinaryKind::kDiv) operand = b.Unary(ir::UnaryKind::kLinear, operand, 0.5f, 1.0f);
    b.Fuse(y, kind, operand);
  }));
  cases.back().roundings = 2;
}

}  // namespace

std::vector<OperatorCase> ConvCases() {
  const Geometry geometries[] = {
      {"Pointwise", {1, 16, 7, 7}, 32, SquareWindow({1, 1})},
      {"PointwiseStride2", {1, 16, 8, 8}, 32, SquareWindow({1, 1}, 2)},
      {"PointwiseOnOnePixel", {1, 32, 1, 1}, 16, SquareWindow({1, 1})},
      {"Square", {1, 16, 9, 9}, 32, SquareWindow({3, 3}, 1, 1)},
      {"NoBias", {1, 16, 9, 9}, 32, SquareWindow({3, 3}, 1, 1), 1, false},
      {"OddChannels", {1, 3, 8, 8}, 5, SquareWindow({3, 3}, 1, 1)},
      {"PrimeChannels", {1, 17, 6, 6}, 33, SquareWindow({3, 3}, 1, 1)},
      {"OneChannel", {1, 1, 8, 8}, 1, SquareWindow({3, 3})},
      {"ManyChannels", {1, 96, 4, 4}, 72, SquareWindow({3, 3}, 1, 1)},
      {"Deep", {1, 512, 7, 7}, 64, SquareWindow({3, 3}, 1, 1)},
      {"DeepPointwise", {1, 1024, 7, 7}, 128, SquareWindow({1, 1})},
      {"FirstLayer", {1, 3, 32, 32}, 16, SquareWindow({7, 7}, 2, 3)},
      {"Stride2", {1, 16, 9, 9}, 16, SquareWindow({3, 3}, 2, 1)},
      {"Dilated", {1, 16, 11, 11}, 16, SquareWindow({3, 3}, 1, 2, 2)},
      {"AsymmetricPads", {1, 16, 8, 9}, 16, Asymmetric({3, 5}, {0, 2}, {1, 1}, {2, 1})},
      {"NoPads", {1, 8, 6, 6}, 8, SquareWindow({5, 5})},
      {"TallKernel", {1, 8, 12, 5}, 8, SquareWindow({7, 1}, 1, 0)},
      {"Batch2", {2, 16, 7, 7}, 24, SquareWindow({3, 3}, 1, 1)},
      {"Groups", {1, 32, 7, 7}, 32, SquareWindow({3, 3}, 1, 1), 2},
      {"OddGroups", {1, 9, 7, 7}, 6, SquareWindow({3, 3}, 1, 1), 3},
      {"GroupsBatch2", {2, 24, 5, 5}, 48, SquareWindow({1, 1}), 3},
      {"Depthwise", {1, 32, 9, 9}, 32, SquareWindow({3, 3}, 1, 1), 32},
      {"DepthwiseStride2", {1, 24, 9, 9}, 24, SquareWindow({5, 5}, 2, 2), 24},
      {"DepthwiseOddChannels", {2, 7, 6, 6}, 7, SquareWindow({3, 3}, 1, 1), 7},
      {"DepthwiseMultiplier", {1, 8, 6, 6}, 16, SquareWindow({3, 3}, 1, 1), 8},
      {"OneDimension", {1, 16, 20}, 24, SquareWindow({5}, 1, 2)},
      {"OneDimensionStride", {2, 6, 21}, 10, SquareWindow({3}, 2, 1)},
      {"OneDimensionDepthwise", {1, 16, 20}, 16, SquareWindow({3}, 1, 1), 16},
      {"ThreeDimensions", {1, 16, 5, 6, 7}, 16, SquareWindow({3, 3, 3}, 1, 1)},
      {"ThreeDimensionsOdd", {2, 3, 4, 5, 4}, 7, SquareWindow({2, 3, 1}, 1, 1)},
  };
  std::vector<OperatorCase> cases;
  for (const Geometry& g : geometries) {
    cases.push_back(Convolution(g));
    // In int8, AVX2 has kernels for groups of whole vectors and for one channel each way alone.
    cases.back().may_be_slow = g.name == "OddGroups" || g.name == "DepthwiseMultiplier";
  }
  const auto transpose = [](ir::Window w, int64_t groups = 1, ir::Ints extra = {}) {
    return ir::ConvTranspose{std::move(w), groups, std::move(extra), {}};
  };
  const Transposed transposed[] = {
      {"Doubling", {1, 16, 5, 5}, 16, transpose(SquareWindow({2, 2}, 2))},
      {"Overlapping", {1, 16, 5, 6}, 24, transpose(SquareWindow({3, 3}, 2, 1))},
      {"OutputPadding", {1, 8, 5, 5}, 8, transpose(SquareWindow({3, 3}, 2, 1), 1, {1, 1})},
      {"NoBias", {1, 16, 4, 4}, 8, transpose(SquareWindow({3, 3})), false},
      {"OddChannels", {2, 3, 4, 4}, 5, transpose(SquareWindow({3, 3}, 2))},
      {"Groups", {1, 16, 4, 4}, 32, transpose(SquareWindow({3, 3}, 1, 1), 2)},
      {"Dilated", {1, 8, 5, 5}, 8, transpose(SquareWindow({3, 3}, 1, 2, 2))},
      {"AsymmetricPads", {1, 8, 5, 5}, 8, transpose(Asymmetric({3, 3}, {0, 1}, {1, 0}, {2, 2}))},
      {"OneDimension", {1, 8, 9}, 8, transpose(SquareWindow({4}, 2, 1))},
      {"ThreeDimensions", {1, 4, 3, 3, 3}, 4, transpose(SquareWindow({2, 2, 2}, 2))},
  };
  for (const Transposed& t : transposed) {
    cases.push_back(TransposedConvolution(t));
    cases.back().may_be_slow = true;
  }
  return cases;
}

std::vector<OperatorCase> ConvPostOpCases() {
  using ir::BinaryKind;
  using ir::UnaryKind;
  std::vector<OperatorCase> cases;
  const ir::Unary unaries[] = {
      {UnaryKind::kRelu},
      {UnaryKind::kLeakyRelu, 0.1f},
      {UnaryKind::kElu, 1.5f},
      {UnaryKind::kClip, 0, 6},
      {UnaryKind::kClip, 0, 3.4e38f},
      {UnaryKind::kClip, -0.25f, 0.5f},
      {UnaryKind::kSigmoid},
      {UnaryKind::kHardSigmoid, 0.2f, 0.5f},
      {UnaryKind::kHardSwish},
      {UnaryKind::kSilu},
      {UnaryKind::kMish},
      {UnaryKind::kTanh},
      {UnaryKind::kGeluErf},
      {UnaryKind::kGeluTanh},
      {UnaryKind::kSoftplus},
      {UnaryKind::kAbs},
      {UnaryKind::kLinear, -2.0f, 0.5f},
      {UnaryKind::kNeg},
      {UnaryKind::kExp},
      {UnaryKind::kErf},
      {UnaryKind::kSoftsign},
      {UnaryKind::kSin},
      {UnaryKind::kSelu, 1.67f, 1.05f},
      {UnaryKind::kThresholdedRelu, 0.5f},
  };
  for (const ir::Unary& unary : unaries) {
    std::string name = absl::StrCat("Then", std::string(ir::OpName(unary.kind)));
    if (unary.kind == UnaryKind::kClip)
      absl::StrAppend(&name, unary.alpha < 0 ? "Both" : unary.beta > 6 ? "Below" : "6");
    cases.push_back(Fused(name, [unary](GraphBuilder& b, ValueId y) { b.Fuse(y, unary); }));
  }
  for (const BinaryKind kind :
       {BinaryKind::kAdd, BinaryKind::kSub, BinaryKind::kMul, BinaryKind::kDiv, BinaryKind::kMin, BinaryKind::kMax}) {
    AddOperandCases(cases, absl::StrCat(std::string(ir::OpName(kind)), "PerChannel"), kind, {1, 24, 1, 1});
  }
  AddOperandCases(cases, "AddScalar", BinaryKind::kAdd, {});
  AddOperandCases(cases, "MulOne", BinaryKind::kMul, {1});
  AddOperandCases(cases, "MulPerChannelRank3", BinaryKind::kMul, {24, 1, 1});
  AddOperandCases(cases, "AddFull", BinaryKind::kAdd, {1, 24, 9, 7});
  AddOperandCases(cases, "AddFullRank3", BinaryKind::kAdd, {24, 9, 7});
  AddOperandCases(cases, "SubFull", BinaryKind::kSub, {1, 24, 9, 7});
  AddOperandCases(cases, "MulPerPosition", BinaryKind::kMul, {1, 1, 9, 7});
  AddOperandCases(cases, "AddPerRow", BinaryKind::kAdd, {9, 1});
  cases.push_back(Fused("AddReluMul", [](GraphBuilder& b, ValueId y) {
    b.Fuse(y, BinaryKind::kAdd, b.Weights({1, 24, 1, 1}));
    b.Fuse(y, ir::Unary{UnaryKind::kRelu});
    b.Fuse(y, BinaryKind::kMul, b.Weights({1, 24, 9, 7}));
  }));
  cases.push_back(Fused("ErfBetweenAdds", [](GraphBuilder& b, ValueId y) {
    b.Fuse(y, BinaryKind::kAdd, b.Weights({1, 24, 9, 7}));
    b.Fuse(y, ir::Unary{UnaryKind::kErf});
    b.Fuse(y, BinaryKind::kAdd, b.Weights({24, 1, 1}));
  }));

  const auto residual = [&](std::string name, std::function<void(GraphBuilder&)> build) {
    cases.push_back({.name = "Residual_" + std::move(name), .build = std::move(build), .roundings = 3});
  };
  const auto conv = [](GraphBuilder& b, ValueId x) { return b.Conv(x, 16, SquareWindow({3, 3}, 1, 1)); };
  residual("Dies", [=](GraphBuilder& b) {
    const ValueId x = b.Input({1, 16, 8, 8});
    const ValueId r = conv(b, x), y = conv(b, b.Unary(UnaryKind::kRelu, x));
    b.Fuse(y, BinaryKind::kAdd, r);
    b.Fuse(y, ir::Unary{UnaryKind::kRelu});
    b.Output(conv(b, y));
  });
  residual("StaysAlive", [=](GraphBuilder& b) {
    const ValueId x = b.Input({1, 16, 8, 8});
    const ValueId r = conv(b, x), y = conv(b, b.Unary(UnaryKind::kRelu, x));
    b.Fuse(y, BinaryKind::kAdd, r);
    b.Output(b.Binary(BinaryKind::kSub, conv(b, y), r));
  });
  residual("IsTheSource", [=](GraphBuilder& b) {
    const ValueId x = conv(b, b.Input({1, 16, 8, 8}));
    const ValueId y = conv(b, x);
    b.Fuse(y, BinaryKind::kAdd, x);
    b.Output(conv(b, y));
  });
  residual("IsAViewOfTheSource", [=](GraphBuilder& b) {
    const ValueId x = conv(b, b.Input({1, 16, 8, 8}));
    const ValueId y = conv(b, x);
    b.Fuse(y, BinaryKind::kAdd, b.Transpose(x, {0, 1, 3, 2}));
    b.Output(conv(b, y));
  });
  residual("AddedTwice", [=](GraphBuilder& b) {
    const ValueId x = b.Input({1, 16, 8, 8});
    const ValueId r = conv(b, x), y = conv(b, b.Unary(UnaryKind::kRelu, x));
    b.Fuse(y, BinaryKind::kAdd, r);
    b.Fuse(y, BinaryKind::kMul, r);
    b.Output(conv(b, y));
  });
  residual("IsAnOutput", [=](GraphBuilder& b) {
    const ValueId x = b.Input({1, 16, 8, 8});
    const ValueId r = conv(b, x), y = conv(b, b.Unary(UnaryKind::kRelu, x));
    b.Output(r);
    b.Fuse(y, BinaryKind::kAdd, r);
    b.Output(conv(b, y));
  });
  residual("IsAnInput", [=](GraphBuilder& b) {
    const ValueId y = conv(b, b.Input({1, 16, 8, 8}));
    b.Fuse(y, BinaryKind::kAdd, b.Input({1, 16, 8, 8}));
    b.Output(y);
  });
  residual("AfterRelu", [=](GraphBuilder& b) {
    const ValueId x = b.Input({1, 16, 8, 8});
    const ValueId r = conv(b, x), y = conv(b, b.Unary(UnaryKind::kRelu, x));
    b.Fuse(y, ir::Unary{UnaryKind::kRelu});
    b.Fuse(y, BinaryKind::kAdd, r);
    b.Output(conv(b, y));
  });
  residual("Batch2", [=](GraphBuilder& b) {
    const ValueId x = b.Input({2, 16, 8, 8});
    const ValueId r = conv(b, x), y = conv(b, b.Unary(UnaryKind::kRelu, x));
    b.Fuse(y, BinaryKind::kAdd, r);
    b.Output(conv(b, y));
  });
  residual("WithoutBatch", [=](GraphBuilder& b) {
    const ValueId x = b.Input({1, 16, 8, 8});
    const ValueId r = b.Reshape(b.Unary(UnaryKind::kTanh, x), {16, 8, 8}), y = conv(b, b.Unary(UnaryKind::kRelu, x));
    b.Fuse(y, BinaryKind::kAdd, r);
    b.Output(conv(b, y));
  });
  residual("Depthwise", [=](GraphBuilder& b) {
    const ValueId x = b.Input({1, 32, 8, 8});
    const ValueId r = b.Conv(x, 32, SquareWindow({1, 1}));
    const ValueId y = b.Conv(r, 32, SquareWindow({3, 3}, 1, 1), 32);
    b.Fuse(y, BinaryKind::kAdd, x);
    b.Output(b.Conv(y, 16, SquareWindow({1, 1})));
  });
  return cases;
}

}  // namespace precis::testing
