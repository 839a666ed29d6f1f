// Normalisations and softmax in their textbook form, statistics in double: fallbacks and folding, not the fast path.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "engine/ir/shape_rules.h"
#include "engine/kernels/element.h"
#include "engine/kernels/make.h"

namespace precis::kernels {
namespace {

using Inputs = std::span<const TensorView>;
using Outputs = std::span<const MutableTensorView>;

int64_t Product(const Shape& shape, int64_t begin) { return NumElements(Shape(shape.begin() + begin, shape.end())); }

struct Statistics {
  double mean, inverse_deviation;
};

template <typename T>
Statistics Measure(const T* x, int64_t count, double epsilon) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i]);
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i)
    squares += (static_cast<double>(x[i]) - mean) * (static_cast<double>(x[i]) - mean);
  return {mean, 1.0 / std::sqrt(squares / static_cast<double>(count) + epsilon)};
}

// Calls make(Tag<T>) for f32 and f64.
template <typename F>
absl::StatusOr<Kernel> VisitFloatKernel(const KernelSpec& spec, F make) {
  return VisitFloat(
      spec.inputs[0].dtype, [&make](auto tag) -> absl::StatusOr<Kernel> { return make(tag); },
      absl::StatusOr<Kernel>(Unsupported(spec)));
}

// x [N,C,…]: `channels_per_group` channels share their statistics; scale and bias are per channel.
absl::StatusOr<Kernel> MakeGrouped(const KernelSpec& spec, int64_t channels_per_group, float epsilon) {
  const Shape& x_shape = spec.inputs[0].shape;
  const int64_t channels = x_shape[1], inner = Product(x_shape, 2);
  return VisitFloatKernel(spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=, planes = x_shape[0] * channels](Inputs in, Outputs out) {
      const T *scale = static_cast<const T*>(in[1].data), *bias = static_cast<const T*>(in[2].data);
      for (int64_t first = 0; first < planes; first += channels_per_group) {
        const T* x = static_cast<const T*>(in[0].data) + first * inner;
        T* y = static_cast<T*>(out[0].data) + first * inner;
        const Statistics s = Measure(x, channels_per_group * inner, static_cast<double>(epsilon));
        for (int64_t i = 0; i < channels_per_group * inner; ++i) {
          const int64_t c = (first + i / inner) % channels;
          y[i] = static_cast<T>((static_cast<double>(x[i]) - s.mean) * s.inverse_deviation *
                                    static_cast<double>(scale[c]) +
                                static_cast<double>(bias[c]));
        }
      }
    });
  });
}

}  // namespace

absl::StatusOr<Kernel> Make(const ir::BatchNorm& op, const KernelSpec& spec) {
  const Shape& x_shape = spec.inputs[0].shape;
  const int64_t channels = x_shape[1], inner = Product(x_shape, 2);
  return VisitFloatKernel(spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel(
        [=, planes = x_shape[0] * channels, epsilon = static_cast<double>(op.epsilon)](Inputs in, Outputs out) {
          const auto parameter = [&in](size_t i, int64_t c) {
            return static_cast<double>(static_cast<const T*>(in[i].data)[c]);
          };
          for (int64_t p = 0; p < planes; ++p) {
            const int64_t c = p % channels;
            const double factor = parameter(1, c) / std::sqrt(parameter(4, c) + epsilon);
            const double offset = parameter(2, c) - parameter(3, c) * factor;
            const T* x = static_cast<const T*>(in[0].data) + p * inner;
            T* y = static_cast<T*>(out[0].data) + p * inner;
            for (int64_t i = 0; i < inner; ++i) y[i] = static_cast<T>(static_cast<double>(x[i]) * factor + offset);
          }
        });
  });
}

absl::StatusOr<Kernel> Make(const ir::InstanceNorm& op, const KernelSpec& spec) {
  return MakeGrouped(spec, 1, op.epsilon);
}

absl::StatusOr<Kernel> Make(const ir::GroupNorm& op, const KernelSpec& spec) {
  return MakeGrouped(spec, spec.inputs[0].shape[1] / op.groups, op.epsilon);
}

absl::StatusOr<Kernel> Make(const ir::LayerNorm& op, const KernelSpec& spec) {
  const Shape& x_shape = spec.inputs[0].shape;
  const Shape row_shape(x_shape.begin() + op.axis, x_shape.end());
  const int64_t size = NumElements(row_shape), rows = size == 0 ? 0 : NumElements(x_shape) / size;
  // Element of scale and bias that each element of a row uses; they may broadcast within it.
  std::vector<int64_t> used[2];
  for (size_t p : {0, 1}) {
    if (spec.inputs.size() <= p + 1 || !spec.inputs[p + 1].present) continue;
    const auto strides = ir::BroadcastStrides(spec.inputs[p + 1].shape, row_shape);
    for (int64_t i = 0; i < size; ++i) {
      int64_t at = 0, rest = i;
      for (size_t d = row_shape.size(); d-- > 0; rest /= row_shape[d]) at += rest % row_shape[d] * strides[d];
      used[p].push_back(at);
    }
  }
  return VisitFloatKernel(spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel(
        [=, scale_at = used[0], bias_at = used[1], epsilon = static_cast<double>(op.epsilon)](Inputs in, Outputs out) {
          for (int64_t r = 0; r < rows; ++r) {
            const T* x = static_cast<const T*>(in[0].data) + r * size;
            T* y = static_cast<T*>(out[0].data) + r * size;
            const Statistics s = Measure(x, size, epsilon);
            for (int64_t i = 0; i < size; ++i) {
              const auto at = static_cast<size_t>(i);
              double value = (static_cast<double>(x[i]) - s.mean) * s.inverse_deviation;
              if (!scale_at.empty()) value *= static_cast<double>(static_cast<const T*>(in[1].data)[scale_at[at]]);
              if (!bias_at.empty()) value += static_cast<double>(static_cast<const T*>(in[2].data)[bias_at[at]]);
              y[i] = static_cast<T>(value);
            }
            if (out.size() > 1 && out[1].data != nullptr)
              static_cast<float*>(out[1].data)[r] = static_cast<float>(s.mean);
            if (out.size() > 2 && out[2].data != nullptr)
              static_cast<float*>(out[2].data)[r] = static_cast<float>(s.inverse_deviation);
          }
        });
  });
}

absl::StatusOr<Kernel> Make(const ir::Lrn& op, const KernelSpec& spec) {
  const Shape& x_shape = spec.inputs[0].shape;
  const int64_t channels = x_shape[1], inner = Product(x_shape, 2), batch = x_shape[0];
  const int64_t before = (op.size - 1) / 2, after = op.size / 2;  // channels on either side; the odd one comes after
  return VisitFloatKernel(spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=](Inputs in, Outputs out) {
      for (int64_t n = 0; n < batch; ++n) {
        const T* x = static_cast<const T*>(in[0].data) + n * channels * inner;
        T* y = static_cast<T*>(out[0].data) + n * channels * inner;
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t low = std::max<int64_t>(0, c - before), high = std::min(channels - 1, c + after);
          for (int64_t i = 0; i < inner; ++i) {
            double squares = 0;
            for (int64_t k = low; k <= high; ++k)
              squares += static_cast<double>(x[k * inner + i]) * static_cast<double>(x[k * inner + i]);
            const double base =
                static_cast<double>(op.bias) + static_cast<double>(op.alpha) / static_cast<double>(op.size) * squares;
            y[c * inner + i] =
                static_cast<T>(static_cast<double>(x[c * inner + i]) * std::pow(base, -static_cast<double>(op.beta)));
          }
        }
      }
    });
  });
}

absl::StatusOr<Kernel> Make(const ir::LpNorm& op, const KernelSpec& spec) {
  const Shape& x_shape = spec.inputs[0].shape;
  const int64_t size = x_shape[static_cast<size_t>(op.axis)], inner = Product(x_shape, op.axis + 1);
  const int64_t lines = size == 0 ? 0 : NumElements(x_shape) / size;
  return VisitFloatKernel(spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=, p = op.p](Inputs in, Outputs out) {
      for (int64_t l = 0; l < lines; ++l) {
        const int64_t start = l / inner * size * inner + l % inner;
        const T* x = static_cast<const T*>(in[0].data) + start;
        T* y = static_cast<T*>(out[0].data) + start;
        double sum = 0;
        for (int64_t i = 0; i < size; ++i) {
          const auto value = static_cast<double>(x[i * inner]);
          sum += p == 1 ? std::abs(value) : value * value;
        }
        const double norm = p == 1 ? sum : std::sqrt(sum);
        for (int64_t i = 0; i < size; ++i)
          y[i * inner] = norm == 0 ? T{0} : static_cast<T>(static_cast<double>(x[i * inner]) / norm);
      }
    });
  });
}

absl::StatusOr<Kernel> Make(const ir::Softmax& op, const KernelSpec& spec) {
  const Shape& x_shape = spec.inputs[0].shape;
  const bool scalar = x_shape.empty();
  const int64_t size = scalar ? 1 : x_shape[static_cast<size_t>(op.axis)],
                inner = scalar ? 1 : Product(x_shape, op.axis + 1);
  const int64_t lines = size == 0 ? 0 : NumElements(x_shape) / size;
  return VisitFloatKernel(spec, [&](auto tag) {
    using T = typename decltype(tag)::type;
    return Kernel([=, log = op.log](Inputs in, Outputs out) {
      for (int64_t l = 0; l < lines; ++l) {
        const int64_t start = l / inner * size * inner + l % inner;
        const T* x = static_cast<const T*>(in[0].data) + start;
        T* y = static_cast<T*>(out[0].data) + start;
        auto most = static_cast<double>(x[0]);
        for (int64_t i = 1; i < size; ++i) most = std::max(most, static_cast<double>(x[i * inner]));
        double sum = 0;
        for (int64_t i = 0; i < size; ++i) sum += std::exp(static_cast<double>(x[i * inner]) - most);
        for (int64_t i = 0; i < size; ++i) {
          const double shifted = static_cast<double>(x[i * inner]) - most;
          y[i * inner] = static_cast<T>(log ? shifted - std::log(sum) : std::exp(shifted) / sum);
        }
      }
    });
  });
}

}  // namespace precis::kernels
