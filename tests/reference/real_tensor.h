#ifndef PRECIS_TESTS_REFERENCE_REAL_TENSOR_H_
#define PRECIS_TESTS_REFERENCE_REAL_TENSOR_H_

// What the reference computes with: dense tensors of double, and one function per operator that takes and returns them.

#include <vector>

#include "engine/ir/op.h"
#include "engine/tensor/tensor.h"

namespace precis::reference {

struct Real {
  Shape shape;
  std::vector<double> values;

  Real() = default;
  explicit Real(Shape dims) : shape(std::move(dims)), values(static_cast<size_t>(NumElements(shape)), 0.0) {}
  static Real Of(const TensorView& view);
  // Rounded to `dtype`: floats to nearest, integers to nearest with ties to even.
  Tensor To(DataType dtype) const;

  double& operator[](int64_t i) { return values[static_cast<size_t>(i)]; }
  double operator[](int64_t i) const { return values[static_cast<size_t>(i)]; }
  int64_t size() const { return static_cast<int64_t>(values.size()); }
};

// Absent optional operands are null. `out` is the shape that the shape rule gave.
struct Operands {
  std::vector<const Real*> inputs;
  Shape out;
  const Real& operator[](size_t i) const { return *inputs[i]; }
  bool Has(size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
};

// windows.cc
Real Compute(const ir::Conv& op, const Operands& operands);
Real Compute(const ir::ConvTranspose& op, const Operands& operands);
Real Compute(const ir::Pool& op, const Operands& operands);
Real Compute(const ir::GlobalPool& op, const Operands& operands);

// algebra.cc
Real Compute(const ir::MatMul& op, const Operands& operands);
Real Compute(const ir::Unary& op, const Operands& operands);
Real Compute(const ir::Binary& op, const Operands& operands);
Real Compute(const ir::Reduce& op, const Operands& operands);

// norms.cc
Real Compute(const ir::BatchNorm& op, const Operands& operands);
Real Compute(const ir::LayerNorm& op, const Operands& operands);
Real Compute(const ir::InstanceNorm& op, const Operands& operands);
Real Compute(const ir::GroupNorm& op, const Operands& operands);
Real Compute(const ir::Lrn& op, const Operands& operands);
Real Compute(const ir::LpNorm& op, const Operands& operands);
Real Compute(const ir::Softmax& op, const Operands& operands);

// recurrent.cc: y alone.
Real Compute(const ir::Recurrent& op, const Operands& operands);

// resample.cc
Real Compute(const ir::Resize& op, const Operands& operands);
Real Compute(const ir::GridSample& op, const Operands& operands);
Real Compute(const ir::RoiAlign& op, const Operands& operands);

// Element of `x` at a position of a shape that `x` broadcasts to.
double Broadcast(const Real& x, const Shape& shape, int64_t position);

}  // namespace precis::reference

#endif  // PRECIS_TESTS_REFERENCE_REAL_TENSOR_H_
