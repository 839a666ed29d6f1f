#ifndef PRECIS_TESTS_KERNELS_KERNEL_RUN_H_
#define PRECIS_TESTS_KERNELS_KERNEL_RUN_H_

// Runs one operator on its plain kernel, through the shape rules.

#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace precis::kernels {

// An input: a tensor, with quantization or without, or nothing (an absent optional input).
struct Argument {
  const Tensor* tensor = nullptr;
  std::optional<ir::QuantParams> quant;
  Argument() = default;
  Argument(const Tensor& t) : tensor(&t) {}  // NOLINT: a tensor is an argument
  Argument(const Tensor& t, ir::QuantParams q) : tensor(&t), quant(std::move(q)) {}
};

// What the output is told to be, for operators that ask.
struct Result {
  std::optional<DataType> dtype;
  std::optional<ir::QuantParams> quant;
};

// Outputs of the operator; errors of the shape rule or of the kernel.
absl::StatusOr<std::vector<Tensor>> TryRun(const ir::Op& op, const std::vector<Argument>& arguments, size_t outputs = 1,
                                           const Result& result = {});

// The same, where it must succeed.
std::vector<Tensor> RunAll(const ir::Op& op, const std::vector<Argument>& arguments, size_t outputs,
                           const Result& result = {});
Tensor RunOne(const ir::Op& op, const std::vector<Argument>& arguments, const Result& result = {});

// Elements as a vector, for matchers.
template <typename T>
std::vector<T> Elements(const Tensor& tensor) {
  EXPECT_EQ(tensor.dtype(), DataTypeOf<T>());
  return std::vector<T>(tensor.As<T>().begin(), tensor.As<T>().end());
}

// One-dimensional tensors.
template <typename T>
Tensor Vector(const std::vector<T>& values) {
  return Tensor::From<T>({static_cast<int64_t>(values.size())}, values);
}
inline Tensor S64(const std::vector<int64_t>& values) { return Vector<int64_t>(values); }

// The kernel's outputs against the reference engine's, element by element: |got - want| <= tolerance * max(1, |want|).
void ExpectMatchesReference(const ir::Op& op, const std::vector<Tensor>& inputs, double tolerance = 1e-6);

}  // namespace precis::kernels

#endif  // PRECIS_TESTS_KERNELS_KERNEL_RUN_H_
