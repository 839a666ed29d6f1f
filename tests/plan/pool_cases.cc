// Pooling, normalisation and softmax.
#include "absl/strings/str_cat.h"
#include "tests/plan/operator_case.h"

namespace precis::testing {
namespace {

using ir::PoolKind;
using ir::ValueId;

std::string KindName(PoolKind kind) {
  return kind == PoolKind::kMax ? "Max" : kind == PoolKind::kAverage ? "Average" : "AverageIncludePad";
}

OperatorCase OneNode(std::string name, const Shape& shape, ir::Op op) {
  return {.name = std::move(name), .build = [=](GraphBuilder& b) { b.Output(b.Node(op, {b.Input(shape)})); }};
}

}  // namespace

std::vector<OperatorCase> PoolCases() {
  struct Window {
    std::string name;
    Shape src;
    ir::Window window;
    bool ceil = false;
  };
  ir::Window uneven = SquareWindow({3, 2}, 2);
  uneven.pads_begin = {1, 0};
  uneven.pads_end = {0, 1};
  const Window windows[] = {
      {"Halving", {1, 16, 8, 8}, SquareWindow({2, 2}, 2)},
      {"Padded", {1, 16, 9, 9}, SquareWindow({3, 3}, 2, 1)},
      {"SameSize", {2, 24, 7, 7}, SquareWindow({3, 3}, 1, 1)},
      {"OddChannels", {1, 5, 8, 8}, SquareWindow({3, 3}, 1)},
      {"Uneven", {1, 16, 9, 8}, uneven},
      {"Ceil", {1, 16, 8, 8}, SquareWindow({3, 3}, 2), true},
      {"CeilPadded", {1, 16, 8, 8}, SquareWindow({3, 3}, 2, 1), true},
      {"Dilated", {1, 16, 9, 9}, SquareWindow({3, 3}, 1, 0, 2)},
      {"OneDimension", {1, 16, 15}, SquareWindow({3}, 2, 1)},
      {"ThreeDimensions", {1, 8, 4, 6, 5}, SquareWindow({2, 2, 2}, 2)},
      {"WholeImage", {1, 16, 5, 5}, SquareWindow({5, 5})},
  };
  std::vector<OperatorCase> cases;
  for (const PoolKind kind : {PoolKind::kMax, PoolKind::kAverage, PoolKind::kAverageIncludePad}) {
    for (const Window& w : windows) {
      cases.push_back(OneNode(absl::StrCat("Pool_", KindName(kind), w.name), w.src, ir::Pool{kind, w.window, w.ceil}));
      // oneDNN has no fast kernel for holes in the window, and none that counts padding but not what ceil_mode adds.
      cases.back().may_be_slow = w.window.dilations[0] > 1 || (w.ceil && kind == PoolKind::kAverageIncludePad);
    }
    for (const Shape& shape :
         {Shape{1, 32, 7, 7}, Shape{2, 5, 4, 6}, Shape{1, 8, 9}, Shape{1, 8, 3, 4, 5}, Shape{1, 16, 1, 1}}) {
      if (kind == PoolKind::kAverageIncludePad) continue;
      cases.push_back(OneNode(absl::StrCat("GlobalPool_", KindName(kind), shape.size(), "D", shape[1]), shape,
                              ir::GlobalPool{kind}));
    }
  }
  cases.push_back({.name = "Pool_OfConvolution",
                   .build =
                       [](GraphBuilder& b) {
                         const ValueId y = b.Conv(b.Input({1, 3, 12, 12}), 32, SquareWindow({3, 3}, 1, 1));
                         b.Fuse(y, ir::Unary{ir::UnaryKind::kRelu});
                         b.Output(b.Node(ir::Pool{PoolKind::kMax, SquareWindow({3, 3}, 2, 1)}, {y}));
                       },
                   .roundings = 2});
  cases.push_back({.name = "GlobalPool_OfConvolutionThenProduct",
                   .build =
                       [](GraphBuilder& b) {
                         const ValueId y = b.Conv(b.Input({2, 3, 9, 9}), 32, SquareWindow({3, 3}, 2, 1));
                         const ValueId pooled = b.Node(ir::Flatten{1}, {b.Node(ir::GlobalPool{}, {y})});
                         b.Output(b.Node(ir::MatMul{}, {pooled, b.Weights({32, 10}), b.Weights({10})}));
                       },
                   .roundings = 3});
  // Group convolutions leave blocks of channels; not every precision has a pooling kernel for those.
  cases.push_back({.name = "GlobalPool_OfGroupConvolution",
                   .build =
                       [](GraphBuilder& b) {
                         const ValueId y =
                             b.Conv(b.Input({1, 48, 14, 14}), 48, SquareWindow({3, 3}, 1, 1), /*groups=*/6);
                         b.Output(b.Node(ir::GlobalPool{}, {y}));
                       },
                   .roundings = 2});
  cases.push_back({.name = "Pool_OfTransposed",
                   .build =
                       [](GraphBuilder& b) {
                         const ValueId y =
                             b.Transpose(b.Unary(ir::UnaryKind::kTanh, b.Input({1, 9, 9, 16})), {0, 3, 1, 2});
                         b.Output(b.Node(ir::Pool{PoolKind::kMax, SquareWindow({3, 3}, 2)}, {y}));
                       },
                   .roundings = 2});
  return cases;
}

std::vector<OperatorCase> NormalizationCases() {
  std::vector<OperatorCase> cases;
  const auto layer_norm = [&](std::string name, Shape shape, int64_t axis, Shape affine, bool bias = true) {
    cases.push_back({.name = "LayerNorm_" + std::move(name),
                     .build =
                         [=](GraphBuilder& b) {
                           std::vector<ValueId> inputs = {b.Input(shape)};
                           if (!affine.empty()) inputs.push_back(b.Weights(affine, 0.5f, 1.5f));
                           if (!affine.empty() && bias) inputs.push_back(b.Weights(affine));
                           b.Output(b.Node(ir::LayerNorm{axis, 1e-5f}, inputs));
                         },
                     .roundings = 2});
  };
  layer_norm("LastAxis", {2, 6, 32}, -1, {32});
  layer_norm("NoBias", {2, 6, 32}, -1, {32}, false);
  layer_norm("NoScale", {4, 33}, 1, {});
  layer_norm("TwoAxes", {3, 4, 10}, 1, {4, 10});
  layer_norm("Odd", {5, 7}, -1, {7});
  layer_norm("OneRow", {1, 64}, -1, {64});
  for (const Shape& shape : {Shape{1, 16, 40}, Shape{2, 12, 5, 7}, Shape{2, 32, 8, 8}, Shape{1, 8, 3, 4, 5}}) {
    const auto normalize = [&](const std::string& name, const ir::Op& op) {
      cases.push_back({.name = absl::StrCat(name, "_", shape.size(), "D", shape[1]),
                       .build =
                           [=](GraphBuilder& b) {
                             const ValueId x =
                                 b.Conv(b.Input(shape), shape[1], SquareWindow(Shape(shape.size() - 2, 1)));
                             b.Output(b.Node(op, {x, b.Weights({shape[1]}, 0.5f, 1.5f), b.Weights({shape[1]})}));
                           },
                       .roundings = 3});
    };
    normalize("InstanceNorm", ir::InstanceNorm{});
    normalize("GroupNorm", ir::GroupNorm{4});
  }
  for (const Shape& shape : {Shape{4, 10}, Shape{2, 3, 8}, Shape{2, 5, 4, 6}, Shape{7}}) {
    for (int64_t axis = 0; axis < static_cast<int64_t>(shape.size()); ++axis) {
      for (const bool log : {false, true}) {
        cases.push_back(OneNode(absl::StrCat(log ? "LogSoftmax_" : "Softmax_", shape.size(), "DAxis", axis), shape,
                                ir::Softmax{axis, log}));
        cases.back().low = -4.0f;
        cases.back().high = 4.0f;
        cases.back().roundings = 2;
      }
    }
  }
  cases.push_back({.name = "Softmax_OfTransposed",
                   .build =
                       [](GraphBuilder& b) {
                         const ValueId x = b.Unary(ir::UnaryKind::kTanh, b.Input({2, 6, 4, 5}));
                         b.Output(b.Node(ir::Softmax{-1}, {b.Transpose(x, {0, 2, 3, 1})}));
                       },
                   .roundings = 3});
  cases.push_back({.name = "LayerNorm_OfConvolution",
                   .build =
                       [](GraphBuilder& b) {
                         const ValueId y = b.Conv(b.Input({1, 3, 8, 8}), 16, SquareWindow({4, 4}, 4));
                         const ValueId tokens = b.Transpose(b.Reshape(y, {1, 16, 4}), {0, 2, 1});
                         b.Output(b.Node(ir::LayerNorm{}, {tokens, b.Weights({16}), b.Weights({16})}));
                       },
                   .roundings = 4});
  cases.push_back({.name = "LayerNorm_ThenProduct",
                   .build =
                       [](GraphBuilder& b) {
                         const ValueId x = b.Unary(ir::UnaryKind::kTanh, b.Input({1, 6, 32}));
                         const ValueId y = b.Node(ir::LayerNorm{}, {x, b.Weights({32}), b.Weights({32})});
                         b.Output(b.Node(ir::MatMul{}, {y, b.Weights({32, 16}, -0.3f, 0.3f)}));
                       },
                   .roundings = 4});
  return cases;
}

}  // namespace precis::testing
