#ifndef PRECIS_ENGINE_BASE_AFFINE_H_
#define PRECIS_ENGINE_BASE_AFFINE_H_

// The project's one affine rounding rule: real = scale * (q - zero_point), to the nearest level, ties to even (ONNX QuantizeLinear-21).

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace precis {

// Level nearest to `x`, saturated to [lowest, highest]; NaN becomes the zero point. Requires scale > 0 and the default rounding mode.
inline int32_t QuantizeAffine(float x, float scale, int32_t zero_point, int32_t lowest, int32_t highest) {
  const float level = std::nearbyint(x / scale);
  // Clamped as a float first: beyond 2^31 a conversion to integer is undefined. The bounds are exact in f32 up to 2^24.
  const auto low = static_cast<float>(lowest - zero_point), high = static_cast<float>(highest - zero_point);
  return std::isnan(level) ? zero_point : static_cast<int32_t>(std::clamp(level, low, high)) + zero_point;
}

// Real number that level `q` stands for.
inline float DequantizeAffine(int32_t q, float scale, int32_t zero_point) {
  return scale * static_cast<float>(q - zero_point);
}

}  // namespace precis

#endif  // PRECIS_ENGINE_BASE_AFFINE_H_
