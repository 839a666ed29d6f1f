// bf16 and f16: the same backward walk as for int8, with other rules. Nothing here depends on data, so no calibration is needed; what could
// overflow or lose its meaning in 16 bits is told from constants alone.
#include "engine/quant/narrow_float.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/float16.h"
#include "engine/base/status_macros.h"
#include "engine/quant/operators.h"

namespace precis::quant {
namespace {

enum class Part {
  kHeavy,     // always narrow: this is where the time goes
  kTolerant,  // narrow when all that reads its result is; computes in f32 inside, so an f32 input may stay f32
  kPlain,     // narrow when all that reads its result is, inputs too
  kFloat,     // always f32
};

struct PartVisitor {
  Part operator()(const ir::Conv&) const { return Part::kHeavy; }
  Part operator()(const ir::ConvTranspose&) const { return Part::kHeavy; }
  Part operator()(const ir::MatMul&) const { return Part::kHeavy; }
  Part operator()(const ir::LayerNorm&) const { return Part::kTolerant; }
  Part operator()(const ir::Softmax& op) const { return op.log ? Part::kFloat : Part::kTolerant; }
  Part operator()(const ir::Unary& op) const {
    switch (op.kind) {
      case ir::UnaryKind::kExp:
      case ir::UnaryKind::kLog:
      case ir::UnaryKind::kSqrt:
      case ir::UnaryKind::kReciprocal:
        return Part::kFloat;  // decoding boxes, statistics: steep functions of numbers that must stay exact
      default: return Part::kPlain;
    }
  }
  Part operator()(const ir::Binary& op) const {
    switch (op.kind) {
      case ir::BinaryKind::kAdd:
      case ir::BinaryKind::kSub:
      case ir::BinaryKind::kMul:
      case ir::BinaryKind::kMin:
      case ir::BinaryKind::kMax:
      case ir::BinaryKind::kPrelu: return Part::kPlain;
      default: return Part::kFloat;
    }
  }
  Part operator()(const ir::Reduce& op) const {
    const bool kind =
        op.kind == ir::ReduceKind::kMean || op.kind == ir::ReduceKind::kMax || op.kind == ir::ReduceKind::kMin;
    return kind ? Part::kPlain : Part::kFloat;
  }
  template <typename Op>
  Part operator()(const Op&) const {
    constexpr bool kPlain =
        std::is_same_v<Op, ir::Pool> || std::is_same_v<Op, ir::GlobalPool> || std::is_same_v<Op, ir::Identity> ||
        std::is_same_v<Op, ir::Reshape> || std::is_same_v<Op, ir::Flatten> || std::is_same_v<Op, ir::Squeeze> ||
        std::is_same_v<Op, ir::Unsqueeze> || std::is_same_v<Op, ir::Transpose> || std::is_same_v<Op, ir::Concat> ||
        std::is_same_v<Op, ir::Split> || std::is_same_v<Op, ir::Slice> || std::is_same_v<Op, ir::Expand> ||
        std::is_same_v<Op, ir::Tile> || std::is_same_v<Op, ir::DepthToSpace> || std::is_same_v<Op, ir::SpaceToDepth> ||
        std::is_same_v<Op, ir::Resize>;
    return kPlain ? Part::kPlain : Part::kFloat;
  }
};

// An f32 input that says how, not what: Resize's roi and scales.
bool IsParameter(const ir::Op& op, size_t slot) {
  return std::holds_alternative<ir::Resize>(op) && (slot == 1 || slot == 2);
}

bool IsMovementOrArithmetic(const ir::Op& op) {
  return std::visit(PartVisitor{}, op) == Part::kPlain || std::holds_alternative<ir::Where>(op) ||
         std::holds_alternative<ir::Binary>(op);
}

class NarrowFloat {
 public:
  NarrowFloat(ir::Graph& graph, DataType type, const std::function<bool(ir::NodeId)>& is_narrow)
      : g_(graph), type_(type), is_narrow_(is_narrow) {}

  absl::Status Run() {
    PRECIS_ASSIGN_OR_RETURN(order_, g_.TopologicalOrder());
    narrow_.assign(static_cast<size_t>(g_.num_node_slots()), false);
    out_of_range_.assign(static_cast<size_t>(g_.num_values()), false);
    for (ir::ValueId v = 0; v < g_.num_values(); ++v) Set(out_of_range_, v, HoldsHugeConstant(v));
    for (ir::NodeId id : order_) SpreadRange(id);
    for (auto it = order_.rbegin(); it != order_.rend(); ++it) Decide(*it);
    const ir::ValueId values = g_.num_values();
    for (ir::ValueId v = 0; v < values; ++v) Rewrite(v);
    return absl::OkStatus();
  }

 private:
  static void Set(std::vector<bool>& list, int id, bool value) { list[static_cast<size_t>(id)] = value; }
  static bool Get(const std::vector<bool>& list, int id) { return list[static_cast<size_t>(id)]; }

  bool IsF32(ir::ValueId v) const { return v != ir::kNoValue && g_.value(v).dtype == DataType::kF32; }

  bool HoldsHugeConstant(ir::ValueId v) const {
    if (!g_.IsConstant(v) || g_.value(v).dtype != DataType::kF32) return false;
    const float limit = type_ == DataType::kF16 ? F16ToF32(0x7bff) : BF16ToF32(0x7f7f);  // largest finite numbers
    const auto x = g_.value(v).constant->As<float>();
    return std::any_of(x.begin(), x.end(), [&](float y) { return std::abs(y) > limit; });
  }

  // What is computed from numbers beyond the type's range by moving, adding or multiplying may lie beyond it too.
  void SpreadRange(ir::NodeId id) {
    const ir::Node& n = g_.node(id);
    bool beyond = false;
    for (size_t slot = 0; slot < n.inputs.size(); ++slot) {
      if (n.inputs[slot] == ir::kNoValue || !Get(out_of_range_, n.inputs[slot])) continue;
      beyond = beyond || IsMovementOrArithmetic(n.op) || slot > 2;  // beyond slot 2, post-op operands
    }
    for (ir::ValueId v : n.outputs) {
      if (beyond && v != ir::kNoValue) Set(out_of_range_, v, true);
    }
  }

  bool IsPostOpOperand(const ir::Node& n, size_t slot) const {
    return std::any_of(n.post_ops.begin(), n.post_ops.end(), [&](const ir::PostOp& p) {
      return p.kind == ir::PostOp::Kind::kBinary && p.input == static_cast<int>(slot);
    });
  }

  enum class Reads { kFloat, kAsks, kAccepts };

  // How node `id` reads its input `slot`: only f32, only narrow, or either.
  Reads HowReads(ir::NodeId id, size_t slot) const {
    if (!Get(narrow_, id)) return Reads::kFloat;
    const ir::Node& n = g_.node(id);
    switch (std::visit(PartVisitor{}, n.op)) {
      case Part::kHeavy: return slot < 2 ? Reads::kAsks : IsPostOpOperand(n, slot) ? Reads::kAccepts : Reads::kFloat;
      case Part::kTolerant: return slot == 0 ? Reads::kAccepts : Reads::kFloat;
      case Part::kPlain: return IsF32(n.inputs[slot]) && !IsParameter(n.op, slot) ? Reads::kAsks : Reads::kFloat;
      case Part::kFloat: break;
    }
    return Reads::kFloat;
  }

  struct Readers {
    bool all_take = false, any_asks = false;
  };
  Readers ReadersOf(ir::ValueId v) const {
    Readers r;
    const auto& readers = g_.consumers(v);
    r.all_take = !readers.empty() && !g_.IsGraphOutput(v);
    for (ir::NodeId id : readers) {
      for (size_t slot = 0; slot < g_.node(id).inputs.size(); ++slot) {
        if (g_.node(id).inputs[slot] != v) continue;
        const Reads how = HowReads(id, slot);
        r.all_take = r.all_take && how != Reads::kFloat;
        r.any_asks = r.any_asks || how == Reads::kAsks;
      }
    }
    return r;
  }

  void Decide(ir::NodeId id) {
    ir::Node& n = g_.node(id);
    const Part part = std::visit(PartVisitor{}, n.op);
    if (n.inputs.empty() || !IsF32(n.inputs[0])) return;
    if (part == Part::kHeavy && !is_narrow_(id)) return;
    std::string reason;
    if (part == Part::kFloat)
      reason = std::holds_alternative<ir::Recurrent>(n.op) ? kRecurrentInF32 : "computed in f32";
    bool read = false;
    for (ir::ValueId v : n.outputs) {
      if (v == ir::kNoValue) continue;
      if (!IsF32(v)) {
        reason = "its result is not f32";
      } else if (part != Part::kHeavy && (g_.IsGraphOutput(v) || !g_.consumers(v).empty())) {
        read = true;
        if (!ReadersOf(v).all_take) reason = "what reads its result takes f32";
        if (Get(out_of_range_, v)) reason = absl::StrCat("its numbers may exceed ", Name(type_));
      }
    }
    for (size_t slot = 0; slot < std::min<size_t>(2, n.inputs.size()); ++slot) {
      const ir::ValueId v = n.inputs[slot];
      const bool data = part == Part::kHeavy || slot == 0;
      if (data && v != ir::kNoValue && (!IsF32(v) || (part != Part::kTolerant && Get(out_of_range_, v)))) {
        reason = absl::StrCat("input \"", g_.value(v).name, "\" cannot be ", Name(type_));
      }
    }
    if (part != Part::kHeavy && !read && reason.empty()) reason = "nothing reads its result";
    Set(narrow_, id, reason.empty());
    if (reason.empty()) n.precision_note.clear();  // why it is not an integer node, in a mixed graph
    if (!reason.empty() && n.precision_note.empty()) n.precision_note = absl::StrCat("f32: ", reason);
  }

  // Integer sums go to 16 bits as well as to f32: s32 times the scales, rounded once.
  bool IsIntegerLayer(ir::NodeId id) const {
    const ir::Node& n = g_.node(id);
    return std::visit(PartVisitor{}, n.op) == Part::kHeavy && n.inputs[0] != ir::kNoValue &&
           IsInt8(g_.value(n.inputs[0]).dtype);
  }

  void Rewrite(ir::ValueId v) {
    if (!IsF32(v)) return;
    const Readers r = ReadersOf(v);
    if (g_.IsConstant(v)) {
      if (r.any_asks) Redirect(v, NarrowConstant(v));
      return;
    }
    const ir::NodeId producer = g_.producer(v);
    const bool writes_narrow = producer != ir::kNoNode && (Get(narrow_, producer) || IsIntegerLayer(producer));
    if (writes_narrow && r.all_take && !Get(out_of_range_, v)) {
      g_.value(v).dtype = type_;
    } else if (r.any_asks) {
      const ir::ValueId copy = g_.AddValue(absl::StrCat(g_.value(v).name, ":", Name(type_)), type_, g_.value(v).shape);
      Redirect(v, copy);
      g_.AddNode("", ir::Convert{}, {v}, {copy});
      narrow_.push_back(false);
    }
  }

  ir::ValueId NarrowConstant(ir::ValueId v) {
    const Tensor& wide = *g_.value(v).constant;
    Tensor narrow(type_, wide.shape());
    auto* bits = static_cast<uint16_t*>(narrow.data());
    const auto x = wide.As<float>();
    if (type_ == DataType::kF16) {
      std::transform(x.begin(), x.end(), bits, F32ToF16);
    } else {
      std::transform(x.begin(), x.end(), bits, F32ToBF16);
    }
    return g_.AddConstant(absl::StrCat(g_.value(v).name, ":", Name(type_)), std::move(narrow));
  }

  // Readers that ask for the narrow form of `from` read `to`.
  void Redirect(ir::ValueId from, ir::ValueId to) {
    const std::vector<ir::NodeId> readers = g_.consumers(from);
    for (ir::NodeId id : readers) {
      for (size_t slot = 0; slot < g_.node(id).inputs.size(); ++slot) {
        if (g_.node(id).inputs[slot] == from && HowReads(id, slot) == Reads::kAsks) g_.SetInput(id, slot, to);
      }
    }
  }

  ir::Graph& g_;
  const DataType type_;
  const std::function<bool(ir::NodeId)>& is_narrow_;  // of kHeavy nodes
  std::vector<ir::NodeId> order_;
  std::vector<bool> narrow_;        // per node slot
  std::vector<bool> out_of_range_;  // per value: may hold numbers beyond the type
};

}  // namespace

absl::Status ApplyNarrowFloat(ir::Graph& graph, DataType type, const std::function<bool(ir::NodeId)>& is_narrow) {
  return NarrowFloat(graph, type, is_narrow).Run();
}

}  // namespace precis::quant
