#ifndef PRECIS_ENGINE_KERNELS_KERNEL_H_
#define PRECIS_ENGINE_KERNELS_KERNEL_H_

// Plain kernels: portable C++ implementations of the operators that oneDNN has no primitive for (shape arithmetic, data
// movement, comparisons, integer elementwise, reductions, resampling…). They serve twice: passes fold constants with them, and plans
// run them where no primitive fits. Tensors are dense row-major in the order of the node's inputs.

#include <functional>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"

namespace precis::kernels {

// Borrowed tensor that a kernel writes. Same fields as TensorView, mutable data.
struct MutableTensorView {
  DataType dtype = DataType::kF32;
  Shape shape;
  void* data = nullptr;
  template <typename T>
  std::span<T> As() const {
    return {static_cast<T*>(data), static_cast<size_t>(NumElements(shape))};
  }
};

// Everything a kernel may know at load: the operator (attributes resolved by ir::InferNode) and the types of its operands. Absent optional
// inputs have data == nullptr and shape {} at run time; `constants[i]` points at input i's tensor where it is constant.
struct KernelSpec {
  ir::Op op;
  struct Operand {
    bool present = false;
    DataType dtype = DataType::kF32;
    Shape shape;
    std::shared_ptr<const Tensor> constant;
    std::optional<ir::QuantParams> quant;
  };
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
};

// A prepared kernel: index arithmetic that depends on shapes and constants alone is done when it is made; a call allocates nothing of
// note. Thread-safe: immutable after creation. Single-threaded inside, except where documented.
using Kernel = std::function<void(std::span<const TensorView> inputs, std::span<const MutableTensorView> outputs)>;

// Unimplemented when there is no plain kernel for this operator and these dtypes (the message names both).
absl::StatusOr<Kernel> MakeKernel(const KernelSpec& spec);

KernelSpec SpecOf(const ir::Graph& graph, ir::NodeId id);

// Runs node `id`, all of whose inputs are constants, and returns its outputs. Used to fold constants.
absl::StatusOr<std::vector<Tensor>> Evaluate(const ir::Graph& graph, ir::NodeId id);

}  // namespace precis::kernels

#endif  // PRECIS_ENGINE_KERNELS_KERNEL_H_
