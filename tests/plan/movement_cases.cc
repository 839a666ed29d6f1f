// Data movement, views of views, and outputs of every kind: what the plan's bookkeeping of buffers must get right.
#include "absl/strings/str_cat.h"
#include "tests/plan/operator_case.h"

namespace precis::testing {
namespace {

using ir::BinaryKind;
using ir::UnaryKind;
using ir::ValueId;

ValueId Convolved(GraphBuilder& b, int64_t channels = 32) {
  return b.Conv(b.Input({1, 16, 6, 6}), channels, SquareWindow({3, 3}, 1, 1));
}

void AddConcatCases(std::vector<OperatorCase>& cases) {
  for (int64_t axis = 0; axis < 4; ++axis) {
    cases.push_back({.name = absl::StrCat("Concat_Axis", axis), .build = [axis](GraphBuilder& b) {
                       Shape second = {2, 3, 4, 5};
                       second[static_cast<size_t>(axis)] = 2;
                       b.Output(
                           b.Node(ir::Concat{axis}, {b.Input({2, 3, 4, 5}), b.Input(second), b.Input({2, 3, 4, 5})}));
                     }});
  }
  const auto add = [&](std::string name, std::function<void(GraphBuilder&)> build, int roundings = 2) {
    cases.push_back({.name = "Concat_" + std::move(name), .build = std::move(build), .roundings = roundings});
  };
  add(
      "OfConvolutions",
      [](GraphBuilder& b) {
        const ValueId x = b.Input({1, 16, 6, 6});
        const ValueId y = b.Conv(x, 32, SquareWindow({3, 3}, 1, 1)), z = b.Conv(x, 16, SquareWindow({1, 1}));
        b.Output(b.Conv(b.Node(ir::Concat{1}, {y, z}), 8, SquareWindow({1, 1})));
      },
      4);
  add("OfMixedLayouts", [](GraphBuilder& b) {
    const ValueId y = Convolved(b);
    const ValueId turned = b.Transpose(b.Input({1, 6, 6, 8}), {0, 3, 1, 2});
    b.Output(b.Node(ir::Concat{1}, {y, b.Unary(UnaryKind::kTanh, turned)}));
  });
  add("WithConstant", [](GraphBuilder& b) { b.Output(b.Node(ir::Concat{0}, {b.Input({2, 8}), b.Weights({3, 8})})); });
  add("OfOneValueTwice", [](GraphBuilder& b) {
    const ValueId x = b.Unary(UnaryKind::kTanh, b.Input({2, 8}));
    b.Output(b.Node(ir::Concat{-1}, {x, x}));
  });
  cases.push_back({.name = "Concat_S64",
                   .build =
                       [](GraphBuilder& b) {
                         b.Output(b.Node(ir::Concat{0}, {b.Input({3}, DataType::kS64), b.Input({2}, DataType::kS64)}));
                       },
                   .int8 = false,
                   .narrow = false,
                   .low = -5,
                   .high = 5});
  cases.push_back(
      {.name = "Concat_EmptyPart",
       .build = [](GraphBuilder& b) { b.Output(b.Node(ir::Concat{0}, {b.Input({0, 8}), b.Input({2, 8})})); },
       .int8 = false});
}

void AddViewCases(std::vector<OperatorCase>& cases) {
  const auto add = [&](std::string name, std::function<void(GraphBuilder&)> build, int roundings = 2) {
    cases.push_back({.name = "View_" + std::move(name), .build = std::move(build), .roundings = roundings});
  };
  const ir::Ints perms[] = {{0, 2, 3, 1}, {0, 3, 1, 2}, {3, 2, 1, 0}, {1, 0, 2, 3}, {0, 1, 3, 2}};
  for (size_t i = 0; i < std::size(perms); ++i) {
    const ir::Ints perm = perms[i];
    add(absl::StrCat("TransposeOfInput", i),
        [perm](GraphBuilder& b) { b.Output(b.Transpose(b.Input({2, 3, 4, 5}), perm)); });
    add(absl::StrCat("TransposeThenRelu", i),
        [perm](GraphBuilder& b) { b.Output(b.Unary(UnaryKind::kRelu, b.Transpose(b.Input({2, 3, 4, 5}), perm))); });
    add(absl::StrCat("TransposeThenReshape", i), [perm](GraphBuilder& b) {
      b.Output(b.Reshape(b.Transpose(b.Unary(UnaryKind::kTanh, b.Input({2, 3, 4, 5})), perm), {6, 20}));
    });
    add(absl::StrCat("TransposeOfConvolution", i),
        [perm](GraphBuilder& b) { b.Output(b.Transpose(Convolved(b), perm)); });
  }
  add("TransposeTwice",
      [](GraphBuilder& b) { b.Output(b.Transpose(b.Transpose(b.Input({2, 3, 4}), {2, 0, 1}), {1, 0, 2})); });
  add("ReshapeOfInput", [](GraphBuilder& b) { b.Output(b.Reshape(b.Input({2, 3, 4}), {6, 4})); });
  add("ReshapeToScalarAndBack", [](GraphBuilder& b) {
    b.Output(b.Reshape(b.Unary(UnaryKind::kTanh, b.Reshape(b.Input({1, 1}), {})), {1, 1, 1}));
  });
  add("ReshapeOfConvolution", [](GraphBuilder& b) { b.Output(b.Reshape(Convolved(b), {1, 32, 36})); });
  add("FlattenOfConvolution", [](GraphBuilder& b) { b.Output(b.Node(ir::Flatten{1}, {Convolved(b)})); });
  // The row-major copy that the reshape reads must outlive what runs in place on the same convolution's result.
  add(
      "ReshapeAndReluOfConvolution",
      [](GraphBuilder& b) {
        const ValueId y = Convolved(b);
        const ValueId flat = b.Reshape(y, {1, 1152});
        const ValueId relu = b.Unary(UnaryKind::kErf, y);
        b.Output(b.Unary(UnaryKind::kTanh, flat));
        b.Output(b.Unary(UnaryKind::kNeg, relu));
      },
      3);
  add(
      "ReshapeAndSoftmaxOfConvolution",
      [](GraphBuilder& b) {
        const ValueId y = Convolved(b);
        const ValueId flat = b.Reshape(y, {1, 1152});
        const ValueId soft = b.Node(ir::Softmax{1}, {y});
        b.Output(b.Unary(UnaryKind::kTanh, flat));
        b.Output(b.Unary(UnaryKind::kNeg, soft));
      },
      3);
  add(
      "SplitChannelsOfConvolution",
      [](GraphBuilder& b) {
        const auto parts = b.Nodes(ir::Split{1, 2}, {Convolved(b)}, 2);
        b.Output(b.Conv(parts[0], 8, SquareWindow({1, 1})));
        b.Output(parts[1]);
      },
      3);
  add(
      "SqueezeUnsqueeze",
      [](GraphBuilder& b) {
        const ValueId pooled = b.Node(ir::GlobalPool{}, {Convolved(b)});
        const ValueId flat = b.Node(ir::Squeeze{}, {pooled, b.Ints({2, 3})});
        b.Output(b.Node(ir::Unsqueeze{}, {b.Unary(UnaryKind::kTanh, flat), b.Ints({0})}));
      },
      4);
  add(
      "ChannelShuffle",
      [](GraphBuilder& b) {
        const ValueId split = b.Reshape(Convolved(b), {1, 2, 16, 6, 6});
        const ValueId mixed = b.Reshape(b.Transpose(split, {0, 2, 1, 3, 4}), {1, 32, 6, 6});
        b.Output(b.Conv(mixed, 16, SquareWindow({1, 1})));
      },
      3);
  add(
      "SplitUnevenlyOfBatches",
      [](GraphBuilder& b) {
        const ValueId y = b.Conv(b.Input({2, 16, 6, 6}), 32, SquareWindow({3, 3}, 1, 1));
        const auto parts = b.Nodes(ir::Split{1, 2}, {y, b.Ints({5, 27})}, 2);
        b.Output(b.Conv(parts[1], 8, SquareWindow({1, 1})));
        b.Output(parts[0]);
      },
      3);
  // Above the ranks that oneDNN has descriptors for.
  cases.push_back({.name = "View_SplitOfHighRank",
                   .build =
                       [](GraphBuilder& b) {
                         const ValueId x = b.Input({1, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2});
                         const auto parts = b.Nodes(ir::Split{1, 2}, {x}, 2);
                         b.Output(parts[0]);
                         b.Output(parts[1]);
                       },
                   .int8 = false,
                   .narrow = false});
  add("SliceOfConvolutionFromItsEnd", [](GraphBuilder& b) {
    b.Output(b.Node(ir::Slice{}, {Convolved(b), b.Ints({-7}), b.Ints({1000}), b.Ints({-3})}));
  });
  add("PixelShuffle", [](GraphBuilder& b) { b.Output(b.Node(ir::DepthToSpace{2}, {Convolved(b)})); });
  add("SliceOfConvolution",
      [](GraphBuilder& b) { b.Output(b.Node(ir::Slice{}, {Convolved(b), b.Ints({4}), b.Ints({20}), b.Ints({1})})); });
  add(
      "TransposeBetweenConvolutions",
      [](GraphBuilder& b) { b.Output(b.Conv(b.Transpose(Convolved(b), {0, 1, 3, 2}), 8, SquareWindow({3, 3}))); }, 3);
}

void AddOutputCases(std::vector<OperatorCase>& cases) {
  const auto add = [&](std::string name, std::function<void(GraphBuilder&)> build) {
    cases.push_back({.name = "Output_" + std::move(name), .build = std::move(build), .roundings = 3});
  };
  add("IsInput", [](GraphBuilder& b) { b.Output(b.Input({2, 3})); });
  add("Twice", [](GraphBuilder& b) {
    const ValueId y = b.Unary(UnaryKind::kTanh, b.Input({2, 3}));
    b.Output(y);
    b.Output(y);
  });
  add("IsAlsoRead", [](GraphBuilder& b) {
    const ValueId y = b.Unary(UnaryKind::kTanh, b.Input({2, 3}));
    b.Output(y);
    b.Output(b.Unary(UnaryKind::kNeg, y));
  });
  add("IsViewOfAnOutput", [](GraphBuilder& b) {
    const ValueId y = b.Unary(UnaryKind::kTanh, b.Input({2, 3}));
    b.Output(b.Reshape(y, {3, 2}));
    b.Output(y);
    b.Output(b.Transpose(y, {1, 0}));
  });
  add("IsViewOfWhatIsOverwritten", [](GraphBuilder& b) {
    const ValueId y = b.Unary(UnaryKind::kTanh, b.Input({4, 4}));
    b.Output(b.Reshape(y, {16}));
    b.Output(b.Unary(UnaryKind::kNeg, b.Unary(UnaryKind::kAbs, y)));
  });
  add("OfConvolution", [](GraphBuilder& b) { b.Output(Convolved(b)); });
  add("OfConvolutionTwice", [](GraphBuilder& b) {
    const ValueId y = Convolved(b);
    b.Output(y);
    b.Output(b.Conv(y, 16, SquareWindow({1, 1})));
    b.Output(y);
  });
  cases.push_back({.name = "Output_IsConstant", .build = [](GraphBuilder& b) {
                     b.Output(b.Weights({2, 3}));
                     b.Output(b.Unary(UnaryKind::kTanh, b.Input({2})));
                   }});
  cases.push_back({.name = "Output_S64AndBool",
                   .build =
                       [](GraphBuilder& b) {
                         b.Output(b.Reshape(b.Input({2, 3}, DataType::kS64), {3, 2}));
                         b.Output(b.Transpose(b.Input({2, 3}, DataType::kBool), {1, 0}));
                         b.Output(b.Input({}, DataType::kS64));
                       },
                   .int8 = false,
                   .narrow = false,
                   .low = -5,
                   .high = 5});
}

void AddEmptyCases(std::vector<OperatorCase>& cases) {
  const auto add = [&](std::string name, std::function<void(GraphBuilder&)> build) {
    cases.push_back({.name = "Empty_" + std::move(name), .build = std::move(build), .may_be_slow = true});
  };
  add("Unary", [](GraphBuilder& b) { b.Output(b.Unary(UnaryKind::kRelu, b.Input({0, 3}))); });
  add("Binary", [](GraphBuilder& b) { b.Output(b.Binary(BinaryKind::kAdd, b.Input({2, 0}), b.Input({2, 0}))); });
  add("Transpose", [](GraphBuilder& b) { b.Output(b.Transpose(b.Input({0, 3, 2}), {2, 1, 0})); });
  add("Reshape", [](GraphBuilder& b) { b.Output(b.Node(ir::Reshape{true}, {b.Input({0, 3}), b.Ints({3, 0})})); });
  add("Concat", [](GraphBuilder& b) { b.Output(b.Node(ir::Concat{0}, {b.Input({0, 3}), b.Input({0, 3})})); });
  add("Conv", [](GraphBuilder& b) { b.Output(b.Conv(b.Input({0, 8, 5, 5}), 8, SquareWindow({3, 3}))); });
  add("ConvRelu", [](GraphBuilder& b) {
    const ValueId y = b.Conv(b.Input({0, 8, 5, 5}), 8, SquareWindow({3, 3}));
    b.Fuse(y, ir::Unary{UnaryKind::kRelu});
    b.Output(y);
  });
  add("Pool", [](GraphBuilder& b) {
    b.Output(b.Node(ir::Pool{ir::PoolKind::kMax, SquareWindow({2, 2})}, {b.Input({0, 8, 5, 5})}));
  });
  add("GlobalPool", [](GraphBuilder& b) { b.Output(b.Node(ir::GlobalPool{}, {b.Input({0, 8, 5, 5})})); });
  add("MatMulNoRows", [](GraphBuilder& b) { b.Output(b.Node(ir::MatMul{}, {b.Input({0, 8}), b.Weights({8, 4})})); });
  add("MatMulNoDepth", [](GraphBuilder& b) { b.Output(b.Node(ir::MatMul{}, {b.Input({3, 0}), b.Weights({0, 4})})); });
  add("MatMulNoColumns", [](GraphBuilder& b) { b.Output(b.Node(ir::MatMul{}, {b.Input({3, 8}), b.Weights({8, 0})})); });
  add("MatMulActivations",
      [](GraphBuilder& b) { b.Output(b.Node(ir::MatMul{}, {b.Input({0, 3, 8}), b.Input({0, 8, 4})})); });
  add("LayerNorm", [](GraphBuilder& b) { b.Output(b.Node(ir::LayerNorm{}, {b.Input({0, 8}), b.Weights({8})})); });
  add("LayerNormOfNothing",
      [](GraphBuilder& b) { b.Output(b.Node(ir::LayerNorm{}, {b.Input({3, 0}), b.Weights({0})})); });
  add("Softmax", [](GraphBuilder& b) { b.Output(b.Node(ir::Softmax{-1}, {b.Input({0, 8})})); });
}

// Rules that oneDNN's resampling has and rules that it has not.
void AddResizeCases(std::vector<OperatorCase>& cases) {
  using ir::ResizeCoordinates;
  using ir::ResizeMode;
  using ir::ResizeNearest;
  const auto rule = [](ResizeMode mode, ResizeCoordinates coordinates = ResizeCoordinates::kHalfPixel,
                       ResizeNearest nearest = ResizeNearest::kRoundPreferFloor) {
    ir::Resize op;
    op.mode = mode;
    op.coordinates = coordinates;
    op.nearest = nearest;
    return op;
  };
  const auto add = [&](const std::string& name, const ir::Resize& op, const Shape& from,
                       const std::vector<float>& scales) {
    cases.push_back({.name = "Resize_" + name,
                     .build =
                         [=](GraphBuilder& b) {
                           const ValueId y = b.Conv(b.Input(from), 16, SquareWindow(Shape(from.size() - 2, 1)));
                           const ValueId factors =
                               b.Constant(Tensor::From<float>({static_cast<int64_t>(scales.size())}, scales));
                           const ValueId resized = b.Node(op, {y, ir::kNoValue, factors});
                           b.Output(resized);
                           b.Output(b.Conv(resized, 4, SquareWindow(Shape(from.size() - 2, 1))));
                         },
                     .roundings = 3});
  };
  for (const ResizeCoordinates c : {ResizeCoordinates::kHalfPixel, ResizeCoordinates::kPytorchHalfPixel,
                                    ResizeCoordinates::kAsymmetric, ResizeCoordinates::kAlignCorners}) {
    const std::string name = absl::StrCat("Rule", static_cast<int>(c));
    add(absl::StrCat("Linear", name), rule(ResizeMode::kLinear, c), {1, 8, 5, 6}, {1, 1, 2, 3});
    add(absl::StrCat("LinearDown", name), rule(ResizeMode::kLinear, c), {1, 8, 8, 6}, {1, 1, 0.5f, 0.5f});
    for (const ResizeNearest n : {ResizeNearest::kRoundPreferFloor, ResizeNearest::kRoundPreferCeil,
                                  ResizeNearest::kFloor, ResizeNearest::kCeil}) {
      const std::string nearest = absl::StrCat(name, "Nearest", static_cast<int>(n));
      add(nearest, rule(ResizeMode::kNearest, c, n), {1, 8, 3, 4}, {1, 1, 2, 3});
      add(absl::StrCat(nearest, "Down"), rule(ResizeMode::kNearest, c, n), {1, 8, 8, 6}, {1, 1, 0.5f, 0.5f});
    }
  }
  add("LinearUnevenScale", rule(ResizeMode::kLinear), {1, 8, 5, 7}, {1, 1, 1.5f, 1.3f});
  add("LinearOneDimension", rule(ResizeMode::kLinear), {1, 8, 9}, {1, 1, 2});
  add("LinearThreeDimensions", rule(ResizeMode::kLinear), {1, 8, 3, 4, 5}, {1, 1, 2, 2, 2});
  add("Cubic", rule(ResizeMode::kCubic), {1, 8, 5, 6}, {1, 1, 2, 2});
}

void AddSamplingCases(std::vector<OperatorCase>& cases) {
  for (const ir::ResizeMode mode : {ir::ResizeMode::kNearest, ir::ResizeMode::kLinear, ir::ResizeMode::kCubic}) {
    for (const ir::SamplePadding padding :
         {ir::SamplePadding::kZeros, ir::SamplePadding::kBorder, ir::SamplePadding::kReflection}) {
      for (const bool align : {false, true}) {
        for (const Shape& shape : {Shape{2, 3, 5, 6}, Shape{1, 2, 3, 4, 5}, Shape{1, 4, 9}}) {
          if (mode == ir::ResizeMode::kCubic && shape.size() == 5) continue;
          Shape grid = {shape[0], 4, 3, 2};
          grid.resize(shape.size() - 1);
          grid.push_back(static_cast<int64_t>(shape.size()) - 2);
          cases.push_back({.name = absl::StrCat("GridSample_Mode", static_cast<int>(mode), "Padding",
                                                static_cast<int>(padding), align ? "Aligned" : "", shape.size(), "D"),
                           .build =
                               [=](GraphBuilder& b) {
                                 // Up to half beyond the edges, and off the middles between cells, where rounding decides.
                                 b.Output(b.Node(ir::GridSample{mode, padding, align},
                                                 {b.Input(shape), b.Weights(grid, -1.5f, 1.5f)}));
                               },
                           .int8 = false,
                           .narrow = false});
        }
      }
    }
  }
  for (const bool max : {false, true}) {
    for (const int64_t ratio : {int64_t{0}, int64_t{2}}) {
      const ir::RoiAlign op{max, /*half_pixel=*/ratio == 0, 3, 2, ratio, 0.5f};
      cases.push_back({.name = absl::StrCat("RoiAlign_", max ? "Max" : "Average", "Ratio", ratio),
                       .build =
                           [op](GraphBuilder& b) {
                             const ValueId rois = b.Constant(
                                 Tensor::From<float>({3, 4}, {1, 2, 15.5f, 13, 0, 0, 6, 19, 9.25f, 3.5f, 12, 8}));
                             b.Output(b.Node(op, {b.Input({2, 3, 10, 9}, DataType::kF32), rois, b.Ints({1, 0, 1})}));
                           },
                       .int8 = false,
                       .narrow = false,
                       .low = 0.0f});
    }
  }
}

}  // namespace

std::vector<OperatorCase> MovementCases() {
  std::vector<OperatorCase> cases;
  AddConcatCases(cases);
  AddResizeCases(cases);
  AddSamplingCases(cases);
  AddViewCases(cases);
  AddOutputCases(cases);
  AddEmptyCases(cases);
  return cases;
}

}  // namespace precis::testing
