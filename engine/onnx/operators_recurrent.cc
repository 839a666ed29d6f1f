// LSTM, GRU and RNN in one spelling: steps first (layout 0), gates in oneDNN's order, one bias. What rearranges constants folds away.
#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/onnx/operators.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {
namespace {

using ir::CellKind;
using ir::UnaryKind;
using ir::ValueId;

// An activation function by ONNX's name, with the parameters that it has when none are given.
struct NamedFunction {
  absl::string_view name;
  ir::Unary function;
  int parameters = 0;  // alpha, or alpha and beta
};
constexpr std::array<NamedFunction, 10> kFunctions = {{{"Relu", {UnaryKind::kRelu}},
                                                       {"Tanh", {UnaryKind::kTanh}},
                                                       {"Sigmoid", {UnaryKind::kSigmoid}},
                                                       {"Affine", {UnaryKind::kLinear, 1.0f, 0.0f}, 2},
                                                       {"LeakyRelu", {UnaryKind::kLeakyRelu, 0.01f}, 1},
                                                       {"ThresholdedRelu", {UnaryKind::kThresholdedRelu, 1.0f}, 1},
                                                       {"HardSigmoid", {UnaryKind::kHardSigmoid, 0.2f, 0.5f}, 2},
                                                       {"Elu", {UnaryKind::kElu, 1.0f}, 1},
                                                       {"Softsign", {UnaryKind::kSoftsign}},
                                                       {"Softplus", {UnaryKind::kSoftplus}}}};

// The functions in the order of `names`; each takes its parameters off the front of the two lists while they last.
std::vector<ir::Unary> ReadActivations(NodeImport& node, std::vector<std::string> names, size_t directions) {
  if (const std::vector<std::string> given = node.attributes().Strings("activations"); !given.empty()) {
    names = given;
  } else if (directions == 2) {
    const std::vector<std::string> once = names;
    names.insert(names.end(), once.begin(), once.end());
  }
  const std::vector<float> alphas = node.attributes().Floats("activation_alpha");
  const std::vector<float> betas = node.attributes().Floats("activation_beta");
  size_t alpha = 0, beta = 0;
  std::vector<ir::Unary> functions;
  for (const std::string& name : names) {
    const auto* found = std::find_if(kFunctions.begin(), kFunctions.end(),
                                     [&](const NamedFunction& f) { return absl::EqualsIgnoreCase(f.name, name); });
    if (found == kFunctions.end()) {
      node.Unsupported(absl::StrCat("activation ", Quoted(name)));
      return {};
    }
    ir::Unary function = found->function;
    if (found->parameters > 0 && alpha < alphas.size()) function.alpha = alphas[alpha++];
    if (found->parameters > 1 && beta < betas.size()) function.beta = betas[beta++];
    functions.push_back(function);
  }
  return functions;
}

// Parts of `x` along dimension 1, of equal size, in another order.
ValueId Reorder(NodeImport& node, const std::string& what, ValueId x, const std::vector<size_t>& order) {
  const auto parts =
      node.AddMany(what + "_gate", ir::Split{1, static_cast<int64_t>(order.size())}, {x, ir::kNoValue}, order.size());
  std::vector<ValueId> ordered;
  for (size_t i : order) ordered.push_back(parts[i]);
  return node.Add(what, ir::Concat{1}, std::move(ordered));
}

// ONNX's bias [D, 2*G*H], that of the weights and then that of the recurrence, as one. The hidden gate of a GRU that multiplies by the reset
// gate after the product keeps both.
ValueId JoinBias(NodeImport& node, ValueId bias, const std::vector<size_t>& order, bool linear_before_reset) {
  const size_t gates = order.size();
  const auto parts =
      node.AddMany("bias_part", ir::Split{1, static_cast<int64_t>(2 * gates)}, {bias, ir::kNoValue}, 2 * gates);
  std::vector<ValueId> joined;
  for (size_t i : order) {
    if (linear_before_reset && i == gates - 1) {
      joined.insert(joined.end(), {parts[i], parts[gates + i]});
    } else {
      joined.push_back(
          node.Add(absl::StrCat("bias_sum", i), ir::Binary{ir::BinaryKind::kAdd}, {parts[i], parts[gates + i]}));
    }
  }
  return node.Add("bias", ir::Concat{1}, std::move(joined));
}

ir::Recurrent ReadAttributes(NodeImport& node, CellKind cell) {
  Attributes& attributes = node.attributes();
  ir::Recurrent op;
  op.cell = cell;
  op.hidden_size = attributes.Int("hidden_size", 0);
  op.clip = attributes.Float("clip", 0.0f);
  op.input_forget = attributes.Bool("input_forget", false);
  op.linear_before_reset = attributes.Bool("linear_before_reset", false);
  const std::string direction = attributes.String("direction", "forward");
  if (direction == "reverse") {
    op.direction = ir::Direction::kReverse;
  } else if (direction == "bidirectional") {
    op.direction = ir::Direction::kBidirectional;
  } else if (direction != "forward") {
    node.FailAttribute("direction", direction);
  }
  std::vector<std::string> names = {"Tanh"};
  if (cell == CellKind::kGru) names = {"Sigmoid", "Tanh"};
  if (cell == CellKind::kLstm) names = {"Sigmoid", "Tanh", "Tanh"};
  op.activations = ReadActivations(node, names, op.direction == ir::Direction::kBidirectional ? 2 : 1);
  return op;
}

template <CellKind cell>
void ImportRecurrent(NodeImport& node) {
  const ir::Recurrent op = ReadAttributes(node, cell);
  std::vector<size_t> order = {0};
  if (cell == CellKind::kGru) order = {0, 1, 2};
  if (cell == CellKind::kLstm) order = {0, 2, 3, 1};  // ONNX: input, output, forget, cell
  const bool batch_first = node.attributes().Bool("layout", false);
  const auto steps_first = [&](const char* what, ValueId v) {
    return v == ir::kNoValue || !batch_first ? v : node.Add(what, ir::Transpose{{1, 0, 2}}, {v});
  };
  ValueId weights = node.Input(1), recurrence = node.Input(2), bias = node.Optional(3);
  if (cell == CellKind::kLstm) {
    weights = Reorder(node, "weights", weights, order);
    recurrence = Reorder(node, "recurrence", recurrence, order);
  }
  if (bias != ir::kNoValue) bias = JoinBias(node, bias, order, op.linear_before_reset);
  std::vector<ValueId> inputs = {steps_first("steps_first", node.Input(0)), weights, recurrence, bias, node.Optional(4),
                                 steps_first("initial_h", node.Optional(5))};
  if (cell == CellKind::kLstm)
    inputs.insert(inputs.end(), {steps_first("initial_c", node.Optional(6)), node.Optional(7)});
  if (!batch_first) return node.EmitAll(op, std::move(inputs));
  const auto results = node.AddMany("result", op, std::move(inputs), node.num_outputs());
  const ir::Ints perms[] = {{2, 0, 1, 3}, {1, 0, 2}, {1, 0, 2}};  // [S,D,B,H] -> [B,S,D,H]; [D,B,H] -> [B,D,H]
  for (size_t i = 0; i < node.num_outputs(); ++i) node.Emit(ir::Transpose{perms[i]}, {results[i]}, i);
}

}  // namespace

void AddRecurrentOperators(OperatorTable& table) {
  table["LSTM"] = ImportRecurrent<CellKind::kLstm>;
  table["GRU"] = ImportRecurrent<CellKind::kGru>;
  table["RNN"] = ImportRecurrent<CellKind::kRnn>;
}

}  // namespace precis::onnx_import
