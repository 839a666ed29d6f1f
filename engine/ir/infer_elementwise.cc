// Shape rules of elementwise operators, type conversions, reductions and searches.
#include <algorithm>

#include "engine/base/status_macros.h"
#include "engine/ir/infer_rules.h"
#include "engine/ir/shape_rules.h"

namespace precis::ir {
namespace {

// Scale and zero point of Quantize and Dequantize: per tensor, per index along `axis`, or per block of it (opset 21).
absl::Status CheckAffine(const Rule& rule, int64_t& axis, int64_t block_size) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  const Shape &x = rule.shape(0), &scale = rule.shape(1);
  const bool per_tensor = NumElements(scale) == 1 && scale.size() <= 1;
  if (rule.Has(2) && rule.shape(2) != scale && !(per_tensor && NumElements(rule.shape(2)) == 1)) {
    return rule.Error("zero point ", ShapeToString(rule.shape(2)), " and scale ", ShapeToString(scale),
                      " differ in shape");
  }
  if (per_tensor) return absl::OkStatus();
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(axis, x.size()));
  const int64_t dim = x[static_cast<size_t>(axis)];
  Shape want = {dim};
  if (block_size > 0) {
    want = x;
    want[static_cast<size_t>(axis)] = dim / block_size + (dim % block_size != 0);
  }
  if (scale != want) return rule.Error("scale ", ShapeToString(scale), ", want ", ShapeToString(want));
  return absl::OkStatus();
}

bool IsComparison(BinaryKind kind) {
  return kind == BinaryKind::kEqual || kind == BinaryKind::kLess || kind == BinaryKind::kLessEqual ||
         kind == BinaryKind::kGreater || kind == BinaryKind::kGreaterEqual;
}

}  // namespace

absl::Status Infer(const Rule& rule, Unary& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  const bool predicate = op.kind == UnaryKind::kIsNan || op.kind == UnaryKind::kIsInf;
  return rule.Output(0, predicate ? DataType::kBool : rule.dtype(0), rule.shape(0));
}

absl::Status Infer(const Rule& rule, Binary& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  if (op.kind != BinaryKind::kPow) PRECIS_RETURN_IF_ERROR(rule.SameType(0, 1));
  auto shape = BroadcastShapes(rule.shape(0), rule.shape(1));
  if (!shape.ok()) return rule.Named(shape.status());
  return rule.Output(0, IsComparison(op.kind) ? DataType::kBool : rule.dtype(0), *std::move(shape));
}

absl::Status Infer(const Rule& rule, Clip&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  for (size_t i : {1, 2}) {
    if (!rule.Has(i)) continue;
    PRECIS_RETURN_IF_ERROR(rule.SameType(0, i));
    if (NumElements(rule.shape(i)) != 1)
      return rule.Error("bound of shape ", ShapeToString(rule.shape(i)), ", want a scalar");
  }
  return rule.Output(0, rule.dtype(0), rule.shape(0));
}

absl::Status Infer(const Rule& rule, Where&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(3));
  if (rule.dtype(0) != DataType::kBool) return rule.Error("condition is ", Name(rule.dtype(0)), ", want bool");
  PRECIS_RETURN_IF_ERROR(rule.SameType(1, 2));
  auto shape = BroadcastShapes(rule.shape(1), rule.shape(2));
  if (shape.ok()) shape = BroadcastShapes(rule.shape(0), *shape);
  if (!shape.ok()) return rule.Named(shape.status());
  return rule.Output(0, rule.dtype(1), *std::move(shape));
}

absl::Status Infer(const Rule& rule, Choose&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(3));
  if (rule.dtype(0) != DataType::kBool || NumElements(rule.shape(0)) != 1)
    return rule.Error("condition is ", Name(rule.dtype(0)), ShapeToString(rule.shape(0)), ", want one bool");
  if (rule.dtype(1) == rule.dtype(2) && rule.shape(1) == rule.shape(2) && rule.rank(0) <= rule.rank(1))
    return rule.Output(0, rule.dtype(1), rule.shape(1));
  return absl::UnimplementedError(rule.Error("the condition is computed at run time, and the branches give ",
                                             Name(rule.dtype(1)), ShapeToString(rule.shape(1)), " and ",
                                             Name(rule.dtype(2)), ShapeToString(rule.shape(2)))
                                      .message());
}

absl::Status Infer(const Rule& rule, Cast& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  return rule.Output(0, op.to, rule.shape(0));
}

absl::Status Infer(const Rule& rule, Quantize& op) {
  PRECIS_RETURN_IF_ERROR(CheckAffine(rule, op.axis, op.block_size));
  if (rule.Has(2)) op.output_type = rule.dtype(2);
  if (IsFloat(op.output_type)) return rule.Error("quantization to ", Name(op.output_type), ", want an integer type");
  return rule.Output(0, op.output_type, rule.shape(0));
}

absl::Status Infer(const Rule& rule, Dequantize& op) {
  PRECIS_RETURN_IF_ERROR(CheckAffine(rule, op.axis, op.block_size));
  PRECIS_RETURN_IF_ERROR(rule.SameType(0, 2));
  if (!IsFloat(rule.dtype(1))) return rule.Error("scale is ", Name(rule.dtype(1)), ", want a float type");
  return rule.Output(0, rule.dtype(1), rule.shape(0));
}

absl::Status Infer(const Rule& rule, DynamicQuantize&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  if (rule.dtype(0) != DataType::kF32) return rule.Error("source is ", Name(rule.dtype(0)), ", want f32");
  PRECIS_RETURN_IF_ERROR(rule.Output(1, DataType::kF32, {}));
  PRECIS_RETURN_IF_ERROR(rule.Output(2, DataType::kU8, {}));
  return rule.Output(0, DataType::kU8, rule.shape(0));
}

absl::Status Infer(const Rule& rule, Convert&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  const Value* output = rule.OutputValue(0);
  if (output == nullptr || !output->typed) return rule.Error("the output of a Convert has no type to convert to");
  return rule.Output(0, output->dtype, rule.shape(0));
}

absl::Status Infer(const Rule& rule, CumSum&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  if (NumElements(rule.shape(1)) != 1)
    return rule.Error("axis of shape ", ShapeToString(rule.shape(1)), ", want a scalar");
  PRECIS_ASSIGN_OR_RETURN(const auto axis, rule.Ints(1, "axis"));
  const auto resolved = ResolveAxis(axis[0], rule.rank(0));
  if (!resolved.ok()) return rule.Named(resolved.status());
  return rule.Output(0, rule.dtype(0), rule.shape(0));
}

absl::Status Infer(const Rule& rule, Trilu&) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  if (rule.rank(0) < 2) return rule.Error("rank ", rule.rank(0), ", want at least 2");
  if (rule.Has(1) && (NumElements(rule.shape(1)) != 1 || rule.dtype(1) != DataType::kS64))
    return rule.Error("k is not one s64 number");
  return rule.Output(0, rule.dtype(0), rule.shape(0));
}

absl::Status Infer(const Rule& rule, OneHot& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(3));
  PRECIS_RETURN_IF_ERROR(rule.WantVector(2, "values", 2));
  PRECIS_ASSIGN_OR_RETURN(const auto depth, rule.Floats(1, "depth"));  // any numeric type
  if (depth.size() != 1 || !(depth[0] >= 1 && depth[0] < 0x1p31f))
    return rule.Error("depth is not one positive number");
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(op.axis, rule.rank(0) + 1));
  Shape out = rule.shape(0);
  out.insert(out.begin() + op.axis, static_cast<int64_t>(depth[0]));
  return rule.Output(0, rule.dtype(2), std::move(out));
}

absl::Status Infer(const Rule& rule, Reduce& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  PRECIS_ASSIGN_OR_RETURN(const auto axes, rule.Ints(1, "axes"));
  const auto reduced = ResolveReduction(rule.rank(0), &axes, op.noop_with_empty_axes);
  if (!reduced.ok()) return rule.Named(reduced.status());
  Shape out;
  for (size_t i = 0; i < rule.rank(0); ++i) {
    if (!(*reduced)[i]) out.push_back(rule.shape(0)[i]);
    if ((*reduced)[i] && op.keep_dims) out.push_back(1);
  }
  return rule.Output(0, rule.dtype(0), std::move(out));
}

absl::Status Infer(const Rule& rule, ArgReduce& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(1));
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(op.axis, rule.rank(0)));
  Shape out = rule.shape(0);
  if (out[static_cast<size_t>(op.axis)] == 0) return rule.Error("dimension ", op.axis, " is empty");
  op.keep_dims ? void(out[static_cast<size_t>(op.axis)] = 1) : void(out.erase(out.begin() + op.axis));
  return rule.Output(0, DataType::kS64, std::move(out));
}

absl::Status Infer(const Rule& rule, TopK& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(2));
  PRECIS_RETURN_IF_ERROR(rule.FixAxis(op.axis, rule.rank(0)));
  PRECIS_ASSIGN_OR_RETURN(const auto k, rule.Ints(1, "k"));
  Shape out = rule.shape(0);
  int64_t& dim = out[static_cast<size_t>(op.axis)];
  if (k.size() != 1 || k[0] < 0 || k[0] > dim) return rule.Error("k is not one number between 0 and ", dim);
  dim = k[0];
  PRECIS_RETURN_IF_ERROR(rule.Output(1, DataType::kS64, out));
  return rule.Output(0, rule.dtype(0), std::move(out));
}

}  // namespace precis::ir
