// ArgMax / ArgMin, TopK and CumSum: one pass along one axis, everything else being repetition over [outer][axis][inner].
#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "engine/ir/shape_rules.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"

namespace precis::kernels {
namespace {

using Inputs = std::span<const TensorView>;
using Outputs = std::span<const MutableTensorView>;

struct AxisSplit {
  int64_t outer, size, inner;
};

AxisSplit SplitAt(const Shape& shape, int64_t axis) {
  return {NumElements(Shape(shape.begin(), shape.begin() + axis)), shape[static_cast<size_t>(axis)],
          NumElements(Shape(shape.begin() + axis + 1, shape.end()))};
}

// True where a goes before b; NaN counts as the largest number, so that the order is strict.
template <typename T>
bool Before(T a, T b, bool largest) {
  if (a != a || b != b) return largest ? a != a && b == b : a == a && b != b;
  return largest ? a > b : a < b;
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::ArgReduce& op, const KernelSpec& spec) {
  const AxisSplit split = SplitAt(spec.inputs[0].shape, op.axis);
  return VisitNumber(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        return Kernel([split, largest = op.max, last = op.select_last](Inputs in, Outputs out) {
          int64_t* winner = static_cast<int64_t*>(out[0].data);
          for (int64_t o = 0; o < split.outer; ++o) {
            for (int64_t i = 0; i < split.inner; ++i) {
              const T* x = static_cast<const T*>(in[0].data) + o * split.size * split.inner + i;
              int64_t best = 0;
              for (int64_t a = 1; a < split.size; ++a) {
                const T here = x[a * split.inner], most = x[best * split.inner];
                if (Before(here, most, largest) || (last && here == most)) best = a;
              }
              *winner++ = best;
            }
          }
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

absl::StatusOr<Kernel> Make(const ir::TopK& op, const KernelSpec& spec) {
  const AxisSplit split = SplitAt(spec.inputs[0].shape, op.axis);
  const int64_t k = spec.outputs[0].present ? spec.outputs[0].shape[static_cast<size_t>(op.axis)]
                                            : spec.outputs[1].shape[static_cast<size_t>(op.axis)];
  return VisitNumber(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        return Kernel([split, k, largest = op.largest](Inputs in, Outputs out) {
          std::vector<int64_t> order(static_cast<size_t>(split.size));
          T* values = static_cast<T*>(out[0].data);
          int64_t* indices = out.size() > 1 ? static_cast<int64_t*>(out[1].data) : nullptr;
          for (int64_t oi = 0; oi < split.outer * split.inner; ++oi) {
            const int64_t o = oi / split.inner, i = oi % split.inner;
            const T* x = static_cast<const T*>(in[0].data) + o * split.size * split.inner + i;
            std::iota(order.begin(), order.end(), 0);
            std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
              const T va = x[a * split.inner], vb = x[b * split.inner];
              if (Before(va, vb, largest)) return true;
              return !Before(vb, va, largest) && a < b;  // equal: the lower index first
            });
            for (int64_t r = 0; r < k; ++r) {
              const int64_t at = (o * k + r) * split.inner + i;
              if (values != nullptr) values[at] = x[order[static_cast<size_t>(r)] * split.inner];
              if (indices != nullptr) indices[at] = order[static_cast<size_t>(r)];
            }
          }
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

absl::StatusOr<Kernel> Make(const ir::CumSum& op, const KernelSpec& spec) {
  if (spec.inputs[1].constant == nullptr) return Unsupported(spec);
  const auto axis = ir::ResolveAxis(ToInt64(spec.inputs[1].constant->view())[0], spec.inputs[0].shape.size());
  if (!axis.ok()) return axis.status();
  const AxisSplit split = SplitAt(spec.inputs[0].shape, *axis);
  return VisitNumber(
      spec.inputs[0].dtype,
      [&](auto tag) -> absl::StatusOr<Kernel> {
        using T = typename decltype(tag)::type;
        return Kernel([split, exclusive = op.exclusive, reverse = op.reverse](Inputs in, Outputs out) {
          for (int64_t oi = 0; oi < split.outer * split.inner; ++oi) {
            const int64_t start = oi / split.inner * split.size * split.inner + oi % split.inner;
            const T* x = static_cast<const T*>(in[0].data) + start;
            T* y = static_cast<T*>(out[0].data) + start;
            T sum{0};
            for (int64_t a = 0; a < split.size; ++a) {
              const int64_t at = (reverse ? split.size - 1 - a : a) * split.inner;
              const T element = x[at];
              y[at] = exclusive ? sum : static_cast<T>(sum + element);
              sum = static_cast<T>(sum + element);
            }
          }
        });
      },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

}  // namespace precis::kernels
