#ifndef PRECIS_ENGINE_KERNELS_MAKE_H_
#define PRECIS_ENGINE_KERNELS_MAKE_H_

// Inside of MakeKernel: one overload of Make per operator; an operator without one does not compile. Operands are checked by the shape
// rules before; an overload answers Unimplemented for types it does not take.

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/kernels/kernel.h"

namespace precis::kernels {

// `no plain kernel for Add of f16, f16`.
absl::Status Unsupported(const KernelSpec& spec);

// convolution.cc, matmul.cc, pool.cc
absl::StatusOr<Kernel> Make(const ir::Conv& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::ConvTranspose& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::MatMul& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Pool& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::GlobalPool& op, const KernelSpec& spec);

// normalization.cc
absl::StatusOr<Kernel> Make(const ir::BatchNorm& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::LayerNorm& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::InstanceNorm& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::GroupNorm& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Lrn& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::LpNorm& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Softmax& op, const KernelSpec& spec);

// recurrent.cc
absl::StatusOr<Kernel> Make(const ir::Recurrent& op, const KernelSpec& spec);

// unary.cc, binary.cc, select.cc
absl::StatusOr<Kernel> Make(const ir::Unary& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Binary& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Clip& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Where& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Choose& op, const KernelSpec& spec);

// cast.cc, quantize.cc
absl::StatusOr<Kernel> Make(const ir::Cast& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Quantize& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Dequantize& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::DynamicQuantize& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Convert& op, const KernelSpec& spec);

// movement.cc
absl::StatusOr<Kernel> Make(const ir::Identity& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Reshape& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Flatten& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Squeeze& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Unsqueeze& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Transpose& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Concat& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Split& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Slice& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Expand& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Tile& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::DepthToSpace& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::SpaceToDepth& op, const KernelSpec& spec);

// pad.cc, gather.cc, scatter.cc
absl::StatusOr<Kernel> Make(const ir::Pad& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Gather& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::GatherElements& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::GatherNd& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::ScatterElements& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::ScatterNd& op, const KernelSpec& spec);

// generate.cc
absl::StatusOr<Kernel> Make(const ir::ShapeOf& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::SizeOf& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::ConstantOfShape& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Range& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Trilu& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::OneHot& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::EyeLike& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::NonZero& op, const KernelSpec& spec);

// reduce.cc, search.cc, resize.cc, sample.cc
absl::StatusOr<Kernel> Make(const ir::CumSum& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Reduce& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::ArgReduce& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::TopK& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::Resize& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::GridSample& op, const KernelSpec& spec);
absl::StatusOr<Kernel> Make(const ir::RoiAlign& op, const KernelSpec& spec);

}  // namespace precis::kernels

#endif  // PRECIS_ENGINE_KERNELS_MAKE_H_
