// One forward look (what could be levels), one backward walk (what should be: a node needs to know its readers first), one pass over values.
#include "engine/quant/assign.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace precis::quant {
namespace {

using Unusable = std::function<std::optional<std::string>(ir::ValueId)>;

class Assigner {
 public:
  Assigner(const ir::Graph& graph, const Target& target, const Unusable& unusable,
           const std::function<bool(ir::NodeId)>& is_int8)
      : g_(graph), target_(target), unusable_(unusable), is_int8_(is_int8) {}

  absl::StatusOr<Assignment> Run() {
    PRECIS_ASSIGN_OR_RETURN(a_.order, g_.TopologicalOrder());
    const auto nodes = static_cast<size_t>(g_.num_node_slots()), values = static_cast<size_t>(g_.num_values());
    a_.roles.assign(nodes, Role::kFloat);
    a_.int8.assign(nodes, false);
    a_.notes.assign(nodes, "");
    a_.forms.assign(values, Form::kFloat);
    can_emit_.assign(values, false);
    reasons_.assign(values, std::nullopt);
    for (ir::NodeId id : a_.order) LookForward(id);
    for (auto it = a_.order.rbegin(); it != a_.order.rend(); ++it) Decide(*it);
    for (ir::ValueId v = 0; v < g_.num_values(); ++v) a_.forms[static_cast<size_t>(v)] = FormOf(v);
    Group();
    return std::move(a_);
  }

 private:
  template <typename T>
  static decltype(auto) At(T& list, int id) {
    return list[static_cast<size_t>(id)];
  }

  // Why the value cannot be quantized; empty when it can.
  const std::string& Reason(ir::ValueId v) {
    auto& reason = At(reasons_, v);
    if (!reason) {
      reason = "";
      const ir::ValueId source = SourceOf(g_, v);
      const ir::NodeId producer = g_.producer(source);
      if (source != v) {
        reason = Reason(source);
      } else if (producer != ir::kNoNode && std::holds_alternative<ir::Concat>(g_.node(producer).op)) {
        for (ir::ValueId part : g_.node(producer).inputs) {
          if (reason->empty()) reason = Reason(part);
        }
      } else {
        reason = unusable_(v).value_or("");
      }
    }
    return *reason;
  }
  bool Usable(ir::ValueId v) { return Reason(v).empty(); }

  void LookForward(ir::NodeId id) {
    const ir::Node& n = g_.node(id);
    RoleAndReason role = RoleOf(g_, id);
    if (role.role == Role::kAttention && !target_.has_vnni) {
      role = {Role::kFloat, "sums of two 8-bit activations saturate on this CPU"};
    }
    At(a_.roles, id) = role.role;
    At(a_.notes, id) = role.reason;
    bool emits = IsHeavy(role.role);
    if (emits && is_int8_ && !is_int8_(id)) {
      emits = false;
    } else if (emits) {
      const size_t operands = role.role == Role::kAttention ? 2 : 1;
      for (size_t i = 0; i < operands; ++i) {
        if (!Usable(n.inputs[i])) {
          emits = false;
          At(a_.notes, id) = absl::StrCat("input \"", g_.value(n.inputs[i]).name, "\" ", Reason(n.inputs[i]));
        }
      }
      At(a_.int8, id) = emits;
    } else if (role.role != Role::kFloat) {
      emits = true;
      for (size_t i = 0; i < NumDataInputs(g_, id); ++i) emits = emits && At(can_emit_, n.inputs[i]);
    }
    for (ir::ValueId v : n.outputs) {
      if (v != ir::kNoValue) At(can_emit_, v) = emits;
    }
  }

  struct Readers {
    bool all_take = true;   // every reader takes levels; false where there is none, and for graph outputs
    bool any_asks = false;  // some reader computes with levels (a residual operand only accepts them)
  };

  Readers ReadersOf(ir::ValueId v) const {
    Readers r;
    const auto& readers = g_.consumers(v);
    r.all_take = !readers.empty() && !g_.IsGraphOutput(v);
    for (ir::NodeId id : readers) {
      const ir::Node& n = g_.node(id);
      for (size_t slot = 0; slot < n.inputs.size(); ++slot) {
        if (n.inputs[slot] != v) continue;
        const bool takes = a_.ReadsLevels(g_, id, slot);
        r.all_take = r.all_take && takes;
        r.any_asks = r.any_asks || (takes && !IsPostOpOperand(n, slot));
      }
    }
    return r;
  }

  bool Asked(ir::ValueId v) const {
    const Readers r = ReadersOf(v);
    return r.all_take && r.any_asks;
  }

  void Decide(ir::NodeId id) {
    const Role role = At(a_.roles, id);
    if (role != Role::kMovement && role != Role::kArithmetic) return;
    const ir::Node& n = g_.node(id);
    bool asked = false, all = true, usable = true;
    for (ir::ValueId v : n.outputs) {
      if (v == ir::kNoValue || (g_.consumers(v).empty() && !g_.IsGraphOutput(v))) continue;
      all = all && Asked(v);
      asked = true;
      usable = usable && Usable(v);
    }
    std::string& note = At(a_.notes, id);
    if (!asked || !all) {
      note = "what reads its result takes f32";
      return;
    }
    if (role == Role::kArithmetic) {
      for (size_t i = 0; i < NumDataInputs(g_, id); ++i) {
        usable = usable && Usable(n.inputs[i]);
        if (!At(can_emit_, n.inputs[i]))
          note = absl::StrCat("input \"", g_.value(n.inputs[i]).name, "\" is computed in f32");
      }
    }
    if (!usable) note = "its numbers cannot be quantized";
    At(a_.int8, id) = note.empty();
  }

  Form FormOf(ir::ValueId v) {
    if (g_.IsConstant(v) || g_.value(v).dtype != DataType::kF32) return Form::kFloat;
    const ir::NodeId producer = g_.producer(v);
    if (producer == ir::kNoNode && !g_.IsGraphInput(v)) return Form::kFloat;
    const Readers r = ReadersOf(v);
    const bool writes = producer != ir::kNoNode && At(a_.int8, producer);
    const bool heavy = writes && IsHeavy(At(a_.roles, producer));
    if (writes && r.all_take && (r.any_asks || heavy) && Usable(v)) return Form::kInt8;
    return r.any_asks ? Form::kConverted : Form::kFloat;
  }

  ir::ValueId Find(ir::ValueId v) {
    while (At(a_.group, v) != v) v = At(a_.group, v) = At(a_.group, At(a_.group, v));
    return v;
  }

  void Group() {
    a_.group.resize(static_cast<size_t>(g_.num_values()));
    std::iota(a_.group.begin(), a_.group.end(), 0);
    a_.needs_s8.assign(a_.group.size(), false);
    for (ir::NodeId id : a_.order) {
      if (At(a_.roles, id) != Role::kMovement || !At(a_.int8, id)) continue;
      const ir::Node& n = g_.node(id);
      for (ir::ValueId out : n.outputs) {
        if (out == ir::kNoValue) continue;
        for (size_t i = 0; i < NumDataInputs(g_, id); ++i) At(a_.group, Find(out)) = Find(n.inputs[i]);
      }
    }
    for (ir::ValueId v = 0; v < g_.num_values(); ++v) At(a_.group, v) = Find(v);
    for (ir::NodeId id : a_.order) {
      if (At(a_.roles, id) == Role::kAttention && At(a_.int8, id))
        a_.needs_s8[static_cast<size_t>(At(a_.group, g_.node(id).inputs[1]))] = true;
    }
  }

  const ir::Graph& g_;
  const Target& target_;
  const Unusable& unusable_;
  const std::function<bool(ir::NodeId)>& is_int8_;
  Assignment a_;
  std::vector<bool> can_emit_;  // per value: its producer could write levels
  std::vector<std::optional<std::string>> reasons_;
};

}  // namespace

bool Assignment::ReadsLevels(const ir::Graph& graph, ir::NodeId id, size_t slot) const {
  if (!int8[static_cast<size_t>(id)]) return false;
  const ir::Node& n = graph.node(id);
  switch (roles[static_cast<size_t>(id)]) {
    case Role::kConvolution:
      if (IsPostOpOperand(n, slot)) return graph.value(n.inputs[slot]).shape == graph.value(n.outputs[0]).shape;
      return slot == 0;
    case Role::kProduct: return slot == 0;
    case Role::kAttention: return slot < 2;
    case Role::kMovement:
    case Role::kArithmetic: return slot < NumDataInputs(graph, id);
    case Role::kFloat: break;
  }
  return false;
}

ir::ValueId SourceOf(const ir::Graph& graph, ir::ValueId value) {
  for (;;) {
    const ir::NodeId producer = graph.producer(value);
    if (producer == ir::kNoNode || RoleOf(graph, producer).role != Role::kMovement ||
        NumDataInputs(graph, producer) != 1 || std::holds_alternative<ir::Concat>(graph.node(producer).op)) {
      return value;
    }
    value = graph.node(producer).inputs[0];
  }
}

std::vector<ir::ValueId> SourcesOf(const ir::Graph& graph, ir::ValueId value) {
  const ir::ValueId source = SourceOf(graph, value);
  const ir::NodeId producer = graph.producer(source);
  if (producer == ir::kNoNode || !std::holds_alternative<ir::Concat>(graph.node(producer).op)) return {source};
  std::vector<ir::ValueId> sources;
  for (ir::ValueId part : graph.node(producer).inputs) {
    const std::vector<ir::ValueId> more = SourcesOf(graph, part);
    sources.insert(sources.end(), more.begin(), more.end());
  }
  return sources;
}

absl::StatusOr<Assignment> Assign(const ir::Graph& graph, const Target& target, const Unusable& unusable,
                                  const std::function<bool(ir::NodeId)>& is_int8) {
  return Assigner(graph, target, unusable, is_int8).Run();
}

}  // namespace precis::quant
