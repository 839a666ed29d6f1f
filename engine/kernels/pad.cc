// Padding: every output index of a dimension comes from one source index or from nowhere. The inside is one strided copy; for constant
// padding the outside is filled first, for the other modes each dimension is completed in turn, from the last to the first, out of cells
// that are already there.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "engine/base/affine.h"
#include "engine/base/status_macros.h"
#include "engine/ir/shape_rules.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/nest.h"

namespace precis::kernels {
namespace {

using Ints = std::vector<int64_t>;

Ints NumbersOf(const KernelSpec& spec, size_t input) {
  if (input >= spec.inputs.size() || spec.inputs[input].constant == nullptr) return {};
  return ToInt64(spec.inputs[input].constant->view());
}

// The part of the source that survives cropping, and where it goes.
StridedCopy InsideCopy(const Shape& x, const Shape& out, const ir::Padding& padding, size_t element_bytes) {
  const Ints src = RowMajorStrides(x), dst = RowMajorStrides(out);
  Ints sizes(x.size());
  int64_t from = 0, to = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t cropped = std::max<int64_t>(0, -padding.begin[i]) + std::max<int64_t>(0, -padding.end[i]);
    sizes[i] = std::max<int64_t>(0, x[i] - cropped);
    from += std::max<int64_t>(0, -padding.begin[i]) * src[i];
    to += std::max<int64_t>(0, padding.begin[i]) * dst[i];
  }
  return StridedCopy(sizes, src, dst, element_bytes, from, to);
}

// A quantized tensor holds the nearest level to the real number to pad with; any other type holds the number itself.
template <typename T>
T PadValue(std::span<const TensorView> in, const std::optional<ir::QuantParams>& quant, DataType dtype) {
  const bool given = in.size() > 2 && in[2].data != nullptr;
  if (quant.has_value()) {
    const float real = !given ? 0.0f : *static_cast<const float*>(in[2].data);
    const bool is_signed = dtype == DataType::kS8;
    return static_cast<T>(
        QuantizeAffine(real, quant->scale(), quant->zero_point(), is_signed ? -128 : 0, is_signed ? 127 : 255));
  }
  T value{0};
  if (given) std::memcpy(&value, in[2].data, sizeof(T));
  return value;
}

// Copies hyperplanes of one dimension of the output: to[i] <- from[i].
struct PlaneMoves {
  int64_t outer = 0, size = 0, inner = 0;
  std::vector<std::pair<int64_t, int64_t>> moves;  // (to, from)
};

// Where cell `i` of an extended dimension of `size` cells, `begin` of them before the source, takes its value from.
int64_t SourceCell(ir::PadMode mode, int64_t i, int64_t begin, int64_t size) {
  const int64_t at = i - begin;
  if (mode == ir::PadMode::kEdge) return begin + std::clamp<int64_t>(at, 0, size - 1);
  if (mode == ir::PadMode::kWrap) return begin + ((at % size) + size) % size;
  return begin + (at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at);
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Pad& op, const KernelSpec& spec) {
  const Shape &x = spec.inputs[0].shape, &out_shape = spec.outputs[0].shape;
  const DataType dtype = spec.inputs[0].dtype;
  if (spec.inputs[0].quant.has_value() && spec.inputs.size() > 2 && spec.inputs[2].present &&
      spec.inputs[2].dtype != DataType::kF32) {
    return Unsupported(spec);
  }
  PRECIS_ASSIGN_OR_RETURN(const ir::Padding padding, ir::ResolvePads(x.size(), NumbersOf(spec, 1), NumbersOf(spec, 3)));
  StridedCopy inside = InsideCopy(x, out_shape, padding, SizeOf(dtype));
  const int64_t count = NumElements(out_shape);
  std::vector<PlaneMoves> dims;
  for (size_t d = x.size(); op.mode != ir::PadMode::kConstant && count != 0 && d-- > 0;) {
    PlaneMoves dim;
    dim.outer = NumElements(Shape(out_shape.begin(), out_shape.begin() + static_cast<std::ptrdiff_t>(d)));
    dim.inner = NumElements(Shape(out_shape.begin() + static_cast<std::ptrdiff_t>(d) + 1, out_shape.end()));
    dim.size = out_shape[d];
    const int64_t begin = std::max<int64_t>(0, padding.begin[d]);
    const int64_t size = out_shape[d] - begin - std::max<int64_t>(0, padding.end[d]);
    for (int64_t i = 0; i < out_shape[d]; ++i) {
      const int64_t from = SourceCell(op.mode, i, begin, size);
      if (from != i) dim.moves.emplace_back(i, from);
    }
    dims.push_back(std::move(dim));
  }
  return VisitSize(SizeOf(dtype), [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([inside = std::move(inside), dims = std::move(dims), count,
                   constant = op.mode == ir::PadMode::kConstant, quant = spec.inputs[0].quant,
                   dtype](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
      T* dst = static_cast<T*>(out[0].data);
      if (constant) std::fill_n(dst, count, PadValue<T>(in, quant, dtype));
      inside(in[0].data, dst);
      for (const PlaneMoves& dim : dims) {
        for (int64_t o = 0; o < dim.outer; ++o) {
          T* block = dst + o * dim.size * dim.inner;
          for (const auto& [to, from] : dim.moves)
            std::copy_n(block + from * dim.inner, dim.inner, block + to * dim.inner);
        }
      }
    });
  });
}

}  // namespace precis::kernels
