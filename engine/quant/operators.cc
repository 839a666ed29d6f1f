#include "engine/quant/operators.h"

#include <algorithm>
#include <variant>

#include "absl/strings/str_cat.h"

namespace precis::quant {
namespace {

bool IsF32(const ir::Graph& g, ir::ValueId v) { return v != ir::kNoValue && g.value(v).dtype == DataType::kF32; }

// A run-time f32 tensor.
bool IsActivation(const ir::Graph& g, ir::ValueId v) { return IsF32(g, v) && !g.IsConstant(v); }

bool IsFloatConstant(const ir::Graph& g, ir::ValueId v) { return IsF32(g, v) && g.IsConstant(v); }

RoleAndReason Float(std::string reason) { return {Role::kFloat, std::move(reason)}; }

class RoleVisitor {
 public:
  RoleVisitor(const ir::Graph& graph, ir::NodeId id) : g_(graph), n_(graph.node(id)) {}

  RoleAndReason operator()(const ir::Conv&) const {
    if (!IsActivation(g_, n_.inputs[0])) return Float("its input is not f32");
    if (!IsFloatConstant(g_, n_.inputs[1])) return Float("its weights are not constant f32");
    return {Role::kConvolution, ""};
  }

  RoleAndReason operator()(const ir::MatMul& op) const {
    if (!IsActivation(g_, n_.inputs[0])) return Float("its first operand is not an f32 activation");
    const size_t rank = g_.value(n_.inputs[0]).shape.size();
    if (IsFloatConstant(g_, n_.inputs[1])) {
      if (g_.value(n_.inputs[1]).shape.size() != 2 || rank < 2 || op.transpose_a)
        return Float("its weights are not one matrix");
      return {Role::kProduct, ""};
    }
    if (!IsActivation(g_, n_.inputs[1]) || rank < 3 || g_.value(n_.inputs[1]).shape.size() != rank) {
      return Float("its operands are not two f32 activations of one rank");
    }
    return {Role::kAttention, ""};
  }

  RoleAndReason operator()(const ir::Pool& op) const {
    const auto is_padded = [&] {
      const auto any = [](const ir::Ints& pads) {
        return std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; });
      };
      return any(op.window.pads_begin) || any(op.window.pads_end) || op.ceil_mode;
    };
    if (n_.outputs.size() != 1 && n_.outputs[1] != ir::kNoValue) return Float("it gives indices too");
    if (op.kind == ir::PoolKind::kAverageIncludePad && is_padded())
      return Float("its average counts padding, which would need a zero level");
    return Plain(Role::kMovement);
  }
  RoleAndReason operator()(const ir::GlobalPool& op) const {
    return Plain(op.kind == ir::PoolKind::kMax ? Role::kMovement : Role::kArithmetic);
  }

  RoleAndReason operator()(const ir::Binary& op) const {
    const bool fits =
        op.kind == ir::BinaryKind::kAdd || op.kind == ir::BinaryKind::kMul || op.kind == ir::BinaryKind::kSub;
    if (!fits) return Float("no integer form");
    if (!IsActivation(g_, n_.inputs[1])) return Float("its second operand is constant");
    return Plain(Role::kArithmetic);
  }
  RoleAndReason operator()(const ir::Unary& op) const {
    switch (op.kind) {
      case ir::UnaryKind::kExp:
      case ir::UnaryKind::kLog:
      case ir::UnaryKind::kReciprocal:
      case ir::UnaryKind::kSqrt: return Float("too steep for 256 levels");
      default: return Plain(Role::kArithmetic);
    }
  }

  RoleAndReason operator()(const ir::Concat&) const {
    for (ir::ValueId v : n_.inputs) {
      if (!IsActivation(g_, v)) return Float("joins constants");
    }
    return Plain(Role::kMovement);
  }
  RoleAndReason operator()(const ir::Pad& op) const {
    if (op.mode == ir::PadMode::kConstant) return Float("pads with a number, not a level");
    return Plain(Role::kMovement);
  }
  RoleAndReason operator()(const ir::Recurrent&) const { return Float(kRecurrentInF32); }
  RoleAndReason operator()(const ir::Identity&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::Reshape&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::Flatten&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::Squeeze&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::Unsqueeze&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::Transpose&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::Split&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::Slice&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::Expand&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::Tile&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::DepthToSpace&) const { return Plain(Role::kMovement); }
  RoleAndReason operator()(const ir::SpaceToDepth&) const { return Plain(Role::kMovement); }

  template <typename Op>
  RoleAndReason operator()(const Op&) const {
    return Float("no integer form");
  }

 private:
  RoleAndReason Plain(Role role) const {
    if (!IsActivation(g_, n_.inputs[0])) return Float("its data is not f32");
    if (!n_.post_ops.empty()) return Float("work is fused behind it");
    return {role, ""};
  }

  const ir::Graph& g_;
  const ir::Node& n_;
};

}  // namespace

RoleAndReason RoleOf(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& n = graph.node(id);
  if (n.inputs.empty() || n.inputs[0] == ir::kNoValue) return Float("no integer form");
  const bool f32 = std::all_of(n.outputs.begin(), n.outputs.end(),
                               [&](ir::ValueId v) { return v == ir::kNoValue || IsF32(graph, v); });
  if (!f32) return Float("its output is not f32");
  return std::visit(RoleVisitor(graph, id), n.op);
}

bool IsLayer(const ir::Op& op) {
  return std::holds_alternative<ir::Conv>(op) || std::holds_alternative<ir::ConvTranspose>(op) ||
         std::holds_alternative<ir::MatMul>(op);
}

size_t NumDataInputs(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& n = graph.node(id);
  if (std::holds_alternative<ir::Concat>(n.op)) return n.inputs.size();
  return std::holds_alternative<ir::Binary>(n.op) ? 2 : 1;
}

int OutputChannelAxis(const ir::Graph& graph, ir::NodeId id) {
  const auto* matmul = std::get_if<ir::MatMul>(&graph.node(id).op);
  return matmul == nullptr || matmul->transpose_b ? 0 : 1;
}

size_t ChannelAxis(const ir::Graph& graph, ir::ValueId value) {
  const auto is_spatial = [&](ir::NodeId id) {
    const ir::Op& op = graph.node(id).op;
    return std::holds_alternative<ir::Conv>(op) || std::holds_alternative<ir::Pool>(op) ||
           std::holds_alternative<ir::GlobalPool>(op);
  };
  const auto& readers = graph.consumers(value);
  const ir::NodeId producer = graph.producer(value);
  const size_t rank = graph.value(value).shape.size();
  const bool spatial =
      (producer != ir::kNoNode && is_spatial(producer)) || std::any_of(readers.begin(), readers.end(), is_spatial);
  return spatial && rank > 1 ? 1 : rank == 0 ? 0 : rank - 1;
}

bool IsPostOpOperand(const ir::Node& node, size_t slot) {
  return std::any_of(node.post_ops.begin(), node.post_ops.end(), [&](const ir::PostOp& p) {
    return p.kind == ir::PostOp::Kind::kBinary && p.input == static_cast<int>(slot);
  });
}

}  // namespace precis::quant
