#ifndef PRECIS_ENGINE_PLAN_POST_OPS_H_
#define PRECIS_ENGINE_PLAN_POST_OPS_H_

// Attributes of oneDNN primitives: fused post-ops, scales and zero points.
// https://uxlfoundation.github.io/oneDNN/dev_guide_attributes_post_ops.html, …_quantization.html

#include <optional>
#include <utility>
#include <vector>

#include "engine/plan/builder.h"
#include "engine/plan/quantized_kernels.h"

namespace precis::plan {

struct Eltwise {
  dnnl::algorithm algorithm;
  float alpha;
  float beta;
};

// oneDNN's spelling of a unary operator; nullopt where it has none.
std::optional<Eltwise> EltwiseOf(const ir::Unary& unary);
std::optional<dnnl::algorithm> BinaryAlgorithmOf(ir::BinaryKind kind);

// What a primitive needs beside its plain operands: filled step by step, then used to make and to run it.
struct Attributes {
  dnnl::primitive_attr attr;
  dnnl::post_ops ops;
  std::vector<Argument> arguments;
  size_t attached = 0;             // how many of the node's post-ops went in, from the front
  ir::ValueId sum = ir::kNoValue;  // residual that the result is accumulated onto, in place
  dnnl::primitive_attr& Finish() {
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    attr.set_post_ops(ops);
    return attr;
  }
};

// The operand's dims as seen from a result of dims `dst`: right-aligned, leading dims collapsed where `dst` is the output collapsed to fewer
// dims (a matmul run as 2-D). nullopt when the operand varies within the collapsed dims, but not like the output.
std::optional<Shape> OperandDims(const Shape& operand, const Shape& output, const Shape& dst);

// Scales and zero point of operand `dnnl_arg` from the value's QuantParams; nothing for float values. `channel_mask` is used for
// per-channel parameters.
void AddQuantization(Builder& b, Attributes& a, ir::ValueId value, int dnnl_arg, int channel_mask);

// The same for given parameters.
void AddQuantization(Builder& b, Attributes& a, const ir::QuantParams& quant, int dnnl_arg, int channel_mask);

// oneDNN takes one zero point for a whole tensor; zero points per channel must all be zero.
bool HasUsableZeroPoints(const ir::Value& value);

// Appends the node's post-ops for a result laid out as `dst` (concrete), whose logical dims may be the node's output collapsed to dst's rank.
// A residual that dies here and has the result's dtype becomes a `sum` onto its own bytes when `allow_sum`.
void AddPostOps(Builder& b, Attributes& a, ir::NodeId id, const Desc& dst, bool allow_sum);

// Emits the post-ops from `first` on as steps of their own, in place on the f32 memory `target`.
absl::Status EmitPostOps(Builder& b, ir::NodeId id, size_t first, int target);

// Runs a primitive whose Attributes are done: defines the node's output (over the residual where `sum` says so), emits the primitive and,
// if some post-ops did not fit or `dst` is f32 where the output is not, the steps that finish the job.
// `arguments` are the plain operands without DST; `dst` is the primitive's own view of the output.
absl::Status EmitWithPostOps(Builder& b, ir::NodeId id, Attributes& a, const dnnl::primitive& primitive,
                             const dnnl::primitive_desc_base& pd, const Desc& dst, std::vector<Argument> arguments);

// What is left of a node once `target` (f32) holds its result up to post-op `first`: the other post-ops, and the output where it is not `target`.
absl::Status EmitRest(Builder& b, ir::NodeId id, size_t first, int target);

// Whether a kernel of our own may finish the node (finish_row.h): its result is f32, u8 or s8, and no more than a Relu follows.
bool KernelCanFinish(const Builder& b, ir::NodeId id);
// The node's result as such a kernel writes it.
QuantizedOperand KernelResult(const Builder& b, ir::NodeId id);

// True for an implementation that oneDNN falls back to when it has no fast one.
bool IsReference(const dnnl::primitive_desc_base& pd);
// `describe(layout)`, a primitive_desc that may be empty, of the first source layout that has a fast kernel; else of the last that has any.
template <typename Describe>
auto FirstFast(const std::vector<Desc>& layouts, Describe describe) {
  decltype(describe(layouts.front())) best;
  for (const Desc& layout : layouts) {
    auto pd = describe(layout);
    if (!pd) continue;
    best = std::move(pd);
    if (!IsReference(best)) break;
  }
  return best;
}

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_POST_OPS_H_
