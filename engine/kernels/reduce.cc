// Reductions. The kept and the reduced dimensions become two loop nests. Sums run in double (int64 for integers). Where the innermost kept
// dimension is contiguous, a block of columns is reduced together, row by row; otherwise each result is a sum over contiguous rows.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/status_macros.h"
#include "engine/ir/shape_rules.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"
#include "engine/kernels/nest.h"

namespace precis::kernels {
namespace {

using ir::ReduceKind;

constexpr int64_t kColumns = 64;  // accumulators of one block: 512 bytes, one page of L1 lines

template <typename T>
using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double,
                                       std::conditional_t<std::is_unsigned_v<T>, uint64_t, int64_t>>;

constexpr bool IsExtreme(ReduceKind kind) { return kind == ReduceKind::kMax || kind == ReduceKind::kMin; }

// Value of an empty reduction.
template <ReduceKind K, typename T>
Accumulator<T> Start() {
  using Limits = std::numeric_limits<T>;
  if constexpr (K == ReduceKind::kProd) return 1;
  if constexpr (K == ReduceKind::kMax) return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  if constexpr (K == ReduceKind::kMin) return Limits::has_infinity ? Limits::infinity() : Limits::max();
  return 0;
}

// Takes one element in; `shift` is the maximum, for LogSumExp.
template <ReduceKind K, typename A, typename T>
[[gnu::always_inline]] inline void Take(A& sum, T x, double shift) {
  const A a = static_cast<A>(x);
  if constexpr (K == ReduceKind::kProd)
    sum *= a;
  else if constexpr (K == ReduceKind::kMax)
    sum = a > sum || a != a ? a : sum;
  else if constexpr (K == ReduceKind::kMin)
    sum = a < sum || a != a ? a : sum;
  else if constexpr (K == ReduceKind::kL1)
    sum += a < A{0} ? -a : a;
  else if constexpr (K == ReduceKind::kL2 || K == ReduceKind::kSumSquare)
    sum += a * a;
  else if constexpr (K == ReduceKind::kLogSumExp)
    sum = static_cast<A>(static_cast<double>(sum) + std::exp(static_cast<double>(x) - shift));
  else
    sum += a;
}

template <ReduceKind K, typename A>
A Finish(A sum, int64_t count, double shift) {
  if constexpr (K == ReduceKind::kMean) return count == 0 && std::is_integral_v<A> ? A{0} : sum / static_cast<A>(count);
  if constexpr (K == ReduceKind::kL2) return static_cast<A>(std::sqrt(static_cast<double>(sum)));
  if constexpr (K == ReduceKind::kLogSum || K == ReduceKind::kLogSumExp)
    return static_cast<A>(std::log(static_cast<double>(sum)) + shift);
  return sum;
}

// Loops over kept positions (source, destination) and, from each, over the reduced ones (source).
struct Plan {
  Nest kept;
  Nest reduced;
  int64_t count;  // elements per result
};

template <ReduceKind K, typename T>
void ReduceBlock(const Plan& plan, const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t width) {
  using A = Accumulator<T>;
  std::array<double, kColumns> shift{};
  if constexpr (K == ReduceKind::kLogSumExp) {
    std::array<T, kColumns> largest;
    ReduceBlock<ReduceKind::kMax, T>(plan, src, src_stride, largest.data(), 1, width);
    for (size_t c = 0; c < static_cast<size_t>(width); ++c) {
      const auto most = static_cast<double>(largest[c]);
      shift[c] = std::isfinite(most) ? most : 0.0;
    }
  }
  std::array<A, kColumns> sums;
  sums.fill(Start<K, T>());
  const int64_t rows = plan.reduced.inner_size(), step = plan.reduced.inner_stride(0);
  if (width == 1 && step == 1) {
    // Independent partial results let the loop run in vector registers.
    constexpr int64_t kLanes = 8;
    std::array<A, kLanes> lanes;
    lanes.fill(Start<K, T>());
    Walk<1>(plan.reduced, 1, [&](const auto& at) {
      const T* x = src + at[0];
      int64_t i = 0;
      for (; i + kLanes <= rows; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) Take<K>(lanes[lane], x[i + static_cast<int64_t>(lane)], shift[0]);
      }
      for (; i < rows; ++i) Take<K>(lanes[0], x[i], shift[0]);
    });
    // Partial results combine as elements do, but are no longer to be squared, shifted or made positive.
    constexpr ReduceKind kJoin = IsExtreme(K) || K == ReduceKind::kProd ? K : ReduceKind::kSum;
    for (A lane : lanes) Take<kJoin>(sums[0], lane, 0.0);
  } else {
    Walk<1>(plan.reduced, 1, [&](const auto& at) {
      for (int64_t r = 0; r < rows; ++r) {
        const T* x = src + at[0] + r * step;
        for (size_t c = 0; c < static_cast<size_t>(width); ++c)
          Take<K>(sums[c], x[static_cast<int64_t>(c) * src_stride], shift[c]);
      }
    });
  }
  for (size_t c = 0; c < static_cast<size_t>(width); ++c) {
    dst[static_cast<int64_t>(c) * dst_stride] = static_cast<T>(Finish<K>(sums[c], plan.count, shift[c]));
  }
}

template <ReduceKind K, typename T>
Kernel MakeReduction(Plan plan) {
  // Together only where that is contiguous and the alternative is not: a row of its own is summed faster alone.
  const int64_t block = plan.kept.inner_stride(0) == 1 ? kColumns : 1;
  return [plan = std::move(plan), block](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
    const T* src = static_cast<const T*>(in[0].data);
    T* dst = static_cast<T*>(out[0].data);
    const int64_t n = plan.kept.inner_size(), ss = plan.kept.inner_stride(0), ds = plan.kept.inner_stride(1);
    Walk<2>(plan.kept, 1, [&](const auto& at) {
      for (int64_t c = 0; c < n; c += block) {
        ReduceBlock<K, T>(plan, src + at[0] + c * ss, ss, dst + at[1] + c * ds, ds, std::min(block, n - c));
      }
    });
  };
}

template <typename T>
absl::StatusOr<Kernel> MakeOfType(ReduceKind kind, Plan plan) {
  switch (kind) {
    case ReduceKind::kSum: return MakeReduction<ReduceKind::kSum, T>(std::move(plan));
    case ReduceKind::kMean: return MakeReduction<ReduceKind::kMean, T>(std::move(plan));
    case ReduceKind::kMax: return MakeReduction<ReduceKind::kMax, T>(std::move(plan));
    case ReduceKind::kMin: return MakeReduction<ReduceKind::kMin, T>(std::move(plan));
    case ReduceKind::kProd: return MakeReduction<ReduceKind::kProd, T>(std::move(plan));
    case ReduceKind::kL1: return MakeReduction<ReduceKind::kL1, T>(std::move(plan));
    case ReduceKind::kL2: return MakeReduction<ReduceKind::kL2, T>(std::move(plan));
    case ReduceKind::kSumSquare: return MakeReduction<ReduceKind::kSumSquare, T>(std::move(plan));
    case ReduceKind::kLogSum: return MakeReduction<ReduceKind::kLogSum, T>(std::move(plan));
    case ReduceKind::kLogSumExp: return MakeReduction<ReduceKind::kLogSumExp, T>(std::move(plan));
  }
  return absl::InternalError("unknown reduction");
}

// The largest of bytes that are 0 or 1, as ONNX has it for bool; the range of an empty one is bool's.
absl::StatusOr<Kernel> MakeBool(ReduceKind kind, Plan plan) {
  const bool max = kind == ReduceKind::kMax;
  auto bytes = max ? MakeReduction<ReduceKind::kMax, uint8_t>(std::move(plan))
                   : MakeReduction<ReduceKind::kMin, uint8_t>(std::move(plan));
  return Kernel([bytes](std::span<const TensorView> in, std::span<const MutableTensorView> out) {
    bytes(in, out);
    auto* y = static_cast<uint8_t*>(out[0].data);
    for (int64_t i = 0, n = NumElements(out[0].shape); i < n; ++i) y[i] = y[i] != 0;
  });
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::Reduce& op, const KernelSpec& spec) {
  const Shape& x = spec.inputs[0].shape;
  std::vector<int64_t> axes;
  if (spec.inputs.size() > 1 && spec.inputs[1].constant != nullptr) axes = ToInt64(spec.inputs[1].constant->view());
  PRECIS_ASSIGN_OR_RETURN(const std::vector<bool> reduced,
                          ir::ResolveReduction(x.size(), &axes, op.noop_with_empty_axes));
  const std::vector<int64_t> strides = RowMajorStrides(x);
  std::vector<int64_t> kept_sizes, kept_strides, reduced_sizes, reduced_strides;
  int64_t count = 1;
  for (size_t i = 0; i < x.size(); ++i) {
    (reduced[i] ? reduced_sizes : kept_sizes).push_back(x[i]);
    (reduced[i] ? reduced_strides : kept_strides).push_back(strides[i]);
    count *= reduced[i] ? x[i] : 1;
  }
  Plan plan{Nest(kept_sizes, {kept_strides, RowMajorStrides(kept_sizes)}), Nest(reduced_sizes, {reduced_strides}),
            count};
  if (spec.inputs[0].dtype == DataType::kBool) {
    return IsExtreme(op.kind) ? MakeBool(op.kind, std::move(plan)) : absl::StatusOr<Kernel>(Unsupported(spec));
  }
  return VisitNumber(
      spec.inputs[0].dtype, [&](auto tag) { return MakeOfType<typename decltype(tag)::type>(op.kind, plan); },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

}  // namespace precis::kernels
