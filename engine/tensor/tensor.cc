// Storage and element conversion of dense tensors.
#include "engine/tensor/tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/float16.h"

namespace precis {
namespace {

constexpr size_t kAlignmentBytes = 64;  // one cache line, one AVX-512 register

// Calls read(i) for i in [0, n) as the right C++ type of `view` and appends the result cast to Out.
template <typename Out>
std::vector<Out> ConvertAll(const TensorView& view) {
  std::vector<Out> out(static_cast<size_t>(view.num_elements()));
  const auto fill = [&](auto tag, auto convert) {
    using T = decltype(tag);
    const T* in = static_cast<const T*>(view.data);
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<Out>(convert(in[i]));
  };
  const auto same = [](auto v) { return v; };
  switch (view.dtype) {
    case DataType::kF32: fill(float{}, same); break;
    case DataType::kF64: fill(double{}, same); break;
    case DataType::kF16: fill(uint16_t{}, F16ToF32); break;
    case DataType::kBF16: fill(uint16_t{}, BF16ToF32); break;
    case DataType::kS8: fill(int8_t{}, same); break;
    case DataType::kU8: fill(uint8_t{}, same); break;
    case DataType::kS16: fill(int16_t{}, same); break;
    case DataType::kU16: fill(uint16_t{}, same); break;
    case DataType::kS32: fill(int32_t{}, same); break;
    case DataType::kU32: fill(uint32_t{}, same); break;
    case DataType::kS64: fill(int64_t{}, same); break;
    case DataType::kU64: fill(uint64_t{}, same); break;
    case DataType::kBool: fill(uint8_t{}, [](uint8_t v) { return v != 0; }); break;
  }
  return out;
}

}  // namespace

int64_t NumElements(const Shape& shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

int64_t CheckedNumElements(const Shape& shape, int64_t limit) {
  int64_t n = 1;
  for (int64_t d : shape) {
    if (d < 0) return -1;
    if (d != 0 && n > limit / d) return -1;
    n *= d;
  }
  return n;
}

std::string ShapeToString(const Shape& shape) {
  return absl::StrCat("[",
                      absl::StrJoin(shape, ",",
                                    [](std::string* out, int64_t d) {
                                      d == kUnknownDim ? absl::StrAppend(out, "?") : absl::StrAppend(out, d);
                                    }),
                      "]");
}

std::vector<int64_t> RowMajorStrides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

void Tensor::Free::operator()(void* p) const { std::free(p); }

Tensor::Tensor(DataType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  const size_t rounded = (size_bytes() + kAlignmentBytes) / kAlignmentBytes * kAlignmentBytes;
  data_.reset(std::aligned_alloc(kAlignmentBytes, rounded));
  if (data_ == nullptr) throw std::bad_alloc();
}

Tensor Tensor::CopyOf(const TensorView& view) {
  Tensor t(view.dtype, view.shape);
  if (const size_t n = view.size_bytes(); n != 0) std::memcpy(t.data(), view.data, n);
  return t;
}

std::vector<int64_t> ToInt64(const TensorView& view) { return ConvertAll<int64_t>(view); }
std::vector<float> ToFloat(const TensorView& view) { return ConvertAll<float>(view); }

}  // namespace precis
