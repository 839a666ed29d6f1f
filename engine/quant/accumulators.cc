// Runs last: a layer's operands tell what it multiplies, however they came to be so.
#include "engine/quant/accumulators.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "engine/quant/operators.h"

namespace precis::quant {
namespace {

bool IsReal(const ir::Value& v) { return IsFloat(v.dtype) && v.dtype != DataType::kF64; }

// Terms of each of the node's sums.
int64_t LengthOfSums(const ir::Graph& graph, ir::NodeId id) {
  const ir::Node& n = graph.node(id);
  const Shape& weights = graph.value(n.inputs[1]).shape;
  if (const auto* product = std::get_if<ir::MatMul>(&n.op)) {
    const Shape& a = graph.value(n.inputs[0]).shape;
    return a.size() < 2 || !product->transpose_a ? a.back() : a[a.size() - 2];
  }
  const auto* transpose = std::get_if<ir::ConvTranspose>(&n.op);
  const int64_t filters = transpose == nullptr ? weights[0] : weights[1] * transpose->groups;
  return filters == 0 ? 0 : NumElements(weights) / filters;
}

void AddNote(ir::Node& node, const std::string& note) {
  absl::StrAppend(&node.precision_note, node.precision_note.empty() ? "" : "; ", note);
}

// "f16 sums of 64, f32 across 9 chunks".
std::string Describe(const ir::Accumulation& how, int64_t k, bool own_scales) {
  const std::string name = ir::Name(how.accumulator);
  if (how.chunk == 0 || how.chunk >= k) return absl::StrCat(name, " sums of all ", k);
  return absl::StrCat(name, " sums of ", how.chunk, ", ", how.outer_same ? name : "f32", " across ",
                      (k + how.chunk - 1) / how.chunk, " chunks", own_scales ? " with scales of their own" : "");
}

}  // namespace

void SetAccumulators(ir::Graph& graph, const Policy& policy) {
  for (ir::NodeId id = 0; id < graph.num_node_slots(); ++id) {
    if (!graph.alive(id)) continue;
    ir::Node& n = graph.node(id);
    const bool recurrent = std::holds_alternative<ir::Recurrent>(n.op);
    if (!IsLayer(n.op) && !recurrent) continue;
    const AccumulationPolicy asked = PolicyOfLayer(policy, n.name).accumulation;
    if (!asked.emulated) continue;
    const ir::Value &src = graph.value(n.inputs[0]), &weights = graph.value(n.inputs[1]);
    const bool levels = IsInt8(src.dtype) && IsInt8(weights.dtype) && src.quant && weights.quant;
    const bool real = IsReal(src) && IsReal(weights);
    const bool is_s16 = *asked.emulated == ir::Accumulator::kS16;
    if (!levels && !real) continue;  // arithmetic of shapes and the like
    if (recurrent) {
      AddNote(n, "sums in f32: a recurrent layer");
    } else if (is_s16 != levels) {
      AddNote(n, levels ? absl::StrCat("sums in s32: ", ir::Name(*asked.emulated), " sums products of real numbers")
                        : "sums in f32: s16 sums products of 8-bit levels");
    } else {
      const int64_t k = LengthOfSums(graph, id);
      ir::Accumulation how{*asked.emulated, asked.chunk_size, asked.outer_same};
      const bool own_scales = levels && weights.quant->chunk > 0;
      if (own_scales) {  // cut where the scales change
        how.chunk = weights.quant->chunk * (k / weights.shape[weights.quant->axis == 0 ? 1 : 0]);
        how.outer_same = false;
      }
      n.accumulation = how;
      AddNote(n, absl::StrCat("emulated: ", Describe(how, k, own_scales)));
    }
  }
}

}  // namespace precis::quant
