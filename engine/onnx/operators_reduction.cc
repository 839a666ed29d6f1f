// Reductions, searches and sums along an axis.
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/onnx/operators.h"

namespace precis::onnx_import {
namespace {

using ir::ReduceKind;
using ir::ValueId;

// axes were an attribute until opset 17, of ReduceSum until 12.
template <ReduceKind kind>
void ImportReduce(NodeImport& node) {
  Attributes& attributes = node.attributes();
  const ir::Reduce op{kind, attributes.Bool("keepdims", true), attributes.Bool("noop_with_empty_axes", false)};
  ValueId axes = ir::kNoValue;
  if (node.opset() >= (kind == ReduceKind::kSum ? 13 : 18)) {
    axes = node.Optional(1);
  } else if (attributes.Has("axes")) {
    axes = node.Int64s("axes", attributes.Ints("axes"));
  }
  node.Emit(op, {node.Input(0), axes});
}

template <bool max>
void ImportArgReduce(NodeImport& node) {
  Attributes& attributes = node.attributes();
  node.Emit(ir::ArgReduce{max, attributes.Int("axis", 0), attributes.Bool("keepdims", true),
                          attributes.Bool("select_last_index", false)},
            {node.Input(0)});
}

void ImportTopK(NodeImport& node) {
  Attributes& attributes = node.attributes();
  const ir::TopK op{attributes.Int("axis", -1), attributes.Bool("largest", true), attributes.Bool("sorted", true)};
  const ValueId k = node.opset() >= 10 ? node.Input(1) : node.Int64s("k", {attributes.Int("k", 0)});
  node.EmitAll(op, {node.Input(0), k});
}

void ImportCumSum(NodeImport& node) {
  node.Emit(ir::CumSum{node.attributes().Bool("exclusive", false), node.attributes().Bool("reverse", false)},
            node.Inputs(2));
}

// The p-norm of all spatial dimensions; p = 1 and 2 are the ones in use.
void ImportGlobalLpPool(NodeImport& node) {
  const int64_t p = node.attributes().Int("p", 2);
  if (p != 1 && p != 2) node.Unsupported(absl::StrCat("p=", p));
  const ValueId x = node.Input(0);
  const ValueId rank = node.Add("rank", ir::SizeOf{}, {node.Add("shape", ir::ShapeOf{}, {x})});
  const ValueId axes = node.Add("axes", ir::Range{}, {node.Int64("first", 2), rank, node.Int64("step", 1)});
  node.Emit(ir::Reduce{p == 1 ? ReduceKind::kL1 : ReduceKind::kL2}, {x, axes});
}

}  // namespace

void AddReductionOperators(OperatorTable& table) {
  table["ReduceSum"] = ImportReduce<ReduceKind::kSum>;
  table["ReduceMean"] = ImportReduce<ReduceKind::kMean>;
  table["ReduceMax"] = ImportReduce<ReduceKind::kMax>;
  table["ReduceMin"] = ImportReduce<ReduceKind::kMin>;
  table["ReduceProd"] = ImportReduce<ReduceKind::kProd>;
  table["ReduceL1"] = ImportReduce<ReduceKind::kL1>;
  table["ReduceL2"] = ImportReduce<ReduceKind::kL2>;
  table["ReduceSumSquare"] = ImportReduce<ReduceKind::kSumSquare>;
  table["ReduceLogSum"] = ImportReduce<ReduceKind::kLogSum>;
  table["ReduceLogSumExp"] = ImportReduce<ReduceKind::kLogSumExp>;
  table["ArgMax"] = ImportArgReduce<true>;
  table["ArgMin"] = ImportArgReduce<false>;
  table["TopK"] = ImportTopK;
  table["CumSum"] = ImportCumSum;
  table["GlobalLpPool"] = ImportGlobalLpPool;
}

}  // namespace precis::onnx_import
