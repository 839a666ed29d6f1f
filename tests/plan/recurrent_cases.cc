// LSTM, GRU and RNN: every direction on oneDNN's primitives, and the forms that only the plain kernel has.
#include "absl/strings/str_cat.h"
#include "tests/plan/operator_case.h"

namespace precis::testing {
namespace {

using ir::CellKind;
using ir::Direction;
using ir::kNoValue;
using ir::UnaryKind;
using ir::ValueId;

struct Layer {
  int64_t steps = 6, batch = 3, input = 10, hidden = 16;
  ir::Recurrent op;
  bool bias = true, initial = false, peepholes = false;
  std::vector<int32_t> lengths = {};
};

int64_t DirectionsOf(const Layer& l) { return l.op.direction == Direction::kBidirectional ? 2 : 1; }

ir::Recurrent Cell(CellKind cell, Direction direction = Direction::kForward) {
  ir::Recurrent op;
  op.cell = cell;
  op.direction = direction;
  std::vector<ir::Unary> functions = {{UnaryKind::kTanh}};
  if (cell == CellKind::kGru) functions = {{UnaryKind::kSigmoid}, {UnaryKind::kTanh}};
  if (cell == CellKind::kLstm) functions = {{UnaryKind::kSigmoid}, {UnaryKind::kTanh}, {UnaryKind::kTanh}};
  for (int64_t d = 0; d < (direction == Direction::kBidirectional ? 2 : 1); ++d)
    op.activations.insert(op.activations.end(), functions.begin(), functions.end());
  return op;
}

std::vector<ValueId> InputsOf(GraphBuilder& b, ValueId x, const Layer& l) {
  const int64_t d = DirectionsOf(l), h = l.hidden;
  const int64_t rows = h * (l.op.cell == CellKind::kLstm ? 4 : l.op.cell == CellKind::kGru ? 3 : 1);
  std::vector<ValueId> inputs = {x, b.Weights({d, rows, l.input}, -0.5f, 0.5f), b.Weights({d, rows, h}, -0.5f, 0.5f)};
  inputs.push_back(l.bias ? b.Weights({d, l.op.linear_before_reset ? rows + h : rows}) : kNoValue);
  inputs.push_back(l.lengths.empty() ? kNoValue : b.Constant(Tensor::From<int32_t>({l.batch}, l.lengths)));
  inputs.push_back(l.initial ? b.Input({d, l.batch, h}) : kNoValue);
  if (l.op.cell == CellKind::kLstm) {
    inputs.push_back(l.initial ? b.Input({d, l.batch, h}) : kNoValue);
    inputs.push_back(l.peepholes ? b.Weights({d, 3 * h}) : kNoValue);
  }
  return inputs;
}

OperatorCase CaseOf(const std::string& name, const Layer& l, bool may_be_slow = false) {
  return {
      .name = "Recurrent_" + name,
      .build = [l](GraphBuilder& b) { b.Output(b.Node(l.op, InputsOf(b, b.Input({l.steps, l.batch, l.input}), l))); },
      .int8 = false,
      .narrow = false,
      .may_be_slow = may_be_slow};
}

}  // namespace

std::vector<OperatorCase> RecurrentCases() {
  std::vector<OperatorCase> cases;
  for (const CellKind cell : {CellKind::kLstm, CellKind::kGru, CellKind::kRnn}) {
    const std::string name(ir::OpName(Cell(cell)));
    cases.push_back(CaseOf(name, {.op = Cell(cell)}));
    cases.push_back(CaseOf(name + "_Reverse", {.op = Cell(cell, Direction::kReverse)}));
    cases.push_back(CaseOf(name + "_Bidirectional", {.op = Cell(cell, Direction::kBidirectional), .initial = true}));
    cases.push_back(CaseOf(name + "_OneSequence", {.batch = 1, .op = Cell(cell), .bias = false}));
    cases.push_back(CaseOf(name + "_OneStep", {.steps = 1, .op = Cell(cell), .initial = true}));
    cases.push_back(CaseOf(name + "_Large", {.steps = 4, .batch = 2, .input = 96, .hidden = 160, .op = Cell(cell)}));
    cases.push_back(
        CaseOf(name + "_Odd", {.batch = 2, .input = 7, .hidden = 5, .op = Cell(cell, Direction::kBidirectional)}));
    cases.push_back(CaseOf(name + "_FullLengths", {.op = Cell(cell), .lengths = {6, 6, 6}}));
    cases.push_back(
        CaseOf(name + "_Lengths", {.op = Cell(cell, Direction::kBidirectional), .lengths = {6, 0, 3}}, true));
    Layer clipped{.op = Cell(cell)};
    clipped.op.clip = 0.4f;
    if (cell != CellKind::kGru) cases.push_back(CaseOf(name + "_Clip", clipped, true));
    // Every output, between the transposes that exporters write for sequences that come first.
    cases.push_back({.name = absl::StrCat("Recurrent_", name, "_BatchFirst"),
                     .build =
                         [cell](GraphBuilder& b) {
                           for (const int64_t batch : {int64_t{1}, int64_t{3}}) {
                             const Layer l{.batch = batch, .op = Cell(cell, Direction::kBidirectional)};
                             const ValueId x =
                                 b.Transpose(b.Unary(UnaryKind::kTanh, b.Input({batch, l.steps, l.input})), {1, 0, 2});
                             const auto out = b.Nodes(l.op, InputsOf(b, x, l), cell == CellKind::kLstm ? 3 : 2);
                             b.Output(b.Reshape(b.Transpose(out[0], {2, 0, 1, 3}), {batch, l.steps, 2 * l.hidden}));
                             for (size_t i = 1; i < out.size(); ++i) b.Output(out[i]);
                           }
                         },
                     .int8 = false,
                     .narrow = false});
  }
  for (const Direction direction : {Direction::kForward, Direction::kBidirectional}) {
    Layer l{.op = Cell(CellKind::kGru, direction)};
    l.op.linear_before_reset = true;
    const std::string name = direction == Direction::kForward ? "GRU_LinearBeforeReset" : "GRU_LinearBeforeResetBoth";
    cases.push_back(CaseOf(name, l));
    l.bias = false;
    cases.push_back(CaseOf(name + "NoBias", l));
    l.lengths = {1, 6, 4};
    l.bias = true;
    cases.push_back(CaseOf(name + "Lengths", l, true));
  }
  cases.push_back(CaseOf("LSTM_Peepholes", {.op = Cell(CellKind::kLstm), .peepholes = true}, true));
  Layer coupled{.op = Cell(CellKind::kLstm)};
  coupled.op.input_forget = true;
  cases.push_back(CaseOf("LSTM_InputForget", coupled, true));
  Layer hard{.op = Cell(CellKind::kLstm)};
  hard.op.activations = {{UnaryKind::kHardSigmoid, 0.2f, 0.5f}, {UnaryKind::kSoftsign}, {UnaryKind::kRelu}};
  cases.push_back(CaseOf("LSTM_OtherFunctions", hard, true));
  Layer relu{.op = Cell(CellKind::kRnn)};
  relu.op.activations = {{UnaryKind::kRelu}};
  cases.push_back(CaseOf("RNN_Relu", relu));
  return cases;
}

}  // namespace precis::testing
