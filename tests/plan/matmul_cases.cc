// Matrix products: constant weights, activations on both sides, views as operands.
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/plan/operator_case.h"

namespace precis::testing {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ir::ValueId;

struct Product {
  std::string name;
  Shape a, b;
  ir::MatMul op;
  bool constant = true;  // b
  std::optional<Shape> bias = std::nullopt;
};

OperatorCase Multiply(const Product& p) {
  OperatorCase c{.name = "MatMul_" + p.name};
  c.build = [p](GraphBuilder& b) {
    std::vector<ValueId> inputs = {b.Input(p.a), p.constant ? b.Weights(p.b) : b.Input(p.b)};
    if (p.bias) inputs.push_back(b.Weights(*p.bias));
    b.Output(b.Node(p.op, inputs));
  };
  return c;
}

// Self-attention over [batch, tokens, heads * width] as exporters write it.
void Attention(GraphBuilder& b, int64_t batch, int64_t tokens, int64_t heads, int64_t width, bool mask) {
  const ValueId x = b.Input({batch, tokens, heads * width});
  const auto project = [&](ir::Ints perm) {
    const ValueId y =
        b.Node(ir::MatMul{}, {x, b.Weights({heads * width, heads * width}, -0.3f, 0.3f), b.Weights({heads * width})});
    return b.Transpose(b.Reshape(y, {batch, tokens, heads, width}), std::move(perm));
  };
  const ValueId q = project({0, 2, 1, 3}), k = project({0, 2, 3, 1}), v = project({0, 2, 1, 3});
  ValueId scores = b.Node(ir::MatMul{false, false, 0.25f}, {q, k});
  if (mask) b.Fuse(scores, BinaryKind::kAdd, b.Input({batch, 1, 1, tokens}));
  const ValueId context = b.Node(ir::MatMul{}, {b.Node(ir::Softmax{-1}, {scores}), v});
  const ValueId joined = b.Reshape(b.Transpose(context, {0, 2, 1, 3}), {batch, tokens, heads * width});
  b.Output(b.Node(ir::MatMul{}, {joined, b.Weights({heads * width, heads * width}, -0.3f, 0.3f)}));
}

}  // namespace

std::vector<OperatorCase> MatMulCases() {
  const ir::MatMul plain, ta{true, false}, tb{false, true}, both{true, true}, scaled{false, false, 0.125f};
  const Product products[] = {
      {"TwoDimensions", {5, 32}, {32, 48}, plain},
      {"OneRow", {1, 64}, {64, 10}, plain, true, Shape{10}},
      {"OneColumn", {6, 16}, {16, 1}, plain},
      {"OneByOne", {1, 1}, {1, 1}, plain},
      {"Odd", {3, 7}, {7, 5}, plain, true, Shape{5}},
      {"Bias", {5, 32}, {32, 48}, plain, true, Shape{48}},
      {"BiasRow", {5, 32}, {32, 48}, plain, true, Shape{1, 48}},
      {"BiasColumn", {5, 32}, {32, 48}, plain, true, Shape{5, 1}},
      {"BiasFull", {5, 32}, {32, 48}, plain, true, Shape{5, 48}},
      {"BiasScalar", {5, 32}, {32, 48}, plain, true, Shape{}},
      {"BiasScalarOneColumn", {5, 32}, {32, 1}, plain, true, Shape{}},
      {"BiasFullCollapsed", {2, 3, 16}, {16, 8}, plain, true, Shape{2, 3, 8}},
      {"BiasPartCollapsed", {2, 3, 16}, {16, 8}, plain, true, Shape{3, 8}},
      {"BiasLeadingCollapsed", {2, 3, 16}, {16, 8}, plain, true, Shape{1, 1, 8}},
      {"TransposeA", {32, 5}, {32, 48}, ta},
      {"TransposeB", {5, 32}, {48, 32}, tb, true, Shape{48}},
      {"TransposeBoth", {32, 5}, {48, 32}, both},
      {"Alpha", {5, 32}, {32, 48}, scaled},
      {"AlphaBias", {5, 32}, {32, 48}, scaled, true, Shape{48}},
      {"AlphaBiasFull", {5, 32}, {32, 48}, scaled, true, Shape{5, 48}},
      {"Batch", {2, 3, 5, 16}, {16, 24}, plain, true, Shape{24}},
      {"BatchTransposeA", {2, 16, 5}, {16, 24}, ta},
      {"BatchConstant", {2, 5, 16}, {2, 16, 24}, plain},
      {"BroadcastConstant", {5, 16}, {3, 16, 8}, plain},
      {"Activations", {4, 5, 16}, {4, 16, 8}, plain, false},
      {"ActivationsTransposeB", {2, 3, 5, 16}, {2, 3, 7, 16}, tb, false},
      {"ActivationsTransposeA", {2, 16, 5}, {2, 16, 7}, ta, false},
      {"ActivationsBroadcastB", {4, 5, 16}, {1, 16, 8}, plain, false},
      {"ActivationsBroadcastA", {1, 5, 16}, {4, 16, 8}, plain, false},
      {"ActivationsRanksDiffer", {2, 4, 5, 16}, {4, 16, 8}, plain, false},
      {"ActivationsRanksDifferOtherWay", {5, 16}, {4, 16, 8}, plain, false},
      {"ActivationsMatrix", {4, 5, 16}, {16, 8}, plain, false},
      {"ActivationsAlpha", {2, 5, 16}, {2, 16, 8}, scaled, false},
      {"DeepOneRow", {1, 1280}, {1280, 1000}, plain, true, Shape{1000}},  // deep enough for kernels to block along K
      {"DeepMatrix", {96, 768}, {768, 256}, plain},
      {"VeryDeep", {3, 4096}, {4096, 64}, plain},
      {"DeepActivations", {2, 33, 700}, {2, 700, 40}, plain, false},
      {"VectorLeft", {16}, {16, 8}, plain},
      {"VectorRight", {5, 16}, {16}, plain, false},
      {"VectorBoth", {16}, {16}, plain, false},
  };
  std::vector<OperatorCase> cases;
  for (const Product& p : products) {
    cases.push_back(Multiply(p));
    const bool vector = p.a.size() == 1 || p.b.size() == 1;
    const bool odd_bias = p.name == "BiasColumn" || p.name == "BiasPartCollapsed";  // no fast kernel adds one of these
    cases.back().int8 = !vector;
    cases.back().may_be_slow = vector || odd_bias;
  }
  const auto add = [&](std::string name, std::function<void(GraphBuilder&)> build, int roundings = 1) {
    cases.push_back({.name = "MatMul_" + std::move(name), .build = std::move(build), .roundings = roundings});
  };
  for (const UnaryKind kind :
       {UnaryKind::kRelu, UnaryKind::kGeluErf, UnaryKind::kGeluTanh, UnaryKind::kTanh, UnaryKind::kErf}) {
    add(absl::StrCat("Then", std::string(ir::OpName(kind))), [kind](GraphBuilder& b) {
      const ValueId y = b.Node(ir::MatMul{}, {b.Input({2, 6, 32}), b.Weights({32, 48}, -0.5f, 0.5f), b.Weights({48})});
      b.Fuse(y, ir::Unary{kind});
      b.Output(y);
    });
  }
  for (const Shape& shape :
       {Shape{2, 6, 48}, Shape{6, 48}, Shape{48}, Shape{}, Shape{2, 1, 48}, Shape{2, 6, 1}, Shape{6, 1}}) {
    add(
        absl::StrCat("Add", absl::StrJoin(shape, "x")),
        [shape](GraphBuilder& b) {
          const ValueId x = b.Input({2, 6, 32});
          const ValueId y = b.Node(ir::MatMul{}, {x, b.Weights({32, 48})});
          b.Fuse(y, BinaryKind::kAdd, b.Unary(UnaryKind::kTanh, b.Input(shape)));
          b.Output(y);
        },
        2);
  }
  add(
      "ResidualOfTransformer",
      [](GraphBuilder& b) {
        const ValueId x = b.Unary(UnaryKind::kTanh, b.Input({1, 6, 32}));
        const ValueId y = b.Node(
            ir::MatMul{}, {b.Node(ir::MatMul{}, {x, b.Weights({32, 64})}), b.Weights({64, 32}), b.Weights({32})});
        b.Fuse(y, BinaryKind::kAdd, x);
        b.Output(b.Node(ir::MatMul{}, {y, b.Weights({32, 8})}));
      },
      3);
  add(
      "ResidualIsTheSource",
      [](GraphBuilder& b) {
        const ValueId x = b.Unary(UnaryKind::kTanh, b.Input({6, 32}));
        const ValueId y = b.Node(ir::MatMul{}, {x, b.Weights({32, 32})});
        b.Fuse(y, BinaryKind::kAdd, x);
        b.Output(b.Unary(UnaryKind::kNeg, y));
      },
      2);
  add(
      "ResidualIsTheOtherFactor",
      [](GraphBuilder& b) {
        const ValueId x = b.Unary(UnaryKind::kTanh, b.Input({2, 16, 16})),
                      w = b.Unary(UnaryKind::kTanh, b.Input({2, 16, 16}));
        const ValueId y = b.Node(ir::MatMul{}, {x, w});
        b.Fuse(y, BinaryKind::kAdd, w);
        b.Output(b.Unary(UnaryKind::kNeg, y));
      },
      2);
  add(
      "ResidualOfBatchedProduct",
      [](GraphBuilder& b) {
        const ValueId x = b.Input({2, 3, 8, 8});
        const ValueId r = b.Unary(UnaryKind::kTanh, x),
                      y = b.Node(ir::MatMul{}, {x, b.Unary(UnaryKind::kRelu, b.Input({2, 3, 8, 8}))});
        b.Fuse(y, BinaryKind::kAdd, r);
        b.Output(b.Unary(UnaryKind::kNeg, y));
      },
      2);
  add("Attention", [](GraphBuilder& b) { Attention(b, 1, 12, 4, 16, false); }, 4);
  add("AttentionMaskedBatch2", [](GraphBuilder& b) { Attention(b, 2, 7, 2, 8, true); }, 4);
  add(
      "OfConvolution",
      [](GraphBuilder& b) {
        const ValueId y = b.Conv(b.Input({1, 16, 4, 4}), 32, SquareWindow({3, 3}, 1, 1));
        b.Output(
            b.Node(ir::MatMul{}, {b.Node(ir::Flatten{1}, {y}), b.Weights({512, 10}, -0.1f, 0.1f), b.Weights({10})}));
      },
      2);
  add(
      "OfConvolutionBothSides",
      [](GraphBuilder& b) {
        const ValueId y = b.Conv(b.Input({1, 16, 8, 8}), 16, SquareWindow({1, 1}));
        b.Output(b.Node(ir::MatMul{false, true, 0.125f}, {y, y}));
      },
      2);
  add(
      "OfSequence",
      [](GraphBuilder& b) {
        const ValueId y = b.Conv(b.Input({1, 16, 24}), 32, SquareWindow({3}, 1, 1));
        b.Output(b.Node(ir::MatMul{}, {b.Transpose(y, {0, 2, 1}), b.Weights({32, 8})}));
      },
      2);
  // Both sides turned, as a segmentation head writes it: channels first, a product over the channels, channels first again.
  add(
      "OverChannelsFirst",
      [](GraphBuilder& b) {
        const ValueId y = b.Node(ir::MatMul{true, false}, {b.Input({1, 32, 64}), b.Weights({32, 48})});
        b.Output(b.Conv(b.Reshape(b.Transpose(y, {0, 2, 1}), {1, 48, 8, 8}), 8, SquareWindow({1, 1})));
      },
      2);
  add(
      "SquareOfOneValue",
      [](GraphBuilder& b) {
        const ValueId x = b.Unary(UnaryKind::kTanh, b.Input({3, 16, 16}));
        b.Output(b.Node(ir::MatMul{}, {x, x}));
      },
      2);
  return cases;
}

}  // namespace precis::testing
