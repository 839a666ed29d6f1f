// Shape rule of LSTM, GRU and RNN (ONNX opset 22). Sizes that the attributes leave out come from the recurrence.
#include "engine/base/status_macros.h"
#include "engine/ir/infer_rules.h"

namespace precis::ir {
namespace {

absl::Status WantShape(const Rule& rule, size_t input, const char* what, const Shape& want) {
  if (!rule.Has(input) || rule.shape(input) == want) return absl::OkStatus();
  return rule.Error(what, " has shape ", ShapeToString(rule.shape(input)), ", want ", ShapeToString(want));
}

}  // namespace

absl::Status Infer(const Rule& rule, Recurrent& op) {
  PRECIS_RETURN_IF_ERROR(rule.Need(3));
  if (rule.rank(0) != 3 || rule.rank(2) != 3)
    return rule.Error("x of rank ", rule.rank(0), " and recurrence of rank ", rule.rank(2), ", want 3");
  if (!IsFloat(rule.dtype(0))) return rule.Error("x is ", Name(rule.dtype(0)), ", want a float type");
  for (size_t i : {1, 2, 3, 5, 6, 7}) PRECIS_RETURN_IF_ERROR(rule.SameType(0, i));
  const Shape& x = rule.shape(0);
  if (op.hidden_size == 0) op.hidden_size = rule.shape(2)[2];
  if (op.hidden_size < 1 || op.hidden_size != rule.shape(2)[2])
    return rule.Error("hidden size ", op.hidden_size, ", the recurrence's is ", rule.shape(2)[2]);
  const int64_t gates = op.cell == CellKind::kLstm ? 4 : op.cell == CellKind::kGru ? 3 : 1;
  const int64_t directions = op.direction == Direction::kBidirectional ? 2 : 1;
  const int64_t hidden = op.hidden_size, rows = gates * hidden;
  const size_t functions = (op.cell == CellKind::kLstm ? 3 : op.cell == CellKind::kGru ? 2 : 1) * size_t(directions);
  if (op.activations.size() != functions) return rule.Error(op.activations.size(), " activations, want ", functions);
  PRECIS_RETURN_IF_ERROR(WantShape(rule, 1, "weights", {directions, rows, x[2]}));
  PRECIS_RETURN_IF_ERROR(WantShape(rule, 2, "recurrence", {directions, rows, hidden}));
  PRECIS_RETURN_IF_ERROR(WantShape(rule, 3, "bias", {directions, op.linear_before_reset ? rows + hidden : rows}));
  PRECIS_RETURN_IF_ERROR(WantShape(rule, 4, "sequence_lens", {x[1]}));
  if (rule.Has(4)) PRECIS_RETURN_IF_ERROR(rule.WantIndices(4));
  PRECIS_RETURN_IF_ERROR(WantShape(rule, 5, "initial_h", {directions, x[1], hidden}));
  PRECIS_RETURN_IF_ERROR(WantShape(rule, 6, "initial_c", {directions, x[1], hidden}));
  PRECIS_RETURN_IF_ERROR(WantShape(rule, 7, "peepholes", {directions, 3 * hidden}));
  PRECIS_RETURN_IF_ERROR(rule.Output(1, rule.dtype(0), {directions, x[1], hidden}));
  PRECIS_RETURN_IF_ERROR(rule.Output(2, rule.dtype(0), {directions, x[1], hidden}));
  return rule.Output(0, rule.dtype(0), {x[0], directions, x[1], hidden});
}

}  // namespace precis::ir
