// Plain kernels: for what oneDNN has no primitive for, and as the last resort of what it has. In that case an operator at a precision, or with
// fused work, that no kernel takes runs in f32 between conversions.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/plan/post_ops.h"

namespace precis::plan {
namespace {

using ir::kNoValue;
using ir::ValueId;

absl::StatusOr<kernels::Kernel> MakeNamed(const kernels::KernelSpec& spec, const std::string& node) {
  absl::StatusOr<kernels::Kernel> kernel = kernels::MakeKernel(spec);
  if (kernel.ok()) return kernel;
  return absl::Status(kernel.status().code(), absl::StrCat("node \"", node, "\": ", kernel.status().message()));
}

// Whether the value stands for real numbers that f32 can hold.
bool IsReal(const ir::Value& v) { return v.quant || (IsFloat(v.dtype) && v.dtype != DataType::kF64); }

}  // namespace

absl::Status Builder::LowerPlain(ir::NodeId id) {
  const ir::Node& n = graph_.node(id);
  kernels::KernelSpec spec = kernels::SpecOf(graph_, id);
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    if (n.inputs[i] != kNoValue) spec.inputs[i].dtype = Stored(n.inputs[i]);
  }
  for (size_t i = 0; i < n.outputs.size(); ++i) {
    if (n.outputs[i] != kNoValue) spec.outputs[i].dtype = Stored(n.outputs[i]);
  }
  PRECIS_ASSIGN_OR_RETURN(kernels::Kernel kernel, MakeNamed(spec, n.name));
  std::vector<int> inputs, outputs;
  for (ValueId v : n.inputs) inputs.push_back(v == kNoValue ? -1 : UseRowMajor(v));
  for (ValueId v : n.outputs) outputs.push_back(v == kNoValue ? -1 : Define(v, RowMajor(value(v).shape, Stored(v))));
  EmitKernel(std::move(kernel), std::move(inputs), std::move(outputs));
  return absl::OkStatus();
}

absl::Status Builder::LowerInFloat(ir::NodeId id) {
  const ir::Node& n = graph_.node(id);
  kernels::KernelSpec spec = kernels::SpecOf(graph_, id);
  size_t own_inputs = n.inputs.size();  // operands of post-ops follow
  for (const ir::PostOp& p : n.post_ops) {
    if (p.kind == ir::PostOp::Kind::kBinary) own_inputs = std::min(own_inputs, static_cast<size_t>(p.input));
  }
  spec.inputs.resize(own_inputs);
  const auto widen = [&](kernels::KernelSpec::Operand& operand, ValueId v) {
    if (v == kNoValue || !IsReal(value(v))) return;
    if (value(v).dtype != DataType::kF32) operand.constant = nullptr;
    operand.dtype = DataType::kF32;
    operand.quant = std::nullopt;
  };
  for (size_t i = 0; i < own_inputs; ++i) widen(spec.inputs[i], n.inputs[i]);
  for (size_t i = 0; i < n.outputs.size(); ++i) widen(spec.outputs[i], n.outputs[i]);
  PRECIS_ASSIGN_OR_RETURN(kernels::Kernel kernel, MakeNamed(spec, n.name));
  std::vector<int> inputs, outputs;
  for (size_t i = 0; i < own_inputs; ++i) {
    const ValueId v = n.inputs[i];
    const bool real = v != kNoValue && IsReal(value(v));
    inputs.push_back(v == kNoValue ? -1
                     : real        ? UseFloat(v, RowMajor(value(v).shape, DataType::kF32))
                                   : UseRowMajor(v));
  }
  for (ValueId v : n.outputs) {
    const bool narrow = v != kNoValue && IsReal(value(v)) && Stored(v) != DataType::kF32;
    outputs.push_back(v == kNoValue ? -1
                      : narrow      ? Temporary(RowMajor(value(v).shape, DataType::kF32))
                                    : Define(v, RowMajor(value(v).shape, Stored(v))));
  }
  EmitKernel(std::move(kernel), std::move(inputs), outputs);
  PRECIS_RETURN_IF_ERROR(EmitPostOps(*this, id, 0, outputs[0]));
  for (size_t i = 0; i < n.outputs.size(); ++i) {
    const ValueId v = n.outputs[i];
    if (v == kNoValue || !IsReal(value(v)) || Stored(v) == DataType::kF32) continue;
    const auto& quant = value(v).quant;
    EmitReorder(outputs[i], nullptr, Define(v, RowMajor(value(v).shape, Stored(v))), quant ? &*quant : nullptr);
  }
  return absl::OkStatus();
}

}  // namespace precis::plan
